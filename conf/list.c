/* list.c - memory of values: what they own is copied and given back; lists grow by their items. */
#include "conf/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_SIZE = 4608 };

void conf_item_free(const struct conf_setting *s, void *at)
{
	struct conf_output *out = at;
	struct conf_tag *tag = at;
	char *text;

	if (conf_is_text(s)) {
		memcpy(&text, at, sizeof(text));
		free(text);
	} else if (s->type == CONF_TAG) {
		free(tag->key);
		free(tag->value);
	} else if (s->type == CONF_EXCLUDE) {
		conf_group_free(&conf_exclude_group, at);
	} else if (s->type == CONF_OUTPUT) {
		conf_group_free(&conf_output_groups[out->kind], at);
	}
	memset(at, 0, conf_item_size(s));
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from ? 0 : -ENOMEM;
}

int conf_item_copy(const struct conf_setting *s, void *to, const void *from)
{
	const struct conf_output *out = from;
	const struct conf_tag *tag = from;
	struct conf_output *new_out = to;
	struct conf_tag *new_tag = to;
	char *text, *copy;
	int err = 0;

	if (conf_is_text(s)) {
		memcpy(&text, from, sizeof(text));
		err = copy_text(&copy, text);
		memcpy(to, &copy, sizeof(copy));
	} else if (s->type == CONF_TAG) {
		err = copy_text(&new_tag->key, tag->key);
		if (copy_text(&new_tag->value, tag->value))
			err = -ENOMEM;
	} else if (s->type == CONF_EXCLUDE) {
		err = conf_group_copy(&conf_exclude_group, to, from);
	} else if (s->type == CONF_OUTPUT) {
		memset(to, 0, sizeof(*out));
		new_out->kind = out->kind;
		new_out->batch_points = out->batch_points; /* which not every kind has a row for */
		new_out->batch_bytes = out->batch_bytes;
		new_out->batch_age_ns = out->batch_age_ns;
		err = conf_group_copy(&conf_output_groups[out->kind], to, from);
	} else {
		memcpy(to, from, conf_item_size(s));
	}
	if (err)
		conf_item_free(s, to);
	return err;
}

void conf_value_free(const struct conf_setting *s, void *at)
{
	size_t size = conf_item_size(s), i;
	struct conf_list l;

	if (!(s->flags & CONF_LIST)) {
		conf_item_free(s, at);
		return;
	}
	memcpy(&l, at, sizeof(l));
	for (i = 0; i < l.n; i++)
		conf_item_free(s, (char *)l.v + i * size);
	free(l.v);
	memset(at, 0, sizeof(l));
}

int conf_value_copy(const struct conf_setting *s, void *to, const void *from)
{
	struct conf_list l, copy = {NULL, 0};
	size_t size = conf_item_size(s);
	int err = 0;

	if (!(s->flags & CONF_LIST))
		return conf_item_copy(s, to, from);
	memcpy(&l, from, sizeof(l));
	memcpy(to, &copy, sizeof(copy));
	if (!l.n)
		return 0;
	copy.v = calloc(l.n, size);
	if (!copy.v)
		return -ENOMEM;
	for (; copy.n < l.n && !err; copy.n += !err)
		err = conf_item_copy(s, (char *)copy.v + copy.n * size,
				     (const char *)l.v + copy.n * size);
	if (err)
		conf_value_free(s, &copy);
	memcpy(to, &copy, sizeof(copy));
	return err;
}

/* Of one name, or of one directory in the spool. */
static bool same_output(const struct conf_output *a, const struct conf_output *b)
{
	char x[CONF_OUTPUT_NAME_SIZE], y[CONF_OUTPUT_NAME_SIZE];

	conf_output_name(a, x, sizeof(x));
	conf_output_name(b, y, sizeof(y));
	if (!strcmp(x, y))
		return true;
	conf_output_dir_name(a, x, sizeof(x));
	conf_output_dir_name(b, y, sizeof(y));
	return !strcmp(x, y);
}

static bool same_item(const struct conf_setting *s, const void *a, const void *b)
{
	const struct conf_tag *ta = a, *tb = b;
	const struct ip_net *na = a, *nb = b;
	const char *x, *y;

	if (conf_is_text(s)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return !strcmp(x, y);
	}
	switch (s->type) {
	case CONF_TAG:
		return !strcmp(ta->key, tb->key);
	case CONF_NET:
		return na->bits == nb->bits && addr_equal(&na->addr, &nb->addr);
	case CONF_PORT:
		return !memcmp(a, b, sizeof(uint16_t));
	case CONF_OUTPUT:
		return same_output(a, b);
	default:
		return false;
	}
}

static const char *plural(const struct conf_setting *s)
{
	switch (s->type) {
	case CONF_NET:
		return "networks: join some";
	case CONF_IFACE:
		return "interfaces: use a pattern, or leave all out to watch them all";
	case CONF_PORT:
		return "ports: leave some out";
	case CONF_TAG:
		return "tags: leave some out";
	default:
		return "entries: leave some out";
	}
}

