/* value.c - single values: text to value and back. Lists of them are in list.c. */
#include "conf/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/suggest.h"
#include "conf/url.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", NS_PER_MS},      {"s", NS_PER_S},         {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},           {"k", 1ULL << 10}, {"K", 1ULL << 10}, {"M", 1ULL << 20},
    {"G", 1ULL << 30}, {"T", 1ULL << 40}, {NULL, 0},
};

/* Digits at *s, *s moved behind them. False where there are none or too many. */
static bool digits(const char **s, uint64_t *value)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	if (p == *s)
		return false;
	*value = v;
	*s = p;
	return true;
}

static bool number_with_unit(const char *s, const struct unit *units, uint64_t *value)
{
	uint64_t v;

	if (!digits(&s, &v))
		return false;
	for (; units->suffix; units++) {
		if (strcmp(s, units->suffix))
			continue;
		if (v > UINT64_MAX / units->factor)
			return false;
		*value = v * units->factor;
		return true;
	}
	return false;
}

bool conf_parse_duration(const char *text, uint64_t *ns)
{
	return number_with_unit(text, time_units, ns);
}

bool conf_parse_size(const char *text, uint64_t *bytes)
{
	return number_with_unit(text, size_units, bytes);
}

/* In the biggest unit that leaves a whole number; days from two on, minutes from two on: 24h, 60s
 * are what people write. */
static void format_with_unit(uint64_t v, const struct unit *units, char out[CONF_UNIT_SIZE])
{
	const struct unit *u = units, *best = units;

	for (; u->suffix; u++) {
		bool alone = v == u->factor && (!strcmp(u->suffix, "d") || !strcmp(u->suffix, "m"));

		if (u->factor > best->factor && v >= u->factor && v % u->factor == 0 && !alone)
			best = u;
	}
	snprintf(out, CONF_UNIT_SIZE, "%" PRIu64 "%s", v / best->factor, best->suffix);
}

void conf_format_duration(uint64_t ns, char out[CONF_UNIT_SIZE])
{
	if (ns)
		format_with_unit(ns, time_units, out);
	else
		snprintf(out, CONF_UNIT_SIZE, "0s");
}

void conf_format_size(uint64_t bytes, char out[CONF_UNIT_SIZE])
{
	format_with_unit(bytes, size_units, out);
}

bool conf_is_text(const struct conf_setting *s)
{
	switch (s->type) {
	case CONF_STRING:
	case CONF_WORD:
	case CONF_IFACE:
	case CONF_LABEL:
	case CONF_URL:
	case CONF_PROXY:
	case CONF_ADDRESS:
	case CONF_HEADER:
		return true;
	default:
		return false;
	}
}

size_t conf_item_size(const struct conf_setting *s)
{
	switch (s->type) {
	case CONF_BOOL:
		return sizeof(bool);
	case CONF_COUNT:
	case CONF_SIZE:
		return sizeof(size_t);
	case CONF_DURATION:
		return sizeof(uint64_t);
	case CONF_PERCENT:
	case CONF_ENUM:
		return sizeof(unsigned int);
	case CONF_PORT:
		return sizeof(uint16_t);
	case CONF_NET:
		return sizeof(struct ip_net);
	case CONF_TAG:
		return sizeof(struct conf_tag);
	case CONF_EXCLUDE:
		return sizeof(struct conf_exclude);
	case CONF_OUTPUT:
		return sizeof(struct conf_output);
	default: /* texts */
		return sizeof(char *);
	}
}

static int no_memory(const struct conf_place *place)
{
	conf_complain(place, "memory was refused");
	return FL_EUSAGE;
}

static int parse_units(const struct conf_setting *s, const char *text, void *to,
		       const struct conf_place *place)
{
	bool time = s->type == CONF_DURATION;
	char least[CONF_UNIT_SIZE], most[CONF_UNIT_SIZE], shown[CONF_SHOWN_SIZE];
	const struct unit *units = time ? time_units : size_units;
	uint64_t v;
	size_t size;

	if (number_with_unit(text, units, &v) && v >= s->least && v <= s->most &&
	    (time || v <= SIZE_MAX)) {
		size = (size_t)v;
		memcpy(to, time ? (void *)&v : (void *)&size, time ? sizeof(v) : sizeof(size));
		return 0;
	}
	(time ? conf_format_duration : conf_format_size)(s->least, least);
	(time ? conf_format_duration : conf_format_size)(s->most, most);
	conf_complain(place, "'%s' is not %s: want %s to %s, such as %s", conf_shown(text, shown),
		      time ? "a duration" : "a size", least, most, s->example);
	return FL_EUSAGE;
}

