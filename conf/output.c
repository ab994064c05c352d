/* output.c - one output: its defaults, its name, how -o writes it, and what does not go together.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "conf/suggest.h"
#include "conf/url.h"
#include "conf/value.h"

#define MAIN_SETTING_WANT                                                                          \
	"want - (standard output), file:PATH, http://HOST:PORT, https://HOST:PORT, unix:PATH, "    \
	"unixgram:PATH or udp:HOST:PORT"

enum {
	NAME_ROOM = 4096 + 512, /* the longest path or URL, and what is put around it */
	HASH_SIZE = 10,         /* "~" and eight digits, 0 */
	DEFAULT_BATCH_POINTS = 5000,
	DEFAULT_BATCH_BYTES = 1 << 20,
};

static const struct conf_setting *setting_of(enum conf_output_kind kind, const char *path)
{
	return conf_setting_find(&conf_output_groups[kind], path);
}

/* One setting's default. What must be given has none, but is a text all the same. */
static int set_initial(const struct conf_setting *s, struct conf_output *o)
{
	struct conf_errors none;
	struct conf_place place = {&none, NULL, 0, 0, NULL};
	struct conf_how how = {false, false};
	char *empty;

	if (s->flags & CONF_SOME) {
		empty = strdup("");
		memcpy(conf_at(s, o), &empty, sizeof(empty));
		return empty ? 0 : -ENOMEM;
	}
	conf_errors_init(&none);
	return conf_value_set(s, conf_at(s, o), s->initial, how, &place) ? -ENOMEM : 0;
}

int conf_output_init(struct conf_output *o, enum conf_output_kind kind)
{
	const struct conf_group *g = &conf_output_groups[kind];
	size_t i;

	memset(o, 0, sizeof(*o));
	o->kind = kind;
	o->batch_points = DEFAULT_BATCH_POINTS;
	o->batch_bytes = DEFAULT_BATCH_BYTES;
	o->batch_age_ns = 1000000000ULL;
	for (i = 0; i < g->n; i++) {
		if (set_initial(&g->settings[i], o)) {
			conf_group_free(g, o);
			memset(o, 0, sizeof(*o));
			return -ENOMEM;
		}
	}
	return 0;
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/: names apart, no defence against anyone. */
static unsigned int hash_of(const char *text)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ULL;
	return (unsigned int)(h ^ h >> 32);
}

static void http_name(const struct conf_output *o, char *out, size_t size)
{
	const char *of = *o->bucket ? o->bucket : o->database;
	const char *port;
	struct url u;
	size_t i, n;

	if (!url_split(&u, o->url)) {
		snprintf(out, size, "http:%s", o->url);
		return;
	}
	port = u.scheme.len == 5 ? "443" : "80";
	if (u.path.len == 1)
		u.path.len = 0;
	n = (size_t)snprintf(out, size, "http:%.*s:%.*s", (int)u.host.len, u.host.at,
			     u.port.at ? (int)u.port.len : 3, u.port.at ? u.port.at : port);
	for (i = 0; i < n && i < size; i++) /* names of hosts have no case */
		out[i] = (char)tolower((unsigned char)out[i]);
	if (n < size)
		snprintf(out + n, size - n, "%.*s%s%s", (int)u.path.len, u.path.at, *of ? "#" : "",
			 of);
}

/* As long as it is. */
static void whole_name(const struct conf_output *o, char out[NAME_ROOM])
{
	if (o->name && *o->name)
		snprintf(out, NAME_ROOM, "%s", o->name);
	else if (o->kind == CONF_OUTPUT_STDOUT)
		snprintf(out, NAME_ROOM, "stdout");
	else if (o->kind == CONF_OUTPUT_HTTP)
		http_name(o, out, NAME_ROOM);
	else if (o->kind == CONF_OUTPUT_UDP)
		snprintf(out, NAME_ROOM, "udp:%s", o->address);
	else
		snprintf(out, NAME_ROOM, "%s:%s", conf_output_kinds[o->kind], o->path);
}

/* Cut to size, with the hash of what it is a shorter form of. */
static void put_hashed(const char *name, const char *shown, char *out, size_t size)
{
	char hash[HASH_SIZE];
	size_t len = strlen(shown), room = size > sizeof(hash) ? size - sizeof(hash) : 0;

	if (len > room)
		for (len = room; len && ((unsigned char)shown[len] & 0xc0) == 0x80; len--)
			;
	snprintf(hash, sizeof(hash), "~%08x", hash_of(name));
	snprintf(out, size, "%.*s%s", (int)len, shown, hash);
}

void conf_output_name(const struct conf_output *o, char *out, size_t size)
{
	char name[NAME_ROOM];

	whole_name(o, name);
	if (strlen(name) < size)
		memcpy(out, name, strlen(name) + 1);
	else
		put_hashed(name, name, out, size);
}

