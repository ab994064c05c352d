/* load.c - a YAML tree into a configuration, as the schema says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/suggest.h"
#include "conf/tree.h"
#include "conf/value.h"

enum { PATH_SIZE = 160, KEYS_MOST = 64, SECRET_MOST = 65536 };

/* One map being read. */
struct reader {
	const struct conf_group *group;
	void *base;
	const char *shown; /* what messages write before a path: "outputs[1].file."; may be "" */
	struct conf_errors *errors;
	const char *file;
};

static struct conf_place place_of(const struct reader *r, const struct node *n, const char *path)
{
	struct conf_place p = {r->errors, r->file, n ? n->line : 0, n ? n->column : 0, path};

	return p;
}

static const char *kind_name(const struct node *n)
{
	return n->kind == NODE_LIST ? "a list" : n->kind == NODE_MAP ? "a map" : "a value";
}

/* The settings and sections right below prefix ("flows."), as names[]. */
static size_t children(const struct conf_group *g, const char *prefix, char (*text)[PATH_SIZE],
		       const char **names)
{
	size_t len = strlen(prefix), n = 0, i, j;

	for (i = 0; i < g->n && n < KEYS_MOST; i++) {
		const char *rest = g->settings[i].path + len;

		if (strncmp(g->settings[i].path, prefix, len))
			continue;
		snprintf(text[n], PATH_SIZE, "%.*s", (int)strcspn(rest, "."), rest);
		for (j = 0; j < n && strcmp(text[j], text[n]); j++)
			;
		if (j == n) {
			names[n] = text[n];
			n++;
		}
	}
	return n;
}

/* The only setting, of whatever section, whose last part is this key, or NULL. */
static const char *elsewhere(const struct conf_group *g, const char *key)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i < g->n; i++) {
		const char *dot = strrchr(g->settings[i].path, '.');

		if (strcmp(dot ? dot + 1 : g->settings[i].path, key))
			continue;
		if (found)
			return NULL;
		found = g->settings[i].path;
	}
	return found;
}

static void unknown_key(const struct reader *r, const char *prefix, const struct node *key)
{
	struct conf_place at = place_of(r, key, NULL);
	char text[KEYS_MOST][PATH_SIZE], shown[CONF_SHOWN_SIZE], where[PATH_SIZE + 8] = "";
	const char *names[KEYS_MOST], *meant, *other;
	size_t n = children(r->group, prefix, text, names);
	int len = (int)(strlen(r->shown) + strlen(prefix));

	conf_shown(key->text, shown);
	if (conf_setting_find(r->group, key->text) && strchr(key->text, '.')) {
		conf_complain(&at,
			      "unknown key '%s': want one key for each part, as in %.*s: {%s: ...}",
			      shown, (int)strcspn(shown, "."), shown, strchr(shown, '.') + 1);
		return;
	}
	if (len)
		snprintf(where, sizeof(where), " in '%.*s'", len - 1, *prefix ? prefix : r->shown);
	if (*prefix && *r->shown)
		snprintf(where, sizeof(where), " in '%s%.*s'", r->shown, (int)strlen(prefix) - 1,
			 prefix);
	meant = did_you_mean(key->text, names, n);
	other = meant ? NULL : elsewhere(r->group, key->text);
	if (meant)
		conf_complain(&at, "unknown key '%s'%s (did you mean '%s'?)", shown, where, meant);
	else if (other)
		conf_complain(&at, "unknown key '%s'%s (did you mean %s'%s'?)", shown, where,
			      strchr(other, '.') ? "" : "the outermost ", other);
	else
		conf_complain(&at,
			      "unknown key '%s'%s: 'flowline --print-default-config' lists them",
			      shown, where);
}

/* The scalar's text, or NULL after complaining. */
static const char *scalar(const struct node *n, const struct conf_setting *s,
			  const struct conf_place *at)
{
	if (n->kind == NODE_SCALAR && !n->null)
		return n->text;
	if (n->kind == NODE_SCALAR)
		conf_complain(at, "has no value: want such as %s", s->example);
	else
		conf_complain(at, "%s will not do: want a single value, such as %s", kind_name(n),
			      s->example);
	return NULL;
}

static int read_map(const struct reader *r, const char *prefix, const struct node *map);

