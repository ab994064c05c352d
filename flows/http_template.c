/* http_template.c - see http_template.h.
 *
 * A segment (between slashes) is first judged as a whole; else part by part: runs of letters and
 * digits between anything else. Thresholds were tried on paths of captures and of well known APIs
 * (GitHub, Kubernetes, S3, Elasticsearch, WordPress): tests/flows/test_http_template.c.
 */
#include "flows/http_template.h"

#include <string.h>

enum {
	UUID_LEN = 36,
	DATE_LEN = 10,
	NUMBER_MIN = 3, /* digits of a number inside a segment; fewer tell pages and parts apart */
	PREFIXED_MIN = 5,  /* digits behind one to three letters: tt0111161 */
	HASH_MIN = 8,      /* hexadecimal digits, with a decimal one among them */
	HASH_LETTERS = 32, /* hexadecimal digits that are all letters */
	TOKEN_MIN = 10,
	TOKEN_MIN_FILE = 8, /* bundlers' hashes are shorter */
	TOKEN_LONG = 16,
	TOKEN_DIGITS = 40, /* no word with three digits is that long ... */
	TOKEN_ANY = 64,    /* and no word at all that long */
};

enum kind { KEEP, NUMBER, TOKEN, UUID, DATE };

struct output {
	char *out; /* NULL: only count */
	size_t len, size;
	bool full;
	size_t token_bytes, part_bytes; /* of the segment */
};

struct segment {
	const char *s;
	size_t len;
	size_t stem; /* len, or where the extension of a file's name begins */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Bytes of a part; those of other scripts are letters. */
static bool is_part(char c)
{
	return is_digit(c) || is_lower(c) || is_upper(c) || (unsigned char)c >= 0x80;
}

static size_t run_of_digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && is_digit(s[n]))
		n++;
	return n;
}

