/* script.h - a conversation between one client and one server, written as text and played to an
 *engine.
 *
 *	"c S 0; +10 s SA 0 1; +10 c A 1 1; c PA . . 'GET / HTTP/1.1||'; s A . . 100"
 *
 * A step: [+MS] WHO FLAGS SEQ ACK [LENGTH | 'TEXT'] [ts=VAL,ECR] [cut=N]. WHO is c or s. FLAGS of S
 *A P F R. SEQ and ACK are relative to the ISN of their end; "." is the next one in order. In TEXT |
 *is CRLF. cut: that many bytes of the payload were captured. DNS messages: [+MS] WHO ? ID NAME
 *TYPE, and ! ID NAME TYPE RCODE (an answer); NAME "-" is no question, "." the root. Over TCP they
 *take the next sequence number. +MS may be negative: "+-5".
 */
#ifndef TESTS_FLOWS_SCRIPT_H
#define TESTS_FLOWS_SCRIPT_H

#include "flows/engine.h"
#include "tests/flows/build.h"
#include "tests/flows/record.h"

#define SCRIPT_TIME 1700000000000000000ULL

struct script {
	struct engine *e;
	uint64_t time_ns;
	uint32_t addr[2]; /* client, server */
	uint16_t port[2];
	uint32_t isn[2];
	uint32_t next[2]; /* relative */
	uint8_t proto;
	bool ipv6;
	struct build b;
};

static inline void script_init(struct script *s, struct engine *e, uint8_t proto, uint16_t port)
{
	memset(s, 0, offsetof(struct script, b));
	s->e = e;
	s->time_ns = SCRIPT_TIME;
	s->addr[0] = IP4(10, 0, 0, 1);
	s->addr[1] = IP4(10, 0, 0, 2);
	s->port[0] = 40000;
	s->port[1] = port;
	s->isn[0] = 1000;
	s->isn[1] = 50000;
	s->proto = proto;
}

/* Send what is in s->b as an L4 datagram of end `who`; the frame has exactly its bytes, for the
 * sanitizer. */
static inline void script_send(struct script *s, int who, uint32_t cut)
{
	struct frame f;
	uint8_t *copy;

	if (s->ipv6)
		build_ipv6(&s->b, s->addr[who], s->addr[1 - who], s->proto);
	else
		build_ipv4(&s->b, s->addr[who], s->addr[1 - who], s->proto);
	build_ethernet(&s->b, s->ipv6 ? 0x86dd : 0x0800);
	f = build_frame(&s->b, LINK_ETHERNET, s->time_ns);
	f.caplen -= cut;
	copy = malloc(f.caplen);
	if (!copy)
		abort();
	memcpy(copy, f.data, f.caplen);
	f.data = copy;
	engine_frames(s->e, &f, 1);
	free(copy);
}

struct script_segment {
	int who;
	uint8_t flags;
	uint32_t seq, ack, len, cut; /* cut: bytes that were not captured */
	const char *data;            /* NULL: any bytes */
	bool has_ts;
	uint32_t tsval, tsecr;
};

static inline void script_tcp(struct script *s, const struct script_segment *g)
{
	uint8_t options[12] = {1, 1, 8, 10};
	struct build_segment t = {.sport = s->port[g->who],
				  .dport = s->port[1 - g->who],
				  .seq = s->isn[g->who] + g->seq,
				  .flags = g->flags,
				  .window = 500};

	if (g->flags & TCP_ACK)
		t.ack = s->isn[1 - g->who] + g->ack;
	if (g->has_ts) {
		put_be32(options + 4, g->tsval);
		put_be32(options + 8, g->tsecr);
		t.options = options;
		t.options_len = sizeof(options);
	}
	build_payload(&s->b, g->data, g->len);
	build_tcp(&s->b, &t);
	s->next[g->who] = g->seq + g->len + !!(g->flags & TCP_SYN) + !!(g->flags & TCP_FIN);
	script_send(s, g->who, g->cut);
}

/* The message's bytes from the end `who`, over UDP or behind a length over TCP. */
static inline void script_dns(struct script *s, int who, uint16_t id, const char *name,
			      uint16_t type, bool answer, uint8_t rcode)
{
	uint8_t msg[514];
	uint32_t n = build_dns(msg + 2, id,
			       !strcmp(name, "-")  ? NULL
			       : strcmp(name, ".") ? name
						   : "",
			       type, answer, rcode);

	if (s->proto == PROTO_TCP) {
		struct script_segment g = {.who = who,
					   .flags = TCP_PSH | TCP_ACK,
					   .seq = s->next[who],
					   .ack = s->next[1 - who],
					   .len = n + 2,
					   .data = (char *)msg};

		put_be16(msg, n);
		script_tcp(s, &g);
		return;
	}
	build_payload(&s->b, msg + 2, n);
	build_udp(&s->b, s->port[who], s->port[1 - who]);
	script_send(s, who, 0);
}