static int read_exclude(const struct reader *r, const struct node *n, const char *path,
			struct conf_exclude *rule)
{
	struct reader inner = *r;
	struct conf_place at = place_of(r, n, path);
	char shown[PATH_SIZE];

	if (n->kind != NODE_MAP || !n->n) {
		conf_complain(&at, "a rule wants cidr, port or process, such as {port: 22}");
		return FL_EUSAGE;
	}
	snprintf(shown, sizeof(shown), "%.150s.", path);
	inner.group = &conf_exclude_group;
	inner.base = rule;
	inner.shown = shown;
	if (read_map(&inner, "", n))
		return FL_EUSAGE;
	if (rule->cidr.n || rule->port.n || rule->process.n)
		return 0;
	conf_complain(&at, "the rule names nothing, and would leave out all traffic");
	return FL_EUSAGE;
}

/* The value of a map's key, or the key itself, or NULL. */
static const struct node *value_of(const struct node *map, const char *key, bool want_key)
{
	size_t i;

	for (i = 0; map->kind == NODE_MAP && i < map->n; i += 2)
		if (map->items[i]->kind == NODE_SCALAR && !strcmp(map->items[i]->text, key))
			return map->items[i + !want_key];
	return NULL;
}

/* The kind that the key names; or complains and returns -1. */
static int output_kind(const struct node *key, const struct conf_place *at)
{
	char text[CONF_SHOWN_SIZE];
	const char *meant;
	int kind;

	for (kind = 0; conf_output_kinds[kind]; kind++)
		if (!strcmp(conf_output_kinds[kind], key->text))
			return kind;
	meant = did_you_mean(key->text, conf_output_kinds, (size_t)kind);
	conf_shown(key->text, text);
	if (meant)
		conf_complain(at, "unknown output '%s' (did you mean '%s'?)", text, meant);
	else
		conf_complain(at,
			      "unknown output '%s': want stdout, file, http (InfluxDB and all that "
			      "speak its protocol), unix or udp",
			      text);
	return -1;
}

/* A setting that this kind has not, though others have. */
static int check_spool(const struct reader *r, const struct conf_output *out,
		       const struct node *map, const char *path)
{
	const struct node *key = value_of(map, "spool", true);
	struct conf_place at;

	if (!key || conf_setting_find(r->group, "spool"))
		return 0;
	at = place_of(r, key, path);
	conf_complain(
	    &at,
	    "spool is not for %s, only for http and for unix streams: nothing tells later "
	    "what arrived; leave it out",
	    conf_output_kinds[out->kind]);
	return FL_EUSAGE;
}

/* A secret both there and in a file: which one counts? */
static int check_secrets(const struct reader *r, const struct node *map, const char *path)
{
	char file[PATH_SIZE];
	int err = 0;
	size_t i;

	for (i = 0; i < r->group->n; i++) {
		const struct conf_setting *s = &r->group->settings[i];
		const struct node *key;
		struct conf_place at;

		snprintf(file, sizeof(file), "%s_file", s->path);
		key = s->flags & CONF_SECRET ? value_of(map, file, true) : NULL;
		if (!key || !value_of(map, s->path, true))
			continue;
		at = place_of(r, key, path);
		conf_complain(&at, "%s and %s are both given: leave one out", s->path, file);
		err = FL_EUSAGE;
	}
	return err;
}

/* What must be there, and the rules between settings. */
static int check_output(const struct reader *r, struct conf_output *out, const struct node *n,
			const struct node *map, const char *path)
{
	const struct conf_output_rule *rule = conf_output_rules;
	struct conf_place at = place_of(r, n, path);
	int err = check_secrets(r, map, path);
	size_t i;

	for (i = 0; i < r->group->n; i++) {
		const struct conf_setting *s = &r->group->settings[i];
		char *value;

		if (!(s->flags & CONF_SOME))
			continue;
		memcpy(&value, conf_at(s, out), sizeof(value));
		if (*value)
			continue;
		conf_complain(&at, "%s: '%s' is missing: want such as %s",
			      conf_output_kinds[out->kind], s->path, s->example);
		return FL_EUSAGE;
	}
	if (out->kind == CONF_OUTPUT_UNIX && out->type == CONF_UNIX_DATAGRAM &&
	    !value_of(map, "spool", true))
		out->spool = false;
	for (; rule->setting; rule++) {
		const struct node *key = value_of(map, rule->setting, true);

		if (rule->kind != out->kind || !rule->broken(out))
			continue;
		at = place_of(r, key ? key : n, path);
		conf_complain(&at, "%s", rule->text);
		err = FL_EUSAGE;
	}
	return err;
}

