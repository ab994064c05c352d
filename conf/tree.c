/* tree.c - see tree.h. Built on libyaml's events (YAML 1.1, https://yaml.org/spec/1.1/), because
 * its own documents recurse without a bound in old versions (0.1.4, CentOS 7).
 */
#include "conf/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct level {
	struct node *node;
	char *anchor; /* counts from the node's end on */
};

struct builder {
	struct tree *t;
	const struct conf_place *place;
	struct level levels[TREE_DEPTH_MOST];
	size_t depth, documents;
	const char *text;
	size_t len;
};

static int complain(const struct builder *b, const yaml_mark_t *mark, const char *what)
{
	struct conf_place at = *b->place;

	at.line = (unsigned int)mark->line + 1;
	at.column = (unsigned int)mark->column + 1;
	conf_complain(&at, "%s", what);
	return FL_EUSAGE;
}

/* Line and column, in characters, of a byte of the text. */
static void mark_of(const struct builder *b, size_t offset, yaml_mark_t *mark)
{
	size_t i;

	memset(mark, 0, sizeof(*mark));
	for (i = 0; i < offset && i < b->len; i++) {
		if (b->text[i] == '\n') {
			mark->line++;
			mark->column = 0;
		} else if (((unsigned char)b->text[i] & 0xc0) != 0x80) {
			mark->column++;
		}
	}
}

/* The byte at a mark, whose index counts characters; 0 at the end. */
static char byte_at(const struct builder *b, const yaml_mark_t *mark)
{
	size_t i, characters = 0;

	for (i = 0; i < b->len; i++) {
		if (((unsigned char)b->text[i] & 0xc0) == 0x80)
			continue;
		if (characters++ == mark->index)
			return b->text[i];
	}
	return '\0';
}

static int complain_yaml(const struct builder *b, const yaml_parser_t *p)
{
	yaml_mark_t mark = p->problem_mark;
	const char *problem = p->problem ? p->problem : "it cannot be read";
	char text[256];

	if (p->error == YAML_MEMORY_ERROR)
		return complain(b, &mark, "memory was refused");
	if (p->error == YAML_READER_ERROR) {
		mark_of(b, p->problem_offset, &mark);
		snprintf(text, sizeof(text), "not a text in UTF-8: %s", problem);
	} else if (byte_at(b, &mark) == '\t') {
		snprintf(text, sizeof(text), "a tab: YAML wants blanks here");
	} else if (p->context && strstr(p->context, "alias")) {
		snprintf(text, sizeof(text), "not YAML: quote what begins with *");
	} else if (p->context && p->context_mark.line != mark.line) {
		snprintf(text, sizeof(text), "not YAML: %s (%s that begins in line %u)", problem,
			 p->context, (unsigned int)p->context_mark.line + 1);
	} else {
		snprintf(text, sizeof(text), "not YAML: %s%s%s%s", problem, p->context ? " (" : "",
			 p->context ? p->context : "", p->context ? ")" : "");
	}
	return complain(b, &mark, text);
}

static struct node *node_new(struct builder *b, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *n;

	if (b->t->nodes >= TREE_NODES_MOST) {
		(void)complain(b, mark, "too many values: is this a configuration?");
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		(void)complain(b, mark, "memory was refused");
		return NULL;
	}
	n->kind = kind;
	n->line = (unsigned int)mark->line + 1;
	n->column = (unsigned int)mark->column + 1;
	n->next = b->t->all;
	b->t->all = n;
	b->t->nodes++;
	return n;
}

/* Hang n where the text has it. */
static int attach(struct builder *b, struct node *n, const yaml_mark_t *mark)
{
	struct node *parent, **items;
	size_t room;

	if (!b->depth) {
		b->t->root = n;
		return 0;
	}
	parent = b->levels[b->depth - 1].node;
	if (parent->n == parent->room) {
		room = parent->room ? 2 * parent->room : 8;
		items = realloc(parent->items, room * sizeof(*items));
		if (!items)
			return complain(b, mark, "memory was refused");
		parent->items = items;
		parent->room = room;
	}
	parent->items[parent->n++] = n;
	return 0;
}