static inline const char *script_word(const char *p, char *word, size_t size)
{
	size_t n = 0;

	p += strspn(p, " \t\n");
	while (*p && !strchr(" \t\n;", *p)) {
		if (n + 1 < size)
			word[n++] = *p;
		p++;
	}
	word[n] = 0;
	return p;
}

static inline const char *script_number(const char *p, uint32_t next, uint32_t *out)
{
	char word[32];

	p = script_word(p, word, sizeof(word));
	*out = word[0] == '.' ? next : (uint32_t)strtol(word, NULL, 10);
	return p;
}

static inline const char *script_text(const char *p, char *out, uint32_t *len)
{
	uint32_t n = 0;

	for (p++; *p && *p != '\''; p++) {
		if (n > 3000)
			abort();
		if (*p == '|')
			out[n++] = '\r';
		out[n++] = *p == '|' ? '\n' : *p;
	}
	*len = n;
	return p + 1;
}

/* What follows the acknowledgement number. */
static inline const char *script_rest(const char *p, struct script_segment *g, char *text)
{
	char word[64], *end;

	for (;;) {
		p += strspn(p, " \t\n");
		if (*p == ';' || !*p)
			return p;
		if (*p == '\'') {
			p = script_text(p, text, &g->len);
			g->data = text;
			continue;
		}
		p = script_word(p, word, sizeof(word));
		if (!strncmp(word, "ts=", 3)) {
			g->has_ts = true;
			g->tsval = (uint32_t)strtoul(word + 3, &end, 10);
			g->tsecr = (uint32_t)strtoul(end + 1, NULL, 10);
		} else if (!strncmp(word, "cut=", 4)) {
			g->cut = g->len - (uint32_t)strtoul(word + 4, NULL, 10);
		} else {
			g->len = (uint32_t)strtoul(word, NULL, 10);
		}
	}
}

static inline uint8_t script_flags(const char *word)
{
	static const char names[] = "FSRPA";
	uint8_t flags = 0;

	for (; *word; word++) {
		const char *at = strchr(names, *word);

		if (!at)
			abort();
		flags |= (uint8_t)(1 << (at - names));
	}
	return flags;
}

static inline const char *script_dns_step(struct script *s, const char *p, int who, bool answer)
{
	uint32_t id, type, rcode = 0;
	char name[300];

	p = script_number(p, 0, &id);
	p = script_word(p, name, sizeof(name));
	p = script_number(p, 0, &type);
	if (answer)
		p = script_number(p, 0, &rcode);
	script_dns(s, who, (uint16_t)id, name, (uint16_t)type, answer, (uint8_t)rcode);
	return p;
}

static inline const char *script_step(struct script *s, const char *p)
{
	struct script_segment g = {0};
	char word[32], text[3100];

	p = script_word(p, word, sizeof(word));
	if (word[0] == '+') {
		s->time_ns += (uint64_t)(strtoll(word + 1, NULL, 10) * 1000000);
		p = script_word(p, word, sizeof(word));
	}
	if (!word[0])
		return p;
	if (strcmp(word, "c") && strcmp(word, "s"))
		abort();
	g.who = word[0] == 's';
	p = script_word(p, word, sizeof(word));
	if (word[0] == '?' || word[0] == '!')
		return script_dns_step(s, p, g.who, word[0] == '!');
	g.flags = script_flags(word);
	p = script_number(p, s->next[g.who], &g.seq);
	p = script_number(p, s->next[1 - g.who], &g.ack);
	p = script_rest(p, &g, text);
	script_tcp(s, &g);
	return p;
}

static inline void script_play(struct script *s, const char *p)
{
	while (*p) {
		p = script_step(s, p);
		p += strspn(p, " \t\n;");
	}
}

/* An engine with small tables that gives its points to r. */
static inline void script_config(struct engine_config *c, struct record *r)
{
	engine_config_default(c);
	memset(r, 0, sizeof(*r));
	c->max_flows = 4096;
	c->max_streams = 1024;
	c->sink.put = record_put;
	c->sink.end = record_end;
	c->sink.ctx = r;
}

static inline struct engine *script_engine(const struct engine_config *c)
{
	struct engine *e = engine_new(c);

	if (!e)
		abort();
	return e;
}

#endif