/* {KIND: {settings}} */
static int read_output(const struct reader *r, const struct node *n, const char *path,
		       struct conf_output *out)
{
	struct conf_place at = place_of(r, n, path);
	struct reader inner = *r;
	const struct node *map;
	char shown[PATH_SIZE];
	int kind, err;

	if (n->kind != NODE_MAP || n->n != 2 || n->items[0]->kind != NODE_SCALAR) {
		conf_complain(&at, "want stdout, or one kind and its settings, such as {file: "
				   "{path: PATH}} or {http: {url: URL}}");
		return FL_EUSAGE;
	}
	map = n->items[1];
	at = place_of(r, n->items[0], path);
	kind = output_kind(n->items[0], &at);
	if (kind < 0)
		return FL_EUSAGE;
	if (conf_output_init(out, (enum conf_output_kind)kind)) {
		conf_complain(&at, "memory was refused");
		return FL_EUSAGE;
	}
	snprintf(shown, sizeof(shown), "%.120s.%s.", path, conf_output_kinds[kind]);
	inner.group = &conf_output_groups[kind];
	inner.base = out;
	inner.shown = shown;
	err = check_spool(&inner, out, map, path);
	if (err || read_map(&inner, "", map))
		return FL_EUSAGE;
	return check_output(&inner, out, n, map, path);
}

/* {NAME: VALUE}, as YAML reads "- X-Name: value" where it stands without quotes. */
static int read_header(const struct reader *r, const struct conf_setting *s,
		       struct node *const *pair, const char *path, void *to)
{
	struct conf_place at = place_of(r, pair[0], path);
	const char *value;
	size_t size;
	char *text;
	int err;

	if (pair[0]->kind != NODE_SCALAR || pair[1]->kind != NODE_SCALAR) {
		conf_complain(&at, "a header wants a name and a single value, such as %s",
			      s->example);
		return FL_EUSAGE;
	}
	value = pair[1]->null ? "" : pair[1]->text;
	size = strlen(pair[0]->text) + strlen(value) + 3;
	text = malloc(size);
	if (!text) {
		conf_complain(&at, "memory was refused");
		return FL_EUSAGE;
	}
	snprintf(text, size, "%s: %s", pair[0]->text, value);
	err = conf_item_parse(s, text, to, &at);
	free(text);
	return err;
}

static int read_item(const struct reader *r, const struct conf_setting *s, const struct node *n,
		     const char *path, void *to)
{
	struct conf_place at = place_of(r, n, path);
	const char *text;
	int err;

	if (s->type == CONF_HEADER && n->kind == NODE_MAP && n->n == 2)
		return read_header(r, s, n->items, path, to);
	if (s->type == CONF_EXCLUDE) {
		err = read_exclude(r, n, path, to);
	} else if (s->type == CONF_OUTPUT && n->kind != NODE_SCALAR) {
		err = read_output(r, n, path, to);
	} else {
		text = scalar(n, s, &at);
		return text ? conf_item_parse(s, text, to, &at) : FL_EUSAGE;
	}
	if (err)
		conf_item_free(s, to);
	return err;
}

union item {
	uint64_t align;
	char room[sizeof(struct conf_exclude) + sizeof(struct conf_output)];
};

static int read_tags(const struct reader *r, const struct conf_setting *s, const struct node *map,
		     const char *path, struct conf_list *l)
{
	int err = 0;
	size_t i;

	for (i = 0; i < map->n && l->n < s->items_most; i += 2) {
		const struct node *key = map->items[i], *value = map->items[i + 1];
		struct conf_place at = place_of(r, key, path);
		struct conf_tag tag = {NULL, NULL};
		char shown[CONF_SHOWN_SIZE], *text;

		if (key->kind != NODE_SCALAR || value->kind != NODE_SCALAR || value->null ||
		    !*value->text || !*key->text || strchr(key->text, '=')) {
			if (key->kind == NODE_SCALAR)
				at = place_of(r, value, path);
			conf_complain(&at, "'%s' is not a tag: want KEY: VALUE, such as env: prod",
				      key->kind == NODE_SCALAR ? conf_shown(key->text, shown)
							       : kind_name(key));
			err = FL_EUSAGE;
			continue;
		}
		text = malloc(strlen(key->text) + strlen(value->text) + 2);
		if (!text) {
			conf_complain(&at, "memory was refused");
			return FL_EUSAGE;
		}
		snprintf(text, strlen(key->text) + strlen(value->text) + 2, "%s=%s", key->text,
			 value->text);
		if (conf_item_parse(s, text, &tag, &at) || conf_list_add(s, l, &tag, &at))
			err = FL_EUSAGE;
		free(text);
	}
	if (i < map->n) {
		struct conf_place at = place_of(r, map->items[i], path);

		conf_complain(&at, "more than %zu tags: leave some out", s->items_most);
		err = FL_EUSAGE;
	}
	return err;
}

