/* conf.c - a configuration as a whole: defaults, copies, differences, --set, the environment, and
 * which interfaces the patterns mean.
 */
#include "conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "conf/suggest.h"
#include "conf/value.h"

enum { PATH_SIZE = 96, NAMES_MOST = 128 };

void conf_group_free(const struct conf_group *g, void *base)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		conf_value_free(&g->settings[i], conf_at(&g->settings[i], base));
}

int conf_group_copy(const struct conf_group *g, void *to, const void *from)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		const struct conf_setting *s = &g->settings[i];

		if (conf_value_copy(s, conf_at(s, to), conf_at(s, from)))
			return -ENOMEM;
	}
	return 0;
}

int conf_default(struct conf *c)
{
	struct conf_errors none;
	struct conf_place place = {&none, NULL, 0, 0, NULL};
	struct conf_how how = {false, false};
	size_t i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		conf_errors_init(&none);
		if (conf_value_set(s, conf_at(s, c), s->initial, how, &place)) {
			conf_free(c);
			return -ENOMEM; /* the tests know that the table is right */
		}
	}
	return 0;
}

int conf_copy(struct conf *to, const struct conf *from)
{
	int err;

	memset(to, 0, sizeof(*to));
	err = conf_group_copy(&conf_schema, to, from);
	if (err)
		conf_free(to);
	return err;
}

void conf_free(struct conf *c)
{
	conf_group_free(&conf_schema, c);
}

static char *value_text(const struct conf_setting *s, const struct conf *c, bool secrets)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	conf_value_print(out, s, conf_at(s, c), secrets);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* 1 or 0: differs or not; -ENOMEM. */
static int compare(const struct conf_setting *s, const struct conf *a, const struct conf *b)
{
	char *x = value_text(s, a, true), *y = value_text(s, b, true);
	int ret = !x || !y ? -ENOMEM : strcmp(x, y) != 0;

	free(x);
	free(y);
	return ret;
}

int conf_diff(const struct conf *before, const struct conf *now,
	      void (*differs)(void *ctx, const struct conf_setting *s, const char *before_text,
			      const char *now_text),
	      void *ctx)
{
	size_t i;
	int n = 0, d;

	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];
		char *x, *y;

		d = compare(s, before, now);
		if (d < 0)
			return d;
		if (!d)
			continue;
		n++;
		x = value_text(s, before, false);
		y = value_text(s, now, false);
		if (x && y)
			differs(ctx, s, x, y);
		d = x && y ? 0 : -ENOMEM;
		free(x);
		free(y);
		if (d)
			return d;
	}
	return n;
}

size_t conf_each_clash(const struct conf *c,
		       void (*tell)(void *ctx, const char *path, const char *other,
				    const char *text),
		       void *ctx)
{
	char a[CONF_UNIT_SIZE], b[CONF_UNIT_SIZE], text[PATH_SIZE * 2], path[PATH_SIZE];
	size_t n = 0, i;

	if (c->sending.retry_min_ns > c->sending.retry_max_ns) {
		conf_format_duration(c->sending.retry_min_ns, a);
		conf_format_duration(c->sending.retry_max_ns, b);
		snprintf(text, sizeof(text),
			 "sending.retry_min (%s) is more than "
			 "sending.retry_max (%s)",
			 a, b);
		tell(ctx, "sending.retry_min", "sending.retry_max", text);
		n++;
	}
	for (i = 0; i < c->outputs.n; i++) {
		const struct conf_output *o = &c->outputs.v[i];

		if (o->batch_bytes <= c->sending.queue_bytes)
			continue;
		snprintf(path, sizeof(path), "outputs[%zu].%s.batch_size", i + 1,
			 conf_output_kinds[o->kind]);
		conf_format_size(o->batch_bytes, a);
		conf_format_size(c->sending.queue_bytes, b);
		snprintf(text, sizeof(text),
			 "batch_size (%s) is more than sending.queue_size (%s): "
			 "a batch must fit in the queue",
			 a, b);
		tell(ctx, path, "sending.queue_size", text);
		n++;
	}
	return n;
}

static void add_clash(void *ctx, const char *path, const char *other, const char *text)
{
	(void)other;
	conf_errors_add(ctx, "%s: %s", path, text);
}

int conf_check(const struct conf *c, struct conf_errors *errors)
{
	return conf_each_clash(c, add_clash, errors) ? FL_EUSAGE : 0;
}

static void unknown_path(const struct conf_place *place, const char *path)
{
	const char *names[NAMES_MOST], *meant;
	char shown[CONF_SHOWN_SIZE];
	size_t i;

	for (i = 0; i < conf_schema.n && i < NAMES_MOST; i++)
		names[i] = conf_schema.settings[i].path;
	meant = did_you_mean(path, names, i);
	conf_shown(path, shown);
	if (conf_section_find(path))
		conf_complain(place, "'%s' is a section: want one of its settings", shown);
	else if (meant)
		conf_complain(place, "unknown setting '%s' (did you mean '%s'?)", shown, meant);
	else
		conf_complain(place,
			      "unknown setting '%s': 'flowline --print-default-config' lists "
			      "them",
			      shown);
}

