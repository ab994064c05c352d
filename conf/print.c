/* print.c - the schema for people: values as YAML, the documented default file, flowline.yaml(5).
 *
 * In the default file a sentence begins with "# " and a setting with "#": taking the one character
 * away makes it count.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/url.h"
#include "conf/value.h"

enum { WIDTH = 96 };

/* A text as a YAML scalar: plain where nothing in it could be read as something else. */
static void print_text(FILE *out, const char *s)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_./+@=-";

	if (*s && strspn(s, harmless) == strlen(s) && !strchr("-@=", *s) && strcasecmp(s, "null")) {
		fputs(s, out);
		return;
	}
	putc('\'', out);
	for (; *s; s++) {
		if (*s == '\'')
			putc('\'', out);
		putc(*s, out);
	}
	putc('\'', out);
}

static void print_net(FILE *out, const struct ip_net *net)
{
	char text[ADDR_TEXT_SIZE];
	bool v4 = addr_is_v4(&net->addr) && net->bits >= 96;

	addr_format(&net->addr, text);
	fprintf(out, "%s%s%s/%d", v4 ? "" : "'", text, "", v4 ? net->bits - 96 : net->bits);
	fputs(v4 ? "" : "'", out);
}

static void print_group(FILE *out, const struct conf_group *g, const void *base, bool secrets)
{
	bool first = true;
	size_t i;

	putc('{', out);
	for (i = 0; i < g->n; i++) {
		const struct conf_setting *s = &g->settings[i];
		struct conf_list l = {NULL, 1};

		if (s->flags & CONF_LIST)
			memcpy(&l, conf_at(s, base), sizeof(l));
		if (!l.n)
			continue;
		fprintf(out, "%s%s: ", first ? "" : ", ", s->path);
		conf_value_print(out, s, conf_at(s, base), secrets);
		first = false;
	}
	putc('}', out);
}

/* One value into memory; NULL: no memory. The caller's to free. */
static char *value_text(const struct conf_setting *s, const void *at, bool secrets)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	conf_value_print(out, s, at, secrets);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool is_initial(const struct conf_setting *s, const void *at, const void *initial)
{
	char *x = value_text(s, at, true), *y = value_text(s, initial, true);
	bool same = x && y && !strcmp(x, y);

	free(x);
	free(y);
	return same;
}

/* Without what is as it always is. */
static void print_output(FILE *out, const struct conf_output *o, bool secrets)
{
	const struct conf_group *g = &conf_output_groups[o->kind];
	struct conf_output initial;
	bool first = true;
	size_t i;

	if (conf_output_init(&initial, o->kind))
		return;
	for (i = 0; i < g->n; i++) {
		const struct conf_setting *s = &g->settings[i];

		if (is_initial(s, conf_at(s, o), conf_at(s, &initial)))
			continue;
		if (first)
			fprintf(out, "{%s: {", conf_output_kinds[o->kind]);
		fprintf(out, "%s%s: ", first ? "" : ", ", s->path);
		conf_value_print(out, s, conf_at(s, o), secrets);
		first = false;
	}
	fputs(first ? conf_output_kinds[o->kind] : "}}", out);
	conf_group_free(g, &initial);
}

/* Where something secret may be a part of it. */
static void print_place(FILE *out, const char *url, bool secrets)
{
	size_t size = strlen(url) * 3 + 4;
	char *text = secrets ? NULL : malloc(size);

	if (text)
		url_redact(url, text, size);
	if (text || secrets)
		print_text(out, text ? text : url);
	free(text);
}

static void print_header(FILE *out, const char *header, bool secrets)
{
	size_t len = strcspn(header, ":"), size = len + sizeof(": ***");
	char *name = secrets ? NULL : malloc(size);

	if (name)
		snprintf(name, size, "%.*s: ***", (int)len, header);
	if (name || secrets)
		print_text(out, name ? name : header);
	free(name);
}

static void print_number(FILE *out, const struct conf_setting *s, const void *at)
{
	char text[CONF_UNIT_SIZE];
	uint64_t ns;
	size_t count;

	if (s->type == CONF_DURATION) {
		memcpy(&ns, at, sizeof(ns));
		conf_format_duration(ns, text);
		fputs(text, out);
		return;
	}
	memcpy(&count, at, sizeof(count));
	conf_format_size(count, text);
	if (s->type == CONF_SIZE)
		fputs(text, out);
	else if (!count && (s->flags & CONF_AUTO))
		fputs("auto", out);
	else
		fprintf(out, "%zu", count);
}

/* Types whose value is a text. */
static void print_string(FILE *out, const struct conf_setting *s, const char *text, bool secrets)
{
	switch (s->type) {
	case CONF_URL:
	case CONF_PROXY:
		print_place(out, text ? text : "", secrets);
		break;
	case CONF_HEADER:
		print_header(out, text, secrets);
		break;
	default:
		if (text && *text && s->flags & CONF_SECRET && !secrets)
			text = "***";
		print_text(out, text ? text : "");
	}
}