/* All of a map. */
static int read_headers(const struct reader *r, const struct conf_setting *s,
			const struct node *map, const char *path, struct conf_list *l)
{
	size_t i;
	int err = 0;

	for (i = 0; i < map->n; i += 2) {
		struct conf_place at = place_of(r, map->items[i], path);
		char *item = NULL;

		if (read_header(r, s, map->items + i, path, &item))
			err = FL_EUSAGE;
		else if (conf_list_add(s, l, &item, &at))
			return FL_EUSAGE;
	}
	return err;
}

/* A list's items; a single value is a list of one. */
static int read_items(const struct reader *r, const struct conf_setting *s, const struct node *n,
		      const char *path, struct conf_list *l)
{
	struct node *const *items = n->kind == NODE_LIST ? n->items : (struct node *const *)&n;
	size_t count = n->kind == NODE_LIST ? n->n : !n->null, i;
	char name[PATH_SIZE];
	union item item;
	int err = 0;

	for (i = 0; i < count; i++) {
		struct conf_place at = place_of(r, items[i], path);

		memset(&item, 0, sizeof(item));
		snprintf(name, sizeof(name), "%.130s[%zu]", path, i + 1);
		if (read_item(r, s, items[i], s->type < CONF_EXCLUDE ? path : name, &item))
			err = FL_EUSAGE;
		else if (conf_list_add(s, l, &item, &at))
			return FL_EUSAGE;
		if (i >= s->items_most && err)
			return err;
	}
	return err;
}

static int read_list(const struct reader *r, const struct conf_setting *s, const struct node *n,
		     const char *path, void *to)
{
	struct conf_place at = place_of(r, n, path);
	struct conf_list l = {NULL, 0};
	int err;

	if (s->type == CONF_TAG && n->kind == NODE_MAP)
		err = read_tags(r, s, n, path, &l);
	else if (s->type == CONF_TAG && !n->null) {
		conf_complain(&at, "%s will not do: want a map, such as %s", kind_name(n),
			      s->example);
		err = FL_EUSAGE;
	} else if (n->kind == NODE_MAP && s->type == CONF_HEADER) {
		err = read_headers(r, s, n, path, &l);
	} else if (n->kind == NODE_MAP && s->type < CONF_EXCLUDE) {
		conf_complain(&at, "a map will not do: want a list, such as %s", s->example);
		err = FL_EUSAGE;
	} else {
		err = read_items(r, s, n, path, &l);
	}
	if (!err && !l.n && (s->flags & CONF_SOME)) {
		conf_complain(&at, "is empty: want at least one, such as %s", s->example);
		err = FL_EUSAGE;
	}
	if (err) {
		conf_value_free(s, &l);
		return err;
	}
	conf_value_free(s, to);
	memcpy(to, &l, sizeof(l));
	return 0;
}

static int read_value(const struct reader *r, const struct conf_setting *s, const struct node *n)
{
	struct conf_how how = {false, true};
	struct conf_place at;
	char path[PATH_SIZE];
	const char *text;

	snprintf(path, sizeof(path), "%s%s", r->shown, s->path);
	if (s->flags & CONF_LIST)
		return read_list(r, s, n, path, conf_at(s, r->base));
	at = place_of(r, n, path);
	text = scalar(n, s, &at);
	return text ? conf_value_set(s, conf_at(s, r->base), text, how, &at) : FL_EUSAGE;
}