static int parse_count(const struct conf_setting *s, const char *text, void *to,
		       const struct conf_place *place)
{
	char shown[CONF_SHOWN_SIZE];
	const char *p = text;
	uint64_t v = 0;
	size_t count;
	bool found = (s->flags & CONF_AUTO) && !strcmp(text, "auto");

	if (!found)
		found = digits(&p, &v) && !*p && v >= s->least && v <= s->most;
	if (!found) {
		conf_complain(place,
			      "'%s' will not do: want a number from %" PRIu64 " to %" PRIu64 "%s",
			      conf_shown(text, shown), s->least, s->most,
			      s->flags & CONF_AUTO ? ", or auto" : "");
		return FL_EUSAGE;
	}
	count = (size_t)v;
	memcpy(to, &count, sizeof(count));
	return 0;
}

static int parse_percent(const struct conf_setting *s, const char *text, void *to,
			 const struct conf_place *place)
{
	char shown[CONF_SHOWN_SIZE];
	const char *p = text;
	unsigned int percent;
	uint64_t v;

	if (!digits(&p, &v) || (*p && strcmp(p, "%")) || v < s->least || v > s->most) {
		conf_complain(
		    place, "'%s' is not a share: want %" PRIu64 "%% to %" PRIu64 "%%, such as %s",
		    conf_shown(text, shown), s->least, s->most, s->example);
		return FL_EUSAGE;
	}
	percent = (unsigned int)v;
	memcpy(to, &percent, sizeof(percent));
	return 0;
}

/* The words of YAML 1.1, https://yaml.org/type/bool.html, without y and n. */
static int parse_bool(const char *text, void *to, const struct conf_place *place)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	char shown[CONF_SHOWN_SIZE];
	size_t i;
	bool value;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(text, words[i])) {
			value = i % 2;
			memcpy(to, &value, sizeof(value));
			return 0;
		}
	}
	conf_complain(place, "'%s' will not do: want true or false", conf_shown(text, shown));
	return FL_EUSAGE;
}

static size_t count_words(const char *const *words)
{
	size_t n;

	for (n = 0; words[n]; n++)
		;
	return n;
}

/* The index of text in words, or complains and returns -1. Many words are not listed. */
static int parse_word(const char *const *words, const char *text, const struct conf_place *place)
{
	size_t n = count_words(words), i, len = 0;
	char list[256] = "", shown[CONF_SHOWN_SIZE];
	const char *meant = did_you_mean(text, words, n);

	for (i = 0; i < n; i++)
		if (!strcmp(words[i], text))
			return (int)i;
	for (i = 0; n < 10 && i < n && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
					!i          ? ": want "
					: i + 1 < n ? ", "
						    : " or ",
					words[i]);
	conf_shown(text, shown);
	if (meant)
		conf_complain(place, "'%s' is not known%s (did you mean '%s'?)", shown, list,
			      meant);
	else if (n < 10)
		conf_complain(place, "'%s' is not known%s", shown, list);
	else
		conf_complain(place, "'%s' is not known: flowline.yaml(5) lists what is", shown);
	return -1;
}

/* One character of UTF-8 (RFC 3629) at *s, *s moved behind it; 0 where it is none. */
static uint32_t next_character(const unsigned char **s)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *p = *s;
	unsigned int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3, i;
	uint32_t c = more == 0 ? *p : *p & (0x3fU >> more);

	if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
		return 0;
	for (i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the final 0, too */
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*s = p + more + 1;
	return c < least[more] || c > 0x10ffff ? 0 : c;
}

/* A line of what YAML 1.1 calls printable, section 5.1: the same texts from everywhere. */
static bool is_clean(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		uint32_t c = next_character(&p);

		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000) ||
		    c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff)
			return false;
	}
	return true;
}

