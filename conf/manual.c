/* manual.c - flowline.yaml(5) out of the schema, in roff with man(7)'s macros. */
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

static const char head[] =
    ".\\\" flowline.yaml.5 - made by 'flowline --print-config-manual' out of conf/schema.c\n"
    ".TH FLOWLINE.YAML 5 \"\" flowline \"File Formats\"\n"
    ".SH NAME\n"
    "flowline.yaml \\- configuration of flowline\n"
    ".SH SYNOPSIS\n"
    ".I " CONF_DEFAULT_FILE "\n"
    ".SH DESCRIPTION\n"
    "A file in YAML. Every setting has a default; a file without any, or none at all, is enough.\n"
    ".PP\n"
    ".B flowline run\n"
    "reads the file above where it exists, or the one that\n"
    ".B \\-\\-config\n"
    "or the environment variable\n"
    ".B FLOWLINE_CONFIG\n"
    "names (empty: none).\n"
    ".B flowline read\n"
    "reads one only where it is named. What comes later wins: defaults, the file, the "
    "environment,\n"
    "the command line.\n"
    ".PP\n"
    ".B \"flowline \\-\\-print\\-default\\-config\"\n"
    "prints a file with every setting.\n"
    ".BI \"flowline check\\-config\" \" FILE\"\n"
    "tells all that is wrong with a file, with line and column, and exits with 2.\n"
    "Unknown keys, keys that are given twice and values out of range are mistakes; while there is\n"
    "one, nothing of the file counts.\n"
    ".SS Values\n"
    "Durations are a number and ms, s, m, h or d: 500ms, 10s, 5m, 24h, 7d.\n"
    "Sizes are a number of bytes, or one with k, M, G or T (powers of 1024): 512k, 4M.\n"
    "Shares are percentages: 5%.\n"
    "A list of one may be written without brackets. Anchors and aliases may be used; a file is at\n"
    "most 1 MiB, is in UTF\\-8 and holds one document.\n"
    ".SS Environment and command line\n"
    "The setting\n"
    ".B flows.max_flows\n"
    "is\n"
    ".B FLOWLINE_FLOWS_MAX_FLOWS\n"
    "in the environment, and\n"
    ".B \"\\-\\-set flows.max_flows=1000\"\n"
    "on the command line. Lists are written there with commas (53,5300) or as in YAML ([53, "
    "5300]);\n"
    "tags as KEY=VALUE,KEY=VALUE, one tag as\n"
    ".BR \"\\-\\-set tags.env=prod\" .\n";

static const char tail[] = ".SH EXAMPLE\n"
			   ".nf\n"
			   "interval: 10s\n"
			   "tags: {env: prod, rack: r12}\n"
			   "capture:\n"
			   "  interfaces: [eth*, '!eth9']\n"
			   "  ring_size: 8M\n"
			   "dns:\n"
			   "  ports: [53, 5300]\n"
			   "outputs:\n"
			   "  - http: {url: 'http://influx.example.org:8086', database: flowline}\n"
			   "  - file: {path: /var/log/flowline.line, rotate_size: 100M}\n"
			   ".fi\n"
			   ".SH FILES\n"
			   ".I " CONF_DEFAULT_FILE "\n"
			   ".SH \"SEE ALSO\"\n"
			   ".BR flowline (8)\n";

/* Text of a paragraph: what roff would take for its own is escaped. */
static void print_roff(FILE *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else if (*s == '\'')
			fputs("\\(aq", out);
		else if (*s == '~')
			fputs("\\(ti", out);
		else if (*s == '^')
			fputs("\\(ha", out);
		else
			putc(*s, out);
	}
}

static void print_labelled(FILE *out, const char *label, const char *text)
{
	fprintf(out, ".br\n%s: ", label);
	print_roff(out, text);
	putc('\n', out);
}

static void print_range(FILE *out, const struct conf_setting *s)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	conf_range_print(memory, s);
	if (!fclose(memory))
		print_labelled(out, "Want", text);
	free(text);
}

static void print_initial(FILE *out, const struct conf_setting *s, const void *base)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	conf_value_print(memory, s, conf_at(s, base), false);
	if (!fclose(memory))
		print_labelled(out, "Default", text);
	free(text);
}

static void print_section(FILE *out, const char *path, const char *before)
{
	size_t len = strcspn(path, ".");
	char name[64];

	if (!path[len] || !strncmp(path, before, len + 1))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)len, path);
	fprintf(out, ".SS %s\n", name);
	if (conf_section_find(name))
		fprintf(out, "%s\n", conf_section_find(name)->doc);
}

static void print_inner(FILE *out, const struct conf_group *g)
{
	size_t i;

	fputs(".RS\n", out);
	for (i = 0; i < g->n; i++) {
		fprintf(out, ".TP\n.B %s\n", g->settings[i].path);
		print_roff(out, g->settings[i].doc);
		putc('\n', out);
	}
	fputs(".RE\n", out);
}

/* One setting of an output. */
static void print_output_setting(FILE *out, const struct conf_setting *s, const void *initial)
{
	fprintf(out, ".TP\n.B %s\n", s->path);
	print_roff(out, s->doc);
	putc('\n', out);
	print_range(out, s);
	if (s->flags & CONF_SOME)
		fputs(".br\nIt must be given.\n", out);
	else
		print_initial(out, s, initial);
	print_labelled(out, "Such as", s->example);
	if (s->flags & CONF_SECRET)
		fprintf(out, ".br\n.B %s_file\nnames a file that holds it.\n", s->path);
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
		fprintf(out, ".SS \"outputs: %s\"\n", conf_output_kinds[kind]);
		print_roff(out, conf_output_docs[kind]);
		putc('\n', out);
		for (i = 0; i < g->n; i++)
			print_output_setting(out, &g->settings[i], &initial);
		conf_group_free(g, &initial);
	}
	fputs(".SS \"outputs: examples\"\n", out);
	for (; e->title; e++) {
		fputs(".PP\n", out);
		print_roff(out, e->title);
		fputs(":\n.PP\n.nf\n", out);
		for (line = e->text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
			char copy[256];

			snprintf(copy, sizeof(copy), "%.*s", (int)(end - line), line);
			print_roff(out, copy);
			putc('\n', out);
		}
		fputs(".fi\n", out);
	}
}

void conf_print_manual(FILE *out)
{
	const char *before = "";
	struct conf c;
	size_t i;

	if (conf_default(&c))
		return;
	fputs(head, out);
	fputs(".SH SETTINGS\n", out);
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		print_section(out, s->path, before);
		before = s->path;
		if (s->type == CONF_OUTPUT)
			fputs(".SS outputs\n", out);
		fprintf(out, ".TP\n.B %s\n", s->path);
		print_roff(out, s->doc);
		putc('\n', out);
		print_range(out, s);
		print_initial(out, s, &c);
		print_labelled(out, "Such as", s->example);
		if (s->flags & CONF_RESTART)
			fputs(".br\nA change counts after a restart.\n", out);
		if (s->flags & CONF_SECRET)
			fprintf(out, ".br\n.B %s_file\nnames a file that holds it.\n", s->path);
		if (s->type == CONF_EXCLUDE)
			print_inner(out, &conf_exclude_group);
		if (s->type == CONF_OUTPUT)
			print_outputs(out);
	}
	fputs(tail, out);
	conf_free(&c);
}
