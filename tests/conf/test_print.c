/* test_print.c - the default file: it loads, as it is and with every # taken away, and changes
 * nothing; values are quoted where YAML would read them as something else.
 */
#include <stdlib.h>

#include "conf/value.h"
#include "tests/test.h"

static struct conf_errors errors;

static char *default_file(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	conf_print_default(out);
	return fclose(out) ? NULL : text;
}

static void differs(void *ctx, const struct conf_setting *s, const char *before, const char *now)
{
	(void)ctx;
	CHECK_MSG(false, "%s: %s, %s", s->path, before, now);
}

static void check_is_default(const char *text)
{
	struct conf initial, c;

	conf_errors_init(&errors);
	CHECK_INT(conf_default(&initial), 0);
	CHECK_INT(conf_default(&c), 0);
	CHECK_MSG(conf_load_text(&c, "f", text, strlen(text), &errors) == 0, "%s", errors.text);
	CHECK_INT(conf_diff(&initial, &c, differs, NULL), 0);
	conf_free(&initial);
	conf_free(&c);
}

static void test_default_file(void)
{
	char *text = default_file(), *line, *p;
	size_t settings = 0, wide = 0;

	if (!CHECK(text != NULL))
		return;
	check_is_default(text);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		p = line + strspn(line, " ");
		wide += strcspn(line, "\n") > 100;
		if (*p != '#' || p[1] == ' ' || p[1] == '\n')
			continue;
		memmove(p, p + 1, strlen(p));
		settings++;
	}
	CHECK_INT(settings, conf_schema.n);
	CHECK_INT(wide, 0);
	check_is_default(text);
	free(text);
}

/* Each example, put into the file as it is shown, is right. */
static void test_examples(void)
{
	char text[512];
	struct conf c;
	size_t i;

	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];
		const char *path = s->path, *dot;
		size_t len = 0, depth = 0;

		for (; (dot = strchr(path, '.')) != NULL; path = dot + 1, depth++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s: {",
						(int)(dot - path), path);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s: %s", path, s->example);
		while (depth--)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "}");
		conf_errors_init(&errors);
		CHECK_INT(conf_default(&c), 0);
		CHECK_MSG(conf_load_text(&c, "f", text, len, &errors) == 0, "%s", errors.text);
		conf_free(&c);
	}
}

static void test_quotes(void)
{
	static const char *const texts[] = {
	    "a", "a b", "a: b", "#x",   "it's", "!x", "*",    "- a",       "-",
	    "",  "~",   "null", "true", "{a}",  "@x", "%x",   "h\xc3\xa4", "a,b",
	    "[", "|",   ">",    "&a",   "\\",   "\"", "0x10", "=",         " a ",
	};
	const struct conf_setting *s = conf_setting_find(&conf_schema, "tags");
	char text[256];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conf_tag tag = {(char *)"k", (char *)texts[i]};
		struct conf_list l = {&tag, 1};
		FILE *f = fmemopen(text, sizeof(text), "w");
		struct conf c;

		fputs("tags: ", f);
		conf_value_print(f, s, &l, false);
		fclose(f);
		conf_errors_init(&errors);
		CHECK_INT(conf_default(&c), 0);
		if (!*texts[i]) { /* a tag without a value is none, and said to be */
			CHECK_INT(conf_load_text(&c, "f", text, strlen(text), &errors), FL_EUSAGE);
		} else if (CHECK(conf_load_text(&c, "f", text, strlen(text), &errors) == 0)) {
			CHECK_STR(c.tags.v[0].value, texts[i]);
		} else {
			printf("    %s: %s", text, errors.text);
		}
		conf_free(&c);
	}
}

static void test_manual(void)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (!CHECK(out != NULL))
		return;
	conf_print_manual(out);
	fclose(out);
	for (i = 0; i < conf_schema.n; i++) {
		char want[128];

		snprintf(want, sizeof(want), ".B %s\n", conf_schema.settings[i].path);
		CHECK_MSG(strstr(text, want), "%s", want);
	}
	free(text);
}

TEST_MAIN({"default file", test_default_file}, {"examples", test_examples}, {"quotes", test_quotes},
	  {"manual", test_manual})
