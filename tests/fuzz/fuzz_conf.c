/* fuzz_conf.c - any bytes as a configuration file, as --set and as the environment: either a
 * mistake that is told, and nothing has changed, or a configuration that prints and reads back the
 * same.
 *
 * Input: the file; a first byte of 1 makes it lines of --set, 2 of the environment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"
#include "conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what, const char *text)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, text);
	abort();
}

static void unchanged(void *ctx, const struct conf_setting *s, const char *before, const char *now)
{
	(void)ctx;
	(void)before;
	must(false, s->path, now);
}

static void check_errors(int err, const struct conf_errors *errors)
{
	must((err != 0) == (errors->n != 0), "mistakes", errors->text);
	must(errors->len == strlen(errors->text) && errors->len < sizeof(errors->text), "length",
	     errors->text);
	must(!errors->len || errors->text[errors->len - 1] == '\n', "line", errors->text);
}

/* The lines "section:" that path is in and before was not, and blanks for what is below. */
static const char *print_sections(FILE *out, const char *path, const char *before)
{
	const char *begin = path, *dot;
	int depth = 0;

	for (; (dot = strchr(begin, '.')) != NULL; begin = dot + 1, depth += 2)
		if (strncmp(path, before, (size_t)(dot - path) + 1))
			fprintf(out, "%*s%.*s:\n", depth, "", (int)(dot - begin), begin);
	fprintf(out, "%*s", depth, "");
	return begin;
}

/* Every setting, printed in a file, gives the same configuration. */
static void check_round_trip(const struct conf *c)
{
	static struct conf_errors errors;
	const char *before = "";
	struct conf again;
	char *text;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	must(conf_default(&again) == 0, "default", "");
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		fprintf(out, "%s: ", print_sections(out, s->path, before));
		conf_value_print(out, s, conf_at(s, c), true);
		putc('\n', out);
		before = s->path;
	}
	fclose(out);
	conf_errors_init(&errors);
	if (conf_load_text(&again, "again", text, size, &errors))
		must(false, errors.text, text);
	free(text);
	must(conf_diff(c, &again, unchanged, NULL) == 0, "differs", "");
	conf_free(&again);
}

/* Names of outputs are clean, differ, and fit. */
static void check_names(const struct conf *c)
{
	char name[2][CONF_OUTPUT_NAME_SIZE], dir[2][40];
	size_t i, j;

	for (i = 0; i < c->outputs.n; i++) {
		conf_output_name(&c->outputs.v[i], name[0], sizeof(name[0]));
		conf_output_dir_name(&c->outputs.v[i], dir[0], sizeof(dir[0]));
		must(*name[0] && *dir[0] && *dir[0] != '.' && !strchr(dir[0], '/'), "name", dir[0]);
		for (j = 0; j < i; j++) {
			conf_output_name(&c->outputs.v[j], name[1], sizeof(name[1]));
			conf_output_dir_name(&c->outputs.v[j], dir[1], sizeof(dir[1]));
			must(strcmp(name[0], name[1]) && strcmp(dir[0], dir[1]), "same", name[0]);
		}
	}
}

static int set_lines(struct conf *c, char *text, struct conf_errors *errors)
{
	char *line, *save = NULL;
	int ret = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (conf_set(c, line, errors))
			ret = FL_EUSAGE;
	return ret;
}

static int set_env(struct conf *c, char *text, struct conf_errors *errors)
{
	char *env[64], *line, *save = NULL;
	size_t n = 0;

	for (line = strtok_r(text, "\n", &save); line && n < 63; line = strtok_r(NULL, "\n", &save))
		env[n++] = line;
	env[n] = NULL;
	return conf_env(c, env, errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf_errors errors;
	struct conf initial, c;
	char *text = malloc(size + 1);
	int err;

	must(text && conf_default(&c) == 0 && conf_default(&initial) == 0, "memory", "");
	conf_errors_init(&errors);
	memcpy(text, data, size);
	text[size] = '\0';
	if (size && data[0] == 1)
		err = set_lines(&c, text + 1, &errors);
	else if (size && data[0] == 2)
		err = set_env(&c, text + 1, &errors);
	else
		err = conf_load_text(&c, "fuzz.yaml", text, size, &errors);
	check_errors(err, &errors);
	if (!err)
		check_names(&c);
	if (!err && (!size || data[0] > 2 || !conf_check(&c, &errors)))
		check_round_trip(&c);
	if (err && (!size || data[0] != 1))
		must(conf_diff(&initial, &c, unchanged, NULL) == 0, "changed", "");
	conf_free(&c);
	conf_free(&initial);
	free(text);
	return 0;
}