/* KEY_file of a secret KEY: its setting, else NULL. */
static const struct conf_setting *secret_of(const struct conf_group *g, const char *path)
{
	size_t len = strlen(path), i;

	for (i = 0; i < g->n && len > 5 && !strcmp(path + len - 5, "_file"); i++) {
		const struct conf_setting *s = &g->settings[i];

		if ((s->flags & CONF_SECRET) && strlen(s->path) == len - 5 &&
		    !strncmp(s->path, path, len - 5))
			return s;
	}
	return NULL;
}

static int read_secret(const struct reader *r, const struct conf_setting *s, const char *path,
		       const struct node *n)
{
	char shown[2 * PATH_SIZE];
	struct conf_place at;
	const char *file;

	snprintf(shown, sizeof(shown), "%.159s%.159s", r->shown, path);
	at = place_of(r, n, shown);
	file = scalar(n, s, &at);
	return file ? conf_secret_load(s, conf_at(s, r->base), file, &at) : FL_EUSAGE;
}

static bool is_section(const struct conf_group *g, const char *path)
{
	size_t len = strlen(path), i;

	for (i = 0; i < g->n; i++)
		if (!strncmp(g->settings[i].path, path, len) && g->settings[i].path[len] == '.')
			return true;
	return false;
}

/* The key's value. 0 or FL_EUSAGE, complained of. */
static int read_key(const struct reader *r, const char *prefix, const struct node *key,
		    const struct node *value)
{
	const struct conf_setting *s;
	char path[2 * PATH_SIZE];

	if (strlen(prefix) + strlen(key->text) + 2 > PATH_SIZE || strchr(key->text, '.')) {
		unknown_key(r, prefix, key);
		return FL_EUSAGE;
	}
	snprintf(path, sizeof(path), "%.159s%.159s", prefix, key->text);
	s = conf_setting_find(r->group, path);
	if (s)
		return read_value(r, s, value);
	s = secret_of(r->group, path);
	if (s)
		return read_secret(r, s, path, value);
	if (is_section(r->group, path)) {
		snprintf(path, sizeof(path), "%.159s%.158s.", prefix, key->text);
		return read_map(r, path, value);
	}
	unknown_key(r, prefix, key);
	return FL_EUSAGE;
}

/* The first key of map, before the one at i, that is the same; NULL: none. */
static const struct node *same_key(const struct node *map, size_t i)
{
	size_t j;

	for (j = 0; j < i && j < 2 * KEYS_MOST; j += 2)
		if (map->items[j]->kind == NODE_SCALAR &&
		    !strcmp(map->items[j]->text, map->items[i]->text))
			return map->items[j];
	return NULL;
}

static int read_map(const struct reader *r, const char *prefix, const struct node *map)
{
	char name[2 * PATH_SIZE], shown[CONF_SHOWN_SIZE];
	struct conf_place at;
	size_t i;
	int err = 0;

	snprintf(name, sizeof(name), "%s%s", r->shown, prefix);
	if (*name)
		name[strlen(name) - 1] = '\0';
	at = place_of(r, map, *name ? name : NULL);
	if (map->kind == NODE_SCALAR && map->null)
		return 0; /* a section whose settings are all comments */
	if (map->kind != NODE_MAP) {
		conf_complain(&at, "%s will not do: want settings, each in a line KEY: VALUE",
			      map->kind == NODE_LIST ? "a list" : "a single value");
		return FL_EUSAGE;
	}
	for (i = 0; i < map->n; i += 2) {
		const struct node *key = map->items[i], *first;

		at = place_of(r, key, NULL);
		if (key->kind != NODE_SCALAR) {
			conf_complain(&at, "%s cannot be a key", kind_name(key));
			err = FL_EUSAGE;
			continue;
		}
		first = same_key(map, i);
		if (first) {
			conf_complain(&at, "'%s' is given twice (first in line %u): leave one out",
				      conf_shown(key->text, shown), first->line);
			err = FL_EUSAGE;
		} else if (read_key(r, prefix, key, map->items[i + 1])) {
			err = FL_EUSAGE;
		}
	}
	return err;
}

int conf_load_group(const struct conf_group *g, void *base, const char *path, const char *text,
		    size_t len, struct conf_errors *errors)
{
	struct reader r = {g, base, "", errors, path};
	struct conf_place at = {errors, path, 0, 0, NULL};
	struct tree t;
	int err = tree_parse(&t, text, len, &at);

	if (!err && t.root)
		err = read_map(&r, "", t.root);
	tree_free(&t);
	return err;
}

