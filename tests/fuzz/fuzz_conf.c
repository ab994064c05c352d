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

/* Every setting, printed in a file, gives the same configuration. */
static void check_round_trip(const struct conf *c)
{
	static struct conf_errors errors;
	struct conf again;
	char *text, path[64];
	size_t size, i;

	must(conf_default(&again) == 0, "default", "");
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];
		char *rest = path, *dot;
		int depth = 0;
		FILE *out = open_memstream(&text, &size);

		snprintf(path, sizeof(path), "%s", s->path);
		for (; (dot = strchr(rest, '.')) != NULL; rest = dot + 1, depth++)
			fprintf(out, "{%.*s: ", (int)(dot - rest), rest);
		fprintf(out, "{%s: ", rest);
		conf_value_print(out, s, conf_at(s, c), true);
		for (depth++; depth--;)
			putc('}', out);
		fclose(out);
		conf_errors_init(&errors);
		if (conf_load_text(&again, "again", text, size, &errors))
			must(false, errors.text, text);
		free(text);
	}
	must(conf_diff(c, &again, unchanged, NULL) == 0, "differs", "");
	conf_free(&again);
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
		check_round_trip(&c);
	else if (!size || data[0] != 1)
		must(conf_diff(&initial, &c, unchanged, NULL) == 0, "changed", "");
	conf_free(&c);
	conf_free(&initial);
	free(text);
	return 0;
}