void conf_output_dir_name(const struct conf_output *o, char *out, size_t size)
{
	char name[NAME_ROOM], safe[NAME_ROOM];
	bool changed = false;
	size_t i;

	whole_name(o, name);
	for (i = 0; name[i]; i++) {
		unsigned char c = (unsigned char)name[i];
		bool good = c < 0x80 && (isalnum(c) || strchr(".-_:", c));

		safe[i] = good ? name[i] : '_';
		changed = changed || !good;
	}
	safe[i] = '\0';
	if (!changed && i < size)
		memcpy(out, safe, i + 1);
	else
		put_hashed(name, safe, out, size);
}

const char *conf_label_mistake(const char *text)
{
	const char *p = text;

	for (; *p; p++)
		if ((unsigned char)*p >= 0x80 ||
		    (!isalnum((unsigned char)*p) && !strchr(".-_:", *p)))
			return "will not do as a name: want letters, digits, '.', '-', '_' and "
			       "':' only";
	if (!isalnum((unsigned char)*text) || strstr(text, ".."))
		return "will not do as a name: it begins with a letter or digit, and has no '..'";
	return NULL;
}

/* RFC 9110 sections 5.1 and 5.6.2. */
const char *conf_header_mistake(const char *text)
{
	static const char *const own[] = {"Content-Length", "Content-Encoding",
					  "Transfer-Encoding"};
	size_t len = strcspn(text, ":"), i;

	if (!len || !text[len])
		return "is not a header: want 'NAME: VALUE', such as 'X-Scope-OrgID: fleet'";
	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80 ||
		    (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i])))
			return "has a name with blanks or other characters that a header's name "
			       "cannot have";
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strlen(own[i]) == len && !strncasecmp(own[i], text, len))
			return "is a header that flowline itself sets: leave it out";
	return NULL;
}

/* Behind the scheme; "///x" is "/x" (RFC 8089 section 2), "//host:port" "host:port". */
static const char *behind(const char *text, const char *scheme, const char *slashes)
{
	size_t len = strlen(scheme);

	if (strncmp(text, scheme, len))
		return NULL;
	text += len;
	return strncmp(text, slashes, strlen(slashes)) ? text : text + 2;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* What was meant by a text that is no output. */
static void complain_unknown(const char *text, const struct conf_place *place)
{
	static const char *const schemes[] = {"file", "http",     "https", "unix",
					      "udp",  "unixgram", "stdout"};
	char shown[CONF_SHOWN_SIZE], word[16];
	size_t len = strcspn(text, ":");
	const char *rest = text[len] ? text + len + 1 : text, *meant = NULL;

	rest += strncmp(rest, "//", 2) ? 0 : 2;
	snprintf(word, sizeof(word), "%.*s", len < 13 ? (int)len : 13, text);
	if (!strcasecmp(word, "influx") || !strcasecmp(word, "influxdb") ||
	    !strcasecmp(word, "http") || !strcasecmp(word, "https"))
		conf_complain(place, "unknown output '%.*s:...' (did you mean '%s://%s'?)",
			      (int)len, text, strcasecmp(word, "https") ? "http" : "https",
			      conf_shown(rest, shown));
	else if (!strcasecmp(word, "tcp"))
		conf_complain(place,
			      "plain TCP is not spoken: want http://%s, or udp: or unix: for "
			      "Telegraf's socket_listener",
			      conf_shown(rest, shown));
	else if (*text && text[len] && !address_mistake(text))
		conf_complain(place, "unknown output '%s' (did you mean 'http://%s'?)",
			      conf_shown(text, shown), shown);
	else if (*text && (!text[len] || strchr("/.", *text)))
		conf_complain(place, "unknown output '%s' (did you mean '%s:%s'?)",
			      conf_shown(text, shown), is_socket(text) ? "unix" : "file", shown);
	else if (len < 13 && len > 2 && (meant = did_you_mean(word, schemes, 7)) != NULL)
		conf_complain(place, "unknown output '%s' (did you mean '%s'?): " MAIN_SETTING_WANT,
			      conf_shown(text, shown), meant);
	else
		conf_complain(place, "unknown output '%s': " MAIN_SETTING_WANT,
			      conf_shown(text, shown));
}

/* The one setting that text gives. */
static int set_main(struct conf_output *o, enum conf_output_kind kind, const char *setting,
		    const char *text, const struct conf_place *place)
{
	const struct conf_setting *s = setting_of(kind, setting);
	struct conf_how how = {false, true};

	if (conf_output_init(o, kind)) {
		conf_complain(place, "memory was refused");
		return FL_EUSAGE;
	}
	if (!setting || !conf_value_set(s, conf_at(s, o), text, how, place))
		return 0;
	conf_group_free(&conf_output_groups[kind], o);
	memset(o, 0, sizeof(*o));
	return FL_EUSAGE;
}

int conf_output_parse(const char *text, struct conf_output *o, const struct conf_place *place)
{
	const char *rest;
	int err;

	if (!strcmp(text, "-") || !strcmp(text, "stdout")) {
		if (!conf_output_init(o, CONF_OUTPUT_STDOUT))
			return 0;
		conf_complain(place, "memory was refused");
		return FL_EUSAGE;
	}
	if (!strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8))
		return set_main(o, CONF_OUTPUT_HTTP, "url", text, place);
	if ((rest = behind(text, "file:", "///")) != NULL && *rest)
		return set_main(o, CONF_OUTPUT_FILE, "path", rest, place);
	if ((rest = behind(text, "unix:", "///")) != NULL && *rest)
		return set_main(o, CONF_OUTPUT_UNIX, "path", rest, place);
	if ((rest = behind(text, "unixgram:", "///")) != NULL && *rest) {
		err = set_main(o, CONF_OUTPUT_UNIX, "path", rest, place);
		o->type = err ? CONF_UNIX_STREAM : CONF_UNIX_DATAGRAM;
		o->spool = false;
		return err;
	}
	if ((rest = behind(text, "udp:", "//")) != NULL && *rest)
		return set_main(o, CONF_OUTPUT_UDP, "address", rest, place);
	complain_unknown(text, place);
	return FL_EUSAGE;
}