/* The node of "outputs[2].http.batch_size"; NULL: the file does not have it. */
static const struct node *node_at(const struct node *n, const char *path)
{
	char key[PATH_SIZE];

	while (n && *path) {
		size_t len = strcspn(path, ".[");

		if (*path == '[') {
			size_t i = strtoul(path + 1, NULL, 10);

			if (n->kind == NODE_LIST)
				n = i && i <= n->n ? n->items[i - 1] : NULL;
			path += strcspn(path, ".");
		} else {
			snprintf(key, sizeof(key), "%.*s", (int)len, path);
			n = value_of(n, key, false);
			path += len;
		}
		path += *path == '.';
	}
	return n;
}

struct clash {
	const struct reader *r;
	const struct node *root;
};

static void complain_clash(void *ctx, const char *path, const char *other, const char *text)
{
	const struct clash *c = ctx;
	const struct node *n = node_at(c->root, path), *m = n ? n : node_at(c->root, other);
	struct conf_place at = place_of(c->r, m, n || !m ? path : other);

	conf_complain(&at, "%s", text);
}

int conf_load_text(struct conf *c, const char *path, const char *text, size_t len,
		   struct conf_errors *errors)
{
	struct conf_place at = {errors, path, 0, 0, NULL};
	struct conf next;
	struct reader r = {&conf_schema, &next, "", errors, path};
	struct clash clash = {&r, NULL};
	struct tree t;
	int err;

	if (conf_copy(&next, c)) {
		conf_errors_add(errors, "%s: memory was refused", path);
		return FL_EUSAGE;
	}
	err = tree_parse(&t, text, len, &at);
	if (!err && t.root)
		err = read_map(&r, "", t.root);
	clash.root = t.root;
	if (!err && t.root && conf_each_clash(&next, complain_clash, &clash))
		err = FL_EUSAGE;
	tree_free(&t);
	if (err) {
		conf_free(&next);
		return err;
	}
	conf_free(c);
	*c = next;
	return 0;
}

int conf_value_set_yaml(const struct conf_setting *s, void *at, const char *text,
			const struct conf_place *place)
{
	struct reader r = {NULL, NULL, "", place->errors, NULL};
	struct tree t;
	int err = tree_parse(&t, text, strlen(text), place);

	if (!err && t.root)
		err = read_list(&r, s, t.root, place->path, at);
	tree_free(&t);
	return err;
}

/* The whole file, at most `most` bytes and a final 0. NULL with errno set; EFBIG: it is bigger. */
static char *read_file(const char *path, size_t most, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	char *text = fd < 0 ? NULL : malloc(most + 2);
	ssize_t n = 0;

	*len = 0;
	while (text && *len <= most && (n = read(fd, text + *len, most + 1 - *len)) != 0) {
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	saved = *len > most ? EFBIG : errno;
	if (text && (n < 0 || *len > most)) {
		free(text);
		text = NULL;
	}
	if (text)
		text[*len] = '\0';
	if (fd >= 0)
		close(fd);
	errno = saved;
	return text;
}

int conf_load_file(struct conf *c, const char *path, struct conf_errors *errors)
{
	size_t len;
	char *text = read_file(path, CONF_FILE_MOST, &len);
	int err;

	if (!text) {
		if (errno == EFBIG)
			conf_errors_add(errors, "%s: is larger than 1 MiB: is it a configuration?",
					path);
		else
			conf_errors_add(errors, "%s: cannot be read: %s", path, strerror(errno));
		return FL_EUSAGE;
	}
	err = conf_load_text(c, path, text, len, errors);
	free(text);
	return err;
}

int conf_secret_load(const struct conf_setting *s, void *at, const char *file,
		     const struct conf_place *place)
{
	struct conf_how how = {false, true};
	char shown[CONF_SHOWN_SIZE];
	size_t len;
	char *text = read_file(file, SECRET_MOST, &len);
	int err = FL_EUSAGE;

	if (!text) {
		conf_complain(place, "%s cannot be read: %s", conf_shown(file, shown),
			      strerror(errno));
		return FL_EUSAGE;
	}
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	if (!len)
		conf_complain(place, "%s is empty", conf_shown(file, shown));
	else if (strlen(text) != len)
		conf_complain(place, "%s holds a 0 byte", conf_shown(file, shown));
	else
		err = conf_value_set(s, at, text, how, place);
	free(text);
	return err;
}