/* Takes over name; a name given again means the newer node. */
static int anchor(struct builder *b, char *name, struct node *n, const yaml_mark_t *mark)
{
	struct tree *t = b->t;
	size_t i;

	for (i = 0; i < t->nanchors && strcmp(t->anchors[i].name, name); i++)
		;
	if (i == TREE_ANCHORS_MOST) {
		free(name);
		return complain(b, mark, "too many anchors");
	}
	if (i < t->nanchors)
		free(t->anchors[i].name);
	else
		t->nanchors++;
	t->anchors[i].name = name;
	t->anchors[i].node = n;
	return 0;
}

/* Its name may be a password that was not quoted: it is not shown. */
static int on_alias(struct builder *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct tree *t = b->t;
	size_t i;

	for (i = 0; i < t->nanchors; i++)
		if (!strcmp(t->anchors[i].name, name))
			return attach(b, t->anchors[i].node, &e->start_mark);
	return complain(b, &e->start_mark,
			"what begins with * is an alias, and there is no anchor (&) of this name "
			"before it: put a text into quotes");
}

static bool is_null(const char *s)
{
	return !*s || !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") ||
	       !strcmp(s, "NULL");
}

static int on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	const char *tag = (const char *)e->data.scalar.tag;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, word;
	struct node *n;

	if (strlen(text) != e->data.scalar.length)
		return complain(b, &e->start_mark, "a text with a 0 byte");
	/* "- !docker0" is a tag and nothing behind it, but not to who wrote it. */
	word = plain && tag && tag[0] == '!' && !*text;
	n = node_new(b, NODE_SCALAR, &e->start_mark);
	if (!n)
		return FL_EUSAGE;
	n->text = strdup(word ? tag : text);
	if (!n->text)
		return complain(b, &e->start_mark, "memory was refused");
	n->null = plain && !word && is_null(text);
	if (attach(b, n, &e->start_mark))
		return FL_EUSAGE;
	if (e->data.scalar.anchor) {
		char *name = strdup((const char *)e->data.scalar.anchor);

		if (!name)
			return complain(b, &e->start_mark, "memory was refused");
		return anchor(b, name, n, &e->start_mark);
	}
	return 0;
}

static int on_begin(struct builder *b, const yaml_event_t *e, enum node_kind kind)
{
	const yaml_char_t *name =
	    kind == NODE_MAP ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	struct node *n = node_new(b, kind, &e->start_mark);

	if (!n || attach(b, n, &e->start_mark))
		return FL_EUSAGE;
	if (b->depth == TREE_DEPTH_MOST)
		return complain(b, &e->start_mark, "nested too deeply");
	b->levels[b->depth].node = n;
	b->levels[b->depth].anchor = name ? strdup((const char *)name) : NULL;
	b->depth++;
	return 0;
}

static int on_end(struct builder *b, const yaml_event_t *e)
{
	struct level *l = &b->levels[--b->depth];
	char *name = l->anchor;

	l->anchor = NULL;
	return name ? anchor(b, name, l->node, &e->start_mark) : 0;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++)
			return complain(b, &e->start_mark,
					"a second document: one file holds one configuration");
		return 0;
	case YAML_ALIAS_EVENT:
		return on_alias(b, e);
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_begin(b, e, NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_begin(b, e, NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(b, e);
	default:
		return 0;
	}
}

int tree_parse(struct tree *t, const char *text, size_t len, const struct conf_place *place)
{
	struct builder b;
	yaml_parser_t p;
	yaml_event_t e;
	bool end = false;
	int err = 0;

	memset(t, 0, sizeof(*t));
	memset(&b, 0, sizeof(b));
	b.t = t;
	b.place = place;
	b.text = text;
	b.len = len;
	if (!yaml_parser_initialize(&p)) {
		conf_complain(place, "memory was refused");
		return FL_EUSAGE;
	}
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	while (!end && !err) {
		if (!yaml_parser_parse(&p, &e)) {
			err = complain_yaml(&b, &p);
			break;
		}
		err = on_event(&b, &e);
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	while (b.depth)
		free(b.levels[--b.depth].anchor);
	yaml_parser_delete(&p);
	return err;
}

void tree_free(struct tree *t)
{
	struct node *n, *next;
	size_t i;

	for (n = t->all; n; n = next) {
		next = n->next;
		free(n->text);
		free(n->items);
		free(n);
	}
	for (i = 0; i < t->nanchors; i++)
		free(t->anchors[i].name);
	memset(t, 0, sizeof(*t));
}