static void complain_twice(const struct conf_setting *s, const void *item,
			   const struct conf_place *place)
{
	char shown[CONF_SHOWN_SIZE], name[CONF_OUTPUT_NAME_SIZE];
	const struct conf_output *out = item;

	if (s->type == CONF_TAG) {
		conf_complain(place, "'%s' is given twice: leave one out",
			      conf_shown(((const struct conf_tag *)item)->key, shown));
		return;
	}
	conf_output_name(out, name, sizeof(name));
	if (out->kind == CONF_OUTPUT_STDOUT)
		conf_complain(place, "'%s' is given twice: leave one out", conf_shown(name, shown));
	else
		conf_complain(place,
			      "two outputs are called '%s': give one a name of its own, as in "
			      "{%s: {name: second, ...}}",
			      conf_shown(name, shown), conf_output_kinds[out->kind]);
}

int conf_list_add(const struct conf_setting *s, struct conf_list *l, void *item,
		  const struct conf_place *place)
{
	size_t size = conf_item_size(s), i;
	void *v = NULL;

	for (i = 0; i < l->n && !same_item(s, (char *)l->v + i * size, item); i++)
		;
	if (i < l->n && (s->type == CONF_TAG || s->type == CONF_OUTPUT)) {
		complain_twice(s, item, place);
		conf_item_free(s, item);
		return FL_EUSAGE;
	}
	if (i < l->n) {
		conf_item_free(s, item);
		return 0;
	}
	if (l->n >= s->items_most)
		conf_complain(place, "more than %zu %s", s->items_most, plural(s));
	else if ((v = realloc(l->v, (l->n + 1) * size)) == NULL)
		conf_complain(place, "memory was refused");
	if (!v) {
		conf_item_free(s, item);
		return FL_EUSAGE;
	}
	memcpy((char *)v + l->n * size, item, size);
	l->v = v;
	l->n++;
	return 0;
}

/* The next piece of a comma list, in piece[]; false at its end. A piece that is too long is cut: no
 * valid value is that long. */
static bool next_piece(const char **list, bool one, char piece[PIECE_SIZE])
{
	const char *s = *list, *end;
	size_t len;

	if (!s)
		return false;
	end = one ? NULL : strchr(s, ',');
	len = end ? (size_t)(end - s) : strlen(s);
	*list = end ? end + 1 : NULL;
	if (len >= PIECE_SIZE)
		len = PIECE_SIZE - 1;
	memcpy(piece, s, len);
	piece[len] = '\0';
	return true;
}

static void drop_tag(struct conf_list *l, const struct conf_setting *s, const struct conf_tag *tag)
{
	struct conf_tag *tags = l->v;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(tags[i].key, tag->key))
			continue;
		conf_item_free(s, &tags[i]);
		memmove(&tags[i], &tags[i + 1], (l->n - i - 1) * sizeof(*tags));
		l->n--;
		return;
	}
}

/* All pieces of text, complaining of each that is wrong. */
static int add_pieces(const struct conf_setting *s, struct conf_list *l, const char *text,
		      struct conf_how how, const struct conf_place *place)
{
	union {
		uint64_t align;
		char room[sizeof(struct conf_exclude) + sizeof(struct conf_output)];
	} item;
	char piece[PIECE_SIZE];
	int err, ret = 0;

	while (next_piece(&text, how.one, piece)) {
		memset(&item, 0, sizeof(item));
		err = conf_item_parse(s, piece, &item, place);
		if (!err && how.append && s->type == CONF_TAG)
			drop_tag(l, s, (const struct conf_tag *)&item);
		if (!err)
			err = conf_list_add(s, l, &item, place);
		ret = err ? err : ret;
		if (err && l->n >= s->items_most)
			break; /* said once */
	}
	return ret;
}

static int set_list(const struct conf_setting *s, void *at, const char *text, struct conf_how how,
		    const struct conf_place *place)
{
	struct conf_list l = {NULL, 0};
	int err = 0;

	if (!how.one && (*text == '[' || *text == '{'))
		return conf_value_set_yaml(s, at, text, place);
	if (how.append && conf_value_copy(s, &l, at)) {
		conf_complain(place, "memory was refused");
		return FL_EUSAGE;
	}
	if (*text || how.one)
		err = add_pieces(s, &l, text, how, place);
	if (!err && !l.n && (s->flags & CONF_SOME)) {
		conf_complain(place, "is empty: want at least one, such as %s", s->example);
		err = FL_EUSAGE;
	}
	if (err) {
		conf_value_free(s, &l);
		return err;
	}
	conf_value_free(s, at);
	memcpy(at, &l, sizeof(l));
	return 0;
}

int conf_value_set(const struct conf_setting *s, void *at, const char *text, struct conf_how how,
		   const struct conf_place *place)
{
	uint64_t item[8] = {0}; /* bigger than any value that is no list */
	int err;

	if (s->flags & CONF_LIST)
		return set_list(s, at, text, how, place);
	err = conf_item_parse(s, text, item, place);
	if (err)
		return err;
	conf_item_free(s, at);
	memcpy(at, item, conf_item_size(s));
	return 0;
}