static bool is_plain(const struct conf_output *o)
{
	return !strncasecmp(o->url, "http:", 5);
}

static bool two_identities(const struct conf_output *o)
{
	return *o->token && (*o->user || *o->password);
}

static bool password_alone(const struct conf_output *o)
{
	return *o->password && !*o->user;
}

static bool org_alone(const struct conf_output *o)
{
	return *o->org && !*o->bucket;
}

static bool policy_alone(const struct conf_output *o)
{
	return *o->retention_policy && !*o->database;
}

static bool two_targets(const struct conf_output *o)
{
	return *o->bucket && *o->database;
}

static bool database_twice(const struct conf_output *o)
{
	struct url u;

	return *o->database && url_split(&u, o->url) && url_has_key(&u, "db");
}

static bool bucket_twice(const struct conf_output *o)
{
	struct url u;

	return *o->bucket && url_split(&u, o->url) && url_has_key(&u, "bucket");
}

static bool cert_alone(const struct conf_output *o)
{
	return *o->cert_file && !*o->key_file;
}

static bool key_alone(const struct conf_output *o)
{
	return *o->key_file && !*o->cert_file;
}

static bool ca_unused(const struct conf_output *o)
{
	return *o->ca_file && o->insecure;
}

static bool insecure_plain(const struct conf_output *o)
{
	return o->insecure && is_plain(o);
}

static bool ca_plain(const struct conf_output *o)
{
	return *o->ca_file && is_plain(o);
}

static bool cert_plain(const struct conf_output *o)
{
	return *o->cert_file && is_plain(o);
}

static bool datagrams_spooled(const struct conf_output *o)
{
	return o->type == CONF_UNIX_DATAGRAM && o->spool;
}

const struct conf_output_rule conf_output_rules[] = {
    {CONF_OUTPUT_HTTP, "token", two_identities,
     "token and user or password do not go together: InfluxDB 2 and 3 want token, InfluxDB 1 "
     "wants user and password"},
    {CONF_OUTPUT_HTTP, "password", password_alone, "password without user: give both"},
    {CONF_OUTPUT_HTTP, "org", org_alone,
     "org without bucket: InfluxDB 2 wants both, InfluxDB 1 wants database"},
    {CONF_OUTPUT_HTTP, "retention_policy", policy_alone,
     "retention_policy without database: give both"},
    {CONF_OUTPUT_HTTP, "bucket", two_targets,
     "bucket and database do not go together: InfluxDB 1 wants database, InfluxDB 2 and 3 want "
     "bucket"},
    {CONF_OUTPUT_HTTP, "database", database_twice,
     "database is in the url too (db=): leave out one"},
    {CONF_OUTPUT_HTTP, "bucket", bucket_twice, "bucket is in the url too (bucket=): leave out one"},
    {CONF_OUTPUT_HTTP, "cert_file", cert_alone, "cert_file without key_file: give both"},
    {CONF_OUTPUT_HTTP, "key_file", key_alone, "key_file without cert_file: give both"},
    {CONF_OUTPUT_HTTP, "ca_file", ca_unused,
     "ca_file and insecure do not go together: insecure takes any certificate; leave one out"},
    {CONF_OUTPUT_HTTP, "insecure", insecure_plain,
     "insecure is for https://, and url is http://: leave it out"},
    {CONF_OUTPUT_HTTP, "ca_file", ca_plain,
     "ca_file is for https://, and url is http://, which nothing protects: mend url, or leave "
     "it out"},
    {CONF_OUTPUT_HTTP, "cert_file", cert_plain,
     "cert_file is for https://, and url is http://, which nothing protects: mend url, or leave "
     "it out"},
    {CONF_OUTPUT_UNIX, "spool", datagrams_spooled,
     "spool is for type: stream: nobody tells whether a datagram was taken in; leave it out"},
    {CONF_OUTPUT_STDOUT, NULL, NULL, NULL},
};