static void print_item(FILE *out, const struct conf_setting *s, const void *at, bool secrets)
{
	const struct conf_tag *tag = at;
	unsigned int word;
	uint16_t port;
	char *text;
	bool on;

	switch (s->type) {
	case CONF_BOOL:
		memcpy(&on, at, sizeof(on));
		fputs(on ? "true" : "false", out);
		break;
	case CONF_COUNT:
	case CONF_DURATION:
	case CONF_SIZE:
		print_number(out, s, at);
		break;
	case CONF_PERCENT:
		memcpy(&word, at, sizeof(word));
		fprintf(out, "%u%%", word);
		break;
	case CONF_ENUM:
		memcpy(&word, at, sizeof(word));
		fputs(s->words[word], out);
		break;
	case CONF_PORT:
		memcpy(&port, at, sizeof(port));
		fprintf(out, "%u", port);
		break;
	case CONF_NET:
		print_net(out, at);
		break;
	case CONF_TAG:
		print_text(out, tag->key);
		fputs(": ", out);
		print_text(out, tag->value);
		break;
	case CONF_EXCLUDE:
		print_group(out, &conf_exclude_group, at, secrets);
		break;
	case CONF_OUTPUT:
		print_output(out, at, secrets);
		break;
	default:
		memcpy(&text, at, sizeof(text));
		print_string(out, s, text, secrets);
	}
}

void conf_value_print(FILE *out, const struct conf_setting *s, const void *at, bool secrets)
{
	bool map = s->type == CONF_TAG;
	struct conf_list l;
	size_t i;

	if (!(s->flags & CONF_LIST)) {
		print_item(out, s, at, secrets);
		return;
	}
	memcpy(&l, at, sizeof(l));
	putc(map ? '{' : '[', out);
	for (i = 0; i < l.n; i++) {
		fputs(i ? ", " : "", out);
		print_item(out, s, (const char *)l.v + i * conf_item_size(s), secrets);
	}
	putc(map ? '}' : ']', out);
}

static void print_words(FILE *out, const struct conf_setting *s)
{
	size_t i;

	for (i = 0; s->words[i]; i++)
		fprintf(out, "%s%s", !i ? "" : s->words[i + 1] ? ", " : " or ", s->words[i]);
}

/* What is wanted, of types that need no number to say it. */
static const char *const wanted[] = {
    [CONF_BOOL] = "true or false",
    [CONF_PORT] = "a list of ports, 1 to 65535",
    [CONF_NET] = "a list of networks or addresses",
    [CONF_TAG] = "a map of names and values",
    [CONF_IFACE] = "a list of names or patterns (*, ?, [])",
    [CONF_EXCLUDE] = "a list of rules",
    [CONF_URL] = "http://HOST[:PORT][/PATH][?QUERY] or https://...",
    [CONF_PROXY] = "[SCHEME://][USER:PASSWORD@]HOST:PORT",
    [CONF_ADDRESS] = "HOST:PORT",
    [CONF_HEADER] = "a list of 'NAME: VALUE'",
    [CONF_STRING] = "a text",
};

void conf_range_print(FILE *out, const struct conf_setting *s)
{
	char least[CONF_UNIT_SIZE], most[CONF_UNIT_SIZE];
	bool duration = s->type == CONF_DURATION;

	switch (s->type) {
	case CONF_COUNT:
		fprintf(out, "%s%" PRIu64 " to %" PRIu64, s->flags & CONF_AUTO ? "auto, or " : "",
			s->least, s->most);
		break;
	case CONF_DURATION:
	case CONF_SIZE:
		(duration ? conf_format_duration : conf_format_size)(s->least, least);
		(duration ? conf_format_duration : conf_format_size)(s->most, most);
		fprintf(out, "%s to %s", least, most);
		break;
	case CONF_PERCENT:
		fprintf(out, "%" PRIu64 "%% to %" PRIu64 "%%", s->least, s->most);
		break;
	case CONF_WORD:
		fputs("a list out of ", out);
		print_words(out, s);
		break;
	case CONF_ENUM:
		print_words(out, s);
		break;
	case CONF_OUTPUT:
		fprintf(out, "a list of 1 to %zu outputs", s->items_most);
		break;
	case CONF_LABEL:
		fprintf(out, "letters, digits and . - _ :, at most %" PRIu64, s->most);
		break;
	default:
		if (s->type == CONF_STRING && s->flags & CONF_LIST)
			fputs("a list of texts", out);
		else
			fputs(wanted[s->type], out);
	}
}