/* Add a text; of one that is not a placeholder what fits, up to the end of a character. */
static void put(struct output *o, const char *s, size_t len, bool whole)
{
	size_t fits = o->size - o->len;

	if (!o->out || o->full)
		return;
	if (len > fits) {
		o->full = true;
		len = whole ? 0 : fits;
		while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(o->out + o->len, s, len);
	o->len += len;
}

static void put_placeholder(struct output *o, const char *name)
{
	put(o, name, strlen(name), true);
}

/* --- shapes
 * ----------------------------------------------------------------------------------------- */

static bool begins_uuid(const char *s, size_t len)
{
	size_t i;

	if (len < UUID_LEN || (len > UUID_LEN && is_part(s[UUID_LEN])))
		return false;
	for (i = 0; i < UUID_LEN; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex(s[i]))
			return false;
	return true;
}

/* Length of the date (and the time behind it) that s begins with, or 0. */
static size_t begins_date(const char *s, size_t len)
{
	int month, day;
	size_t n;

	if (len < DATE_LEN || run_of_digits(s, len) != 4 || (s[0] != '1' && s[0] != '2') ||
	    (s[4] != '-' && s[4] != '.' && s[4] != '_') || s[7] != s[4] ||
	    run_of_digits(s + 5, len - 5) != 2 || run_of_digits(s + 8, len - 8) != 2)
		return 0;
	month = (s[5] - '0') * 10 + s[6] - '0';
	day = (s[8] - '0') * 10 + s[9] - '0';
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return 0;
	n = DATE_LEN;
	if (n + 1 < len && (s[n] == 'T' || s[n] == 't') && is_digit(s[n + 1])) {
		for (n++; n < len; n++)
			if (!is_digit(s[n]) &&
			    !(memchr(":.+-", s[n], 4) && n + 1 < len && is_digit(s[n + 1])))
				break;
		while (n + 2 < len && s[n] == '%' && s[n + 1] == '3') /* %3A, a colon */
			n += 3 + run_of_digits(s + n + 3, len - n - 3);
		n += n < len && (s[n] == 'Z' || s[n] == 'z');
	}
	return n < len && is_part(s[n]) ? 0 : n;
}

/* All that numbers, coordinates, addresses and ranges are made of, but "1.2" and "1.2.3": versions.
 */
static bool is_numeric(const char *s, size_t len)
{
	size_t i, digits = 0, run = 0, dots = 0;
	bool version = true;

	for (i = 0; i < len; i++) {
		if (is_digit(s[i])) {
			digits++;
			run++;
			version = version && run <= 3;
			continue;
		}
		if (!memchr(".,+-_:", s[i], 6))
			return false;
		version = version && s[i] == '.' && run;
		dots += s[i] == '.';
		run = 0;
	}
	return digits && !(version && dots >= 1 && dots <= 2);
}

/* v1, V2, v1.2, v1beta1, v2alpha1 */
static bool is_version(const char *s, size_t len)
{
	static const char *const stages[] = {"alpha", "beta", "rc", "preview"};
	size_t i, n, k;

	if (len < 2 || (s[0] | 32) != 'v')
		return false;
	for (i = 1; i < len; i += n + 1) {
		n = run_of_digits(s + i, len - i);
		if (n < 1 || n > 3)
			return false;
		if (i + n == len)
			return true;
		if (s[i + n] != '.' && s[i + n] != '_')
			break;
	}
	if (i >= len)
		return false;
	i += run_of_digits(s + i, len - i);
	for (k = 0; k < sizeof(stages) / sizeof(stages[0]); k++) {
		n = strlen(stages[k]);
		if (len - i >= n && !memcmp(s + i, stages[k], n))
			return len - i - n <= 3 &&
			       run_of_digits(s + i + n, len - i - n) == len - i - n;
	}
	return false;
}

static bool is_email(const char *s, size_t len)
{
	const char *at = memchr(s, '@', len), *dot = NULL;
	size_t i = 0, sign = 1;

	for (i = 0; !at && i + 3 <= len; i++)
		if (s[i] == '%' && s[i + 1] == '4' && s[i + 2] == '0') {
			at = s + i;
			sign = 3;
		}
	if (!at || at == s)
		return false;
	for (i = (size_t)(at - s) + sign; i < len; i++) {
		if (!is_part(s[i]) && s[i] != '.' && s[i] != '-')
			return false;
		if (s[i] == '.')
			dot = s + i;
	}
	/* a name behind the last dot: not the version of a package@1.2.3 */
	return dot && dot > at + sign && dot + 2 < s + len && !is_digit(s[len - 1]) &&
	       !is_digit(dot[1]);
}

/* --- parts
 * ------------------------------------------------------------------------------------------ */

struct part {
	size_t len, digits, lower, upper, other;
	size_t groups;  /* of digits */
	size_t changes; /* between digits, lower and upper case; not within a Capitalised word */
	bool hex;
};

static int class_of(char c)
{
	return is_digit(c) ? 0 : is_lower(c) ? 1 : is_upper(c) ? 2 : 3;
}

static void look_at(const char *s, size_t len, struct part *p)
{
	int class, before = -1;
	size_t i, run = 0;

	memset(p, 0, sizeof(*p));
	p->len = len;
	p->hex = true;
	for (i = 0; i < len; i++) {
		class = class_of(s[i]);
		p->digits += class == 0;
		p->lower += class == 1;
		p->upper += class == 2;
		p->other += class == 3;
		p->hex = p->hex && is_hex(s[i]);
		if (class != before) {
			p->groups += class == 0;
			p->changes += i && !(before == 2 && class == 1 && run == 1);
			run = 0;
		}
		run++;
		before = class;
	}
}

static bool changes_percent(const struct part *p, size_t percent)
{
	return p->changes * 100 >= percent * (p->len - 1);
}

static bool is_token(const struct part *p, bool file)
{
	if (p->hex && ((p->digits && p->len >= HASH_MIN) || p->len >= HASH_LETTERS))
		return true;
	if (p->len >= TOKEN_ANY || (p->len >= TOKEN_DIGITS && p->digits >= 3))
		return true;
	if (p->len < (file ? TOKEN_MIN_FILE : TOKEN_MIN))
		return false;
	if (p->groups >= 2 && p->groups * 6 >= p->len)
		return true;
	if (p->digits && p->lower && p->upper && changes_percent(p, 38))
		return true;
	if (p->len < TOKEN_LONG)
		return false;
	return (p->lower && p->upper && changes_percent(p, 42)) ||
	       (p->groups >= 3 && changes_percent(p, 20));
}

/* The five characters that Kubernetes puts behind a pod's name: no vowels, no 0, 1, 3
 * (apimachinery's util/rand) and here with a digit that is not just at the end, as in html5. Behind
 * a hash any five. */
static bool is_pod_suffix(const char *s, const struct part *p, enum kind before)
{
	size_t i;

	if (p->len != 5 || p->upper)
		return false;
	if (before == TOKEN)
		return true;
	for (i = 0; i < 5; i++)
		if (!strchr("bcdfghjklmnpqrstvwxz2456789", s[i]))
			return false;
	return p->digits && (p->groups > 1 || !is_digit(s[4]));
}

/* 1024x768 */
static bool is_dimension(const char *s, const struct part *p)
{
	size_t width = run_of_digits(s, p->len);

	return p->digits + 1 == p->len && p->groups == 2 && width <= 5 && s[width] == 'x' &&
	       p->len - width <= 6;
}

/* The part of len bytes at `at` of the segment. */
static enum kind judge(const struct segment *g, size_t at, size_t len, enum kind before)
{
	bool file = g->stem < g->len, alone = at == 0 && len == g->stem;
	const char *s = g->s + at;
	struct part p;

	look_at(s, len, &p);
	if (p.other)
		return KEEP;
	if (p.digits == len)
		return len >= NUMBER_MIN || alone || (at && memchr("=('", s[-1], 3)) ? NUMBER
										     : KEEP;
	if (is_dimension(s, &p))
		return KEEP;
	if (is_token(&p, file))
		return TOKEN;
	if (p.digits >= HASH_MIN && 2 * p.digits > len)
		return NUMBER;
	if (p.groups == 1 && p.digits >= PREFIXED_MIN && len - p.digits <= 3 &&
	    is_digit(s[len - 1]) && !is_digit(s[0]))
		return NUMBER;
	if (!file && at && at + len == g->len && is_pod_suffix(s, &p, before))
		return TOKEN;
	return KEEP;
}

/* --- segments
 * --------------------------------------------------------------------------------------- */

/* Where the last extension begins (its dot): one to five letters and digits with a letter among
 * them. */
static size_t find_stem(const char *s, size_t len)
{
	size_t i = len, letters = 0;

	while (i > 0 && len - i <= 5 && is_part(s[i - 1]) && (unsigned char)s[i - 1] < 0x80) {
		i--;
		letters += !is_digit(s[i]);
	}
	if (i < 2 || s[i - 1] != '.' || !letters || len - i > 5 || i == len)
		return len;
	return i - 1;
}

static void put_kind(struct output *o, const struct segment *g, size_t at, size_t len, enum kind k)
{
	bool file = g->stem < g->len;

	switch (k) {
	case KEEP:
		put(o, g->s + at, len, false);
		break;
	case DATE:
		put_placeholder(o, "{date}");
		break;
	case TOKEN:
		put_placeholder(o, file ? "{hash}" : "{id}");
		break;
	default:
		put_placeholder(o, "{id}");
	}
}

static void put_parts(struct output *o, const struct segment *g)
{
	enum kind before = KEEP, k;
	size_t at = 0, n;

	while (at < g->stem) {
		const char *s = g->s + at;
		size_t left = g->stem - at;

		if (!is_part(*s)) {
			/* %2F and the like separate as what they stand for does */
			n = *s == '%' && left >= 3 && is_hex(s[1]) && is_hex(s[2]) ? 3 : 1;
			put(o, s, n, false);
			at += n;
			continue;
		}
		for (n = 0; n < left && is_part(s[n]); n++)
			;
		k = judge(g, at, n, before);
		if (k == TOKEN || k == NUMBER || n <= 8) {
			size_t date = begins_date(s, left);

			if (begins_uuid(s, left)) {
				n = UUID_LEN;
				k = UUID;
			} else if (date) {
				n = date;
				k = DATE;
			}
		}
		o->part_bytes += n;
		o->token_bytes += k == TOKEN || k == UUID ? n : 0;
		put_kind(o, g, at, n, k);
		before = k;
		at += n;
	}
	put(o, g->s + g->stem, g->len - g->stem, false);
}

static void put_segment(struct output *o, const char *s, size_t len)
{
	struct segment g = {s, len, len};
	struct output count = {NULL, 0, 0, false, 0, 0};

	if (is_version(s, len)) {
		put(o, s, len, false);
	} else if (begins_date(s, len) == len && len) {
		put_placeholder(o, "{date}");
	} else if (is_numeric(s, len)) {
		put_placeholder(o, "{id}");
	} else if (is_email(s, len)) {
		put_placeholder(o, "{email}");
	} else {
		g.stem = find_stem(s, len);
		put_parts(&count, &g);
		/* mostly random: the rest, often cut out of it by - and _, tells nothing either */
		if (g.stem == len && 2 * count.token_bytes > count.part_bytes)
			put_placeholder(o, "{id}");
		else
			put_parts(o, &g);
	}
}

static bool has_digit(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (is_digit(s[i]))
			return true;
	return false;
}

size_t http_template(const char *path, size_t len, bool cut, char *out, size_t size, bool *full)
{
	struct output o = {out, 0, size, false, 0, 0};
	size_t at = 0, n;
	const char *slash;

	while (at < len && !o.full) {
		if (path[at] == '/') {
			put(&o, "/", 1, true);
			at++;
			continue;
		}
		slash = memchr(path + at, '/', len - at);
		n = slash ? (size_t)(slash - path) - at : len - at;
		if (cut && !slash && has_digit(path + at, n))
			put_placeholder(&o, "{id}");
		else
			put_segment(&o, path + at, n);
		at += n;
	}
	*full = o.full;
	return o.len;
}