/* An interface's name as dev_valid_name(), net/core/dev.c, has it, with glob(7)'s characters. */
static bool iface_valid(const char *s)
{
	size_t len;

	s += *s == '!';
	len = strlen(s);
	if (!len || len > (strpbrk(s, "[]") ? 4 * CONF_IFACE_MOST : CONF_IFACE_MOST) ||
	    !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	return !strpbrk(s, "/: \t\n\v\f\r") && is_clean(s);
}

/* What is wrong with a text that has a form of its own; NULL: nothing. */
static const char *form_mistake(const struct conf_setting *s, const char *text)
{
	switch (s->type) {
	case CONF_LABEL:
		return conf_label_mistake(text);
	case CONF_URL:
		return url_mistake(text);
	case CONF_PROXY:
		return proxy_mistake(text);
	case CONF_ADDRESS:
		return address_mistake(text);
	case CONF_HEADER:
		return conf_header_mistake(text);
	default:
		return NULL;
	}
}

/* A text as messages may show it: nothing that is secret. */
static void show_text(const struct conf_setting *s, const char *text, char shown[CONF_SHOWN_SIZE])
{
	char name[CONF_SHOWN_SIZE];
	size_t len;

	if (s->flags & CONF_SECRET) {
		conf_shown("(secret)", shown);
	} else if (s->type != CONF_HEADER) {
		conf_shown(text, shown);
	} else if (!strchr(text, ':')) {
		conf_shown("(a header)", shown);
	} else {
		len = strcspn(text, ":");
		len = len < 60 ? len : 60;
		memcpy(name, text, len);
		memcpy(name + len, ": ***", 6);
		conf_shown(name, shown);
	}
}

static int parse_string(const struct conf_setting *s, const char *text, void *to,
			const struct conf_place *place)
{
	char shown[CONF_SHOWN_SIZE];
	size_t len = strlen(text);
	const char *wrong = NULL;
	char *copy;

	show_text(s, text, shown);
	if (s->type == CONF_IFACE && !iface_valid(text)) {
		conf_complain(
		    place,
		    "'%s' cannot be an interface's name: 'ip link' shows those that there "
		    "are",
		    shown);
		return FL_EUSAGE;
	}
	if (s->type == CONF_WORD && parse_word(s->words, text, place) < 0)
		return FL_EUSAGE;
	if (s->most && (len < s->least || len > s->most)) {
		conf_complain(place, "want a text of %" PRIu64 " to %" PRIu64 " bytes, such as %s",
			      s->least, s->most, s->example);
		return FL_EUSAGE;
	}
	if (!is_clean(text)) {
		conf_complain(place, "'%s' has a control character, or is not UTF-8", shown);
		return FL_EUSAGE;
	}
	if (len)
		wrong = form_mistake(s, text);
	if (wrong) {
		conf_complain(place, "'%s' %s", shown, wrong);
		return FL_EUSAGE;
	}
	copy = strdup(text);
	if (!copy)
		return no_memory(place);
	memcpy(to, &copy, sizeof(copy));
	return 0;
}

static int parse_port(const char *text, void *to, const struct conf_place *place,
		      const char *example)
{
	char shown[CONF_SHOWN_SIZE];
	const char *p = text;
	uint16_t port;
	uint64_t v;

	if (!digits(&p, &v) || *p || v < 1 || v > 65535) {
		conf_complain(place, "'%s' is not a port: want 1 to 65535, such as %s",
			      conf_shown(text, shown), example);
		return FL_EUSAGE;
	}
	port = (uint16_t)v;
	memcpy(to, &port, sizeof(port));
	return 0;
}

static int parse_net(const char *text, void *to, const struct conf_place *place)
{
	char shown[CONF_SHOWN_SIZE];

	if (net_parse(to, text) == 0)
		return 0;
	memset(to, 0, sizeof(struct ip_net));
	conf_complain(place,
		      "'%s' is not a network: want such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7",
		      conf_shown(text, shown));
	return FL_EUSAGE;
}

static int parse_tag(const char *text, struct conf_tag *tag, const struct conf_place *place)
{
	const char *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : 0;
	char shown[CONF_SHOWN_SIZE];

	conf_shown(text, shown);
	if (!len || !eq[1]) {
		conf_complain(place, "'%s' is not a tag: want KEY=VALUE, such as env=prod", shown);
		return FL_EUSAGE;
	}
	if (len == 4 && !memcmp(text, "time", 4)) {
		conf_complain(place, "'time' is a reserved name in line protocol: take another");
		return FL_EUSAGE;
	}
	if (!is_clean(text)) {
		conf_complain(place, "'%s' has a control character, or is not UTF-8", shown);
		return FL_EUSAGE;
	}
	tag->key = strndup(text, len);
	tag->value = strdup(eq + 1);
	if (tag->key && tag->value)
		return 0;
	free(tag->key);
	free(tag->value);
	memset(tag, 0, sizeof(*tag));
	return no_memory(place);
}

int conf_item_parse(const struct conf_setting *s, const char *text, void *to,
		    const struct conf_place *place)
{
	int word;

	switch (s->type) {
	case CONF_BOOL:
		return parse_bool(text, to, place);
	case CONF_COUNT:
		return parse_count(s, text, to, place);
	case CONF_DURATION:
	case CONF_SIZE:
		return parse_units(s, text, to, place);
	case CONF_PERCENT:
		return parse_percent(s, text, to, place);
	case CONF_ENUM:
		word = parse_word(s->words, text, place);
		if (word < 0)
			return FL_EUSAGE;
		memcpy(to, &word, sizeof(word));
		return 0;
	case CONF_PORT:
		return parse_port(text, to, place, s->example);
	case CONF_NET:
		return parse_net(text, to, place);
	case CONF_TAG:
		return parse_tag(text, to, place);
	case CONF_OUTPUT:
		return conf_output_parse(text, to, place);
	case CONF_EXCLUDE:
		break;
	default: /* texts */
		return parse_string(s, text, to, place);
	}
	conf_complain(place, "want a list of rules, such as %s", s->example);
	return FL_EUSAGE;
}