/* What print prints, or NULL: no memory. The caller's to free. */
static char *printed(void (*print)(FILE *out, const struct conf_setting *s),
		     const struct conf_setting *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print(out, s);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static void print_doc(FILE *out, const struct conf_setting *s)
{
	fputs(s->doc, out);
	if (s->flags & CONF_RESTART)
		fputs(" A change counts after a restart.", out);
	if (s->flags & CONF_SECRET)
		fprintf(out, " %s_file names a file that holds it.", s->path);
}

static void print_want(FILE *out, const struct conf_setting *s)
{
	fputs("Want: ", out);
	conf_range_print(out, s);
}

static void indent(FILE *out, int depth)
{
	fprintf(out, "%*s", 2 * depth, "");
}

/* Words in lines of at most WIDTH columns, each begun with "# " and hang blanks. */
static void print_hanging(FILE *out, int depth, int hang, const char *text)
{
	size_t room = (size_t)(WIDTH - 2 * depth - 2 - hang), len;

	while (*text) {
		len = strlen(text);
		if (len > room) {
			for (len = room; len && text[len] != ' '; len--)
				;
			len = len ? len : room;
		}
		indent(out, depth);
		fprintf(out, "# %*s%.*s\n", hang, "", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
}

static void print_comment(FILE *out, int depth, const char *text)
{
	print_hanging(out, depth, 0, text);
}

static int depth_of(const char *path)
{
	int n = 0;

	for (; (path = strchr(path, '.')) != NULL; path++)
		n++;
	return n;
}

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/* The sections that path is in and before was not. */
static void print_sections(FILE *out, const char *path, const char *before)
{
	char section[96];
	const char *dot;

	for (dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
		size_t len = (size_t)(dot - path);
		const struct conf_section *s;

		if (!strncmp(path, before, len + 1))
			continue;
		snprintf(section, sizeof(section), "%.*s", (int)len, path);
		s = conf_section_find(section);
		putc('\n', out);
		print_comment(out, depth_of(section), s ? s->doc : "");
		indent(out, depth_of(section));
		fprintf(out, "%s:\n", last_part(section));
	}
}

/* "name: default  (range)", and below it what it means. */
static void print_inner(FILE *out, const struct conf_setting *s, const void *initial)
{
	bool needed = s->flags & CONF_SOME;
	char *doc = printed(print_doc, s);

	fprintf(out, "#   %s: ", s->path);
	if (needed)
		fputs(s->example, out);
	else
		conf_value_print(out, s, conf_at(s, initial), false);
	fputs(needed ? "  (must be given: " : "  (", out);
	conf_range_print(out, s);
	fputs(")\n", out);
	print_hanging(out, 0, 6, doc ? doc : s->doc);
	free(doc);
}

static void print_outputs(FILE *out)
{
	const struct conf_example *e = conf_output_examples;
	const char *line, *end;
	size_t kind, i;

	for (kind = 0; conf_output_kinds[kind]; kind++) {
		const struct conf_group *g = &conf_output_groups[kind];
		struct conf_output initial;

		if (conf_output_init(&initial, (enum conf_output_kind)kind))
			return;
		fprintf(out, "#\n# %s:\n", conf_output_kinds[kind]);
		print_hanging(out, 0, 2, conf_output_docs[kind]);
		for (i = 0; i < g->n; i++)
			print_inner(out, &g->settings[i], &initial);
		conf_group_free(g, &initial);
	}
	for (; e->title; e++) {
		fputs("#\n", out);
		print_comment(out, 0, e->title);
		for (line = e->text; (end = strchr(line, '\n')) != NULL; line = end + 1)
			fprintf(out, "#   %.*s\n", (int)(end - line), line);
	}
	fputs("#\n", out);
}

void conf_print_default(FILE *out)
{
	const char *before = "";
	struct conf c;
	size_t i;

	if (conf_default(&c))
		return;
	fputs("# flowline.yaml - configuration of flowline; flowline.yaml(5) tells the same at "
	      "length.\n"
	      "#\n"
	      "# Every setting is here, with its default. Take the # before it away to change it.\n"
	      "# 'flowline check-config FILE' tells what is wrong with a file.\n",
	      out);
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];
		char *doc = printed(print_doc, s), *want = printed(print_want, s);
		int depth = depth_of(s->path);

		print_sections(out, s->path, before);
		before = s->path;
		putc('\n', out);
		print_comment(out, depth, doc ? doc : s->doc);
		print_comment(out, depth, want ? want : "");
		free(doc);
		free(want);
		indent(out, depth);
		fprintf(out, "# Such as: %s\n", s->example);
		if (s->type == CONF_OUTPUT)
			print_outputs(out);
		indent(out, depth);
		fprintf(out, "#%s: ", last_part(s->path));
		conf_value_print(out, s, conf_at(s, &c), false);
		putc('\n', out);
	}
	conf_free(&c);
}
