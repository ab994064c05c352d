/* fuzz_line.c - any bytes in every text of a point and in custom tags: one well-formed line that
 * gives them back.
 *
 * Input: one byte of switches, one of point.has, 8 bytes that fill the numbers, then five texts:
 * host, a custom tag's key and value, the domain or path, the method; each a length byte and so
 * many bytes.
 *
 * With $FUZZ_LINE_OUT in the environment the lines are appended to that file, for a real backend to
 * read (tests/live/test_backends.py).
 */
#include <stdlib.h>

#include "output/line.h"
#include "tests/output/line_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXTS = 5 };

struct piece_of_input {
	char s[256]; /* 0-terminated */
	size_t len;
};

static void must(bool ok, const char *what, const struct decoded_line *d, const char *line,
		 size_t len)
{
	if (ok)
		return;
	fprintf(stderr, "%s (%s): %.*s", what, d->error ? d->error : "-", (int)len, line);
	abort();
}

static const char *class_of(const struct ip_addr *a)
{
	return a->b[0] & 1 ? "private" : a->b[0] & 2 ? NULL : "other";
}

static void take_texts(struct piece_of_input *t, const uint8_t *p, size_t size)
{
	size_t i;

	for (i = 0; i < TEXTS; i++) {
		t[i].len = size ? *p : 0;
		p += size > 0;
		size -= size > 0;
		if (t[i].len > size)
			t[i].len = size;
		if (t[i].len > sizeof(t[i].s) - 1)
			t[i].len = sizeof(t[i].s) - 1;
		memcpy(t[i].s, p, t[i].len);
		t[i].s[t[i].len] = 0;
		p += t[i].len;
		size -= t[i].len;
	}
}

static struct geo_info places[2];

static struct text text_of(const struct piece_of_input *t)
{
	struct text text = {t->s, (uint32_t)t->len};

	return text;
}

static void make_point(struct point *p, const uint8_t *data, const struct piece_of_input *t)
{
	uint8_t fill[sizeof(p->u.netflow)];
	size_t i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < sizeof(fill); i++)
		fill[i] = data[2 + i % 8];
	p->kind = (enum point_kind)(data[0] & 3);
	p->has = data[1];
	p->incoming = data[0] & 4;
	p->src.port_folded = data[0] & 8;
	p->transport = data[0] & 16 ? 6 : data[0] & 32 ? 17 : data[2];
	memcpy(&p->time_ns, fill, 8);
	memcpy(&p->src.addr, fill, 16);
	addr_from_v4(&p->dst.addr, fill);
	memcpy(&p->src.port, fill, 2);
	p->dst.addr_other = data[5] & 1;
	p->dst.port_other = data[5] & 2;
	if (data[5] & 4) {
		p->pid = data[6];
		p->process_name = p->dst_domain = text_of(&t[3]);
		p->container_id = text_of(&t[4]);
		places[0].city = places[1].isp = text_of(&t[4]);
		places[1].has_coordinates = true;
		memcpy(&places[1].lat, data + 2, 8);
		places[1].lon = data[7];
		p->src_geo = &places[0];
		p->dst_geo = &places[1];
	}
	if (p->kind == POINT_DNSFLOW) {
		memcpy(&p->u.dnsflow.count, fill, 8);
		memcpy(&p->u.dnsflow.rcode, fill, 4);
		memcpy(&p->u.dnsflow.query_type, fill, 2);
		p->u.dnsflow.domain.s = t[3].s;
		p->u.dnsflow.domain.len = (uint32_t)t[3].len;
	} else if (p->kind == POINT_HTTPFLOW) {
		p->u.httpflow.latency_ns = p->time_ns;
		p->u.httpflow.version = data[3];
		p->u.httpflow.truncated = data[4] & 1;
		p->u.httpflow.path.s = t[3].s;
		p->u.httpflow.path.len = (uint32_t)t[3].len;
		p->u.httpflow.method.s = t[4].s;
		p->u.httpflow.method.len = (uint32_t)t[4].len;
	} else if (p->kind == POINT_NETFLOW) {
		memcpy(&p->u.netflow, fill, sizeof(fill));
	}
}

/* A text with its key: present and the same, unless a custom tag took its place or it is empty. */
static bool text_is_there(const struct decoded_line *d, bool tag, const char *key,
			  const struct piece_of_input *t, const struct piece_of_input *custom_key)
{
	if (tag && (!t->len || !strcmp(key, custom_key->s)))
		return true;
	return decoded_is(d, tag, key, t->s, t->len);
}

static void keep_line(const char *line, size_t len)
{
	static FILE *out;
	const char *path = getenv("FUZZ_LINE_OUT");

	if (!path)
		return;
	if (!out)
		out = fopen(path, "a");
	if (!out || fwrite(line, 1, len, out) != len || fflush(out))
		abort();
}

static void check_point(struct line_encoder *e, const struct point *p,
			const struct piece_of_input *t, bool key_tags)
{
	static struct decoded_line d;
	char *out = malloc(line_encoder_max(e));
	size_t len = line_encode(e, p, out);
	size_t value_len = strlen(t[2].s);

	must(len <= line_encoder_max(e), "too long", &d, out, 0);
	must(decode_line(&d, out, len), "no line", &d, out, len);
	if (t[1].s[0] && value_len)
		must(decoded_is(&d, true, t[1].s, t[2].s, value_len), "custom tag", &d, out, len);
	if (p->kind == POINT_DNSFLOW && (p->has & POINT_HAS_DOMAIN))
		must(text_is_there(&d, key_tags, "domain", &t[3], &t[1]), "domain", &d, out, len);
	if (p->kind == POINT_HTTPFLOW) {
		must(text_is_there(&d, key_tags, "path", &t[3], &t[1]), "path", &d, out, len);
		must(text_is_there(&d, key_tags, "method", &t[4], &t[1]), "method", &d, out, len);
	}
	if (strcmp(t[1].s, "host") && t[0].s[0])
		must(decoded_is(&d, true, "host", t[0].s, strlen(t[0].s)), "host", &d, out, len);
	keep_line(out, len);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct piece_of_input t[TEXTS];
	struct line_tag tag = {t[1].s, t[2].s};
	struct line_config c = {
	    .host = t[0].s, .tags = &tag, .ntags = 1, .address_class = class_of};
	struct self_field fields[2] = {{"a", 1}, {"b", UINT64_MAX}};
	struct line_encoder *e;
	struct point p;

	if (size < 10)
		return 0;
	take_texts(t, data + 10, size - 10);
	c.key_fields_as_tags = data[0] & 64;
	e = line_encoder_new(&c);
	if (!e)
		abort();
	make_point(&p, data, t);
	if (p.kind == POINT_SELF) {
		fields[1].name = t[4].s;
		p.u.self.worker = t[3].s;
		p.u.self.fields = fields;
		p.u.self.nfields = 2;
	}
	check_point(e, &p, t, c.key_fields_as_tags);
	line_encoder_free(e);
	return 0;
}