int conf_set(struct conf *c, const char *path_value, struct conf_errors *errors)
{
	char path[PATH_SIZE], name[PATH_SIZE + 8], shown[CONF_SHOWN_SIZE];
	struct conf_place place = {errors, NULL, 0, 0, "--set"};
	struct conf_how how = {false, false};
	const char *eq = strchr(path_value, '=');
	const struct conf_setting *s;
	size_t len = eq ? (size_t)(eq - path_value) : 0;

	if (!len) {
		conf_complain(&place, "'%s' sets nothing: want PATH=VALUE, such as interval=10s",
			      conf_shown(path_value, shown));
		return FL_EUSAGE;
	}
	snprintf(path, sizeof(path), "%.*s", len < sizeof(path) ? (int)len : PATH_SIZE - 1,
		 path_value);
	if (!strncmp(path, "tags.", 5)) { /* one tag; its key may have dots */
		how.append = how.one = true;
		s = conf_setting_find(&conf_schema, "tags");
		place.path = "--set tags";
		return conf_value_set(s, conf_at(s, c), path_value + 5, how, &place);
	}
	s = conf_setting_find(&conf_schema, path);
	if (!s) {
		unknown_path(&place, path);
		return FL_EUSAGE;
	}
	snprintf(name, sizeof(name), "--set %s", path);
	place.path = name;
	return conf_value_set(s, conf_at(s, c), eq + 1, how, &place);
}

/* "flows.max_flows" as "FLOWLINE_FLOWS_MAX_FLOWS" */
static void env_name(const char *path, char out[PATH_SIZE])
{
	size_t n = (size_t)snprintf(out, PATH_SIZE, "FLOWLINE_");

	for (; *path && n < PATH_SIZE - 1; path++)
		out[n++] = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
	out[n] = '\0';
}

/* What Kubernetes gives every container for a service called flowline,
 * https://kubernetes.io/docs/tutorials/services/connect-applications-service/ */
static bool env_is_foreign(const char *name)
{
	return !strcmp(name, "FLOWLINE_CONFIG") || !strncmp(name, "FLOWLINE_SERVICE_", 17) ||
	       !strncmp(name, "FLOWLINE_PORT", 13);
}

static const struct conf_setting *env_setting(const char *name, bool *in_file)
{
	static const char file[] = "_FILE";
	char known[PATH_SIZE];
	size_t i, len;

	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		env_name(s->path, known);
		len = strlen(known);
		*in_file = (s->flags & CONF_SECRET) && !strncmp(name, known, len) &&
			   !strcmp(name + len, file);
		if (*in_file || !strcmp(name, known))
			return s;
	}
	return NULL;
}

static void unknown_env(struct conf_errors *errors, const char *name)
{
	char text[NAMES_MOST][PATH_SIZE];
	const char *names[NAMES_MOST], *meant;
	char shown[CONF_SHOWN_SIZE];
	size_t i;

	for (i = 0; i < conf_schema.n && i < NAMES_MOST; i++) {
		env_name(conf_schema.settings[i].path, text[i]);
		names[i] = text[i] + 9; /* the words differ behind FLOWLINE_ */
	}
	meant = did_you_mean(name + 9, names, i);
	conf_shown(name, shown);
	if (meant)
		conf_errors_add(errors,
				"unknown environment variable %s (did you mean FLOWLINE_%s?)",
				shown, meant);
	else
		conf_errors_add(errors,
				"unknown environment variable %s: unset it, or 'man flowline.yaml' "
				"tells how they are called",
				shown);
}

static void set_from_env(struct conf *c, const char *variable, struct conf_errors *errors)
{
	struct conf_place place = {errors, NULL, 0, 0, NULL};
	struct conf_how how = {false, false};
	const char *eq = strchr(variable, '=');
	size_t len = eq ? (size_t)(eq - variable) : 0;
	const struct conf_setting *s;
	char name[PATH_SIZE];
	bool in_file;
	int err;

	if (strncmp(variable, "FLOWLINE_", 9) || !len)
		return;
	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : PATH_SIZE - 1,
		 variable);
	if (env_is_foreign(name))
		return;
	s = env_setting(name, &in_file);
	if (!s) {
		unknown_env(errors, name);
		return;
	}
	place.path = name;
	err = in_file ? conf_secret_load(s, conf_at(s, c), eq + 1, &place)
		      : conf_value_set(s, conf_at(s, c), eq + 1, how, &place);
	(void)err; /* counted in errors */
}

int conf_env(struct conf *c, char *const *env, struct conf_errors *errors)
{
	size_t before = errors->n;
	struct conf next;

	if (conf_copy(&next, c)) {
		conf_errors_add(errors, "the environment: memory was refused");
		return FL_EUSAGE;
	}
	for (; env && *env; env++)
		set_from_env(&next, *env, errors);
	if (errors->n != before) {
		conf_free(&next);
		return FL_EUSAGE;
	}
	conf_free(c);
	*c = next;
	return 0;
}

bool conf_interface_wanted(const struct conf_strings *patterns, const char *name)
{
	bool named = false, fits = false;
	size_t i;

	for (i = 0; i < patterns->n; i++) {
		const char *p = patterns->v[i];

		if (*p == '!' && fnmatch(p + 1, name, 0) == 0)
			return false;
		if (*p != '!') {
			named = true;
			fits = fits || fnmatch(p, name, 0) == 0;
		}
	}
	return fits || !named;
}
