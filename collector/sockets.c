/* sockets.c - samples of the kernel's own socket counters: dumps, and messages of the closed ones.
 *
 * A dump has SYN_SENT, ESTABLISHED and what follows it. Not in it: a listener, a handshake on the
 * server's side, which has no counters yet, and TIME_WAIT, which has none any more.
 */
#include "collector/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/procfs.h"
#include "collector/sockets_events.h"
#include "collector/sockets_proof.h"
#include "flows/packet.h"

enum {
	SOCKETS_POLL = 8192,    /* messages that one poll reads */
	SOCKETS_CLOCK = 64,     /* samples that have the same time */
	SOCKETS_OWN_MS = 10000, /* the proof's own sockets are gone no later */
};

struct sockets {
	struct sockdiag *diag;
	struct sockets_events *events; /* NULL: none */
	struct kernel_sink sink;
	struct sockets_proof proof;
	uint64_t own_until_ms; /* the proof's own sockets may be there; 0: no more */
	uint64_t now_ns;       /* of the samples */
	unsigned int now_left; /* samples that have this time, too */
	bool first;            /* dump: KERNEL_OLD */
	bool listener_gone;
	uint64_t counted; /* in this dump */
	struct kernel_source_stats stats;
	uint8_t listening[65536 / 8]; /* ports; only where bytes_acked has to do (acked_syn) */
};

static const struct sockets_pretend sockets_as_is = {UINT32_MAX, SOCKETS_GROUPS, SOCKETS_BUFFER};
static struct sockets_pretend pretend = {UINT32_MAX, SOCKETS_GROUPS, SOCKETS_BUFFER};

void sockets_pretend(const struct sockets_pretend *p)
{
	pretend = p ? *p : sockets_as_is;
}

/* Payload that was sent, each byte once. What a SYN or FIN counts is taken off, as far as is known.
 */
static uint64_t sample_sent(const struct sock_entry *s, const struct sockets_quirks *q,
			    bool connected)
{
	const struct sock_tcp *t = &s->tcp;
	uint64_t more;

	if (t->has & SOCK_TCP_SENT)
		return t->bytes_sent > t->bytes_retrans ? t->bytes_sent - t->bytes_retrans : 0;
	more = (connected ? q->acked_syn : 0U) + (s->state == SOCK_FIN_WAIT2 ? q->acked_fin : 0U);
	return t->bytes_acked > more ? t->bytes_acked - more : 0;
}

static uint32_t sample_fin(const struct sock_entry *s, const struct sockets_quirks *q)
{
	if (!q->received_fin)
		return 0;
	switch (s->state) {
	case SOCK_CLOSE_WAIT:
	case SOCK_LAST_ACK:
	case SOCK_CLOSING:
		return KERNEL_FIN;
	case SOCK_CLOSE:
		return KERNEL_FIN_MAYBE;
	default:
		return 0;
	}
}

/* A closed socket tells no state from before: that its SYN was acknowledged, or that it received
 * anything, is only so after the handshake. Until then a refused one has none of these. */
static bool sample_is_established(const struct sock_entry *s)
{
	const struct sock_tcp *t = &s->tcp;

	if (s->state != SOCK_CLOSE)
		return s->state != SOCK_SYN_SENT && s->state != SOCK_SYN_RECV &&
		       s->state != SOCK_NEW_SYN_RECV;
	return t->has & SOCK_TCP_RTT ||
	       (t->has & SOCK_TCP_BYTES && (t->bytes_acked || t->bytes_received)) ||
	       (t->has & SOCK_TCP_DELIVERED && t->delivered);
}

void sockets_sample(const struct sock_entry *s, const struct sockets_quirks *q, bool connected,
		    struct kernel_sample *out)
{
	const struct sock_tcp *t = &s->tcp;

	memset(out, 0, sizeof(*out));
	out->end = (uint8_t)flow_key_make(&out->key, &s->local.addr, &s->remote.addr, s->local.port,
					  s->remote.port, PROTO_TCP);
	if (t->has & SOCK_TCP_BYTES) {
		out->has |= KERNEL_SENT | KERNEL_RECEIVED | sample_fin(s, q);
		out->sent = sample_sent(s, q, connected);
		out->received = t->bytes_received;
		if (!(t->has & SOCK_TCP_SENT) && t->unacked)
			out->has |= KERNEL_IN_FLIGHT;
	}
	if (t->has & SOCK_TCP_SEGS) {
		out->has |= KERNEL_SEGMENTS;
		out->segments_out = t->segs_out;
		out->segments_in = t->segs_in;
	}
	if (t->has & SOCK_TCP_RTT) {
		out->has |= KERNEL_RTT;
		out->rtt_us = t->rtt_us;
		out->rtt_var_us = t->rttvar_us;
	}
	if (t->has & SOCK_TCP_RETRANS) {
		out->has |= KERNEL_RETRANSMITS;
		out->retransmits = t->total_retrans;
	}
	if (sample_is_established(s))
		out->has |= KERNEL_ESTABLISHED;
	if (s->state == SOCK_CLOSE)
		out->has |= KERNEL_CLOSED;
}

static uint64_t sockets_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Before samples are told. */
static void sockets_begin(struct sockets *s)
{
	s->now_left = 0;
	if (s->own_until_ms && sockets_clock(CLOCK_MONOTONIC) / 1000000 > s->own_until_ms)
		s->own_until_ms = 0;
}

static void sockets_tell(struct sockets *s, const struct sock_entry *e, uint32_t has)
{
	bool connected = !(s->listening[e->local.port / 8] >> (e->local.port % 8) & 1);
	struct sock_entry limited;
	struct kernel_sample sample;

	if (s->own_until_ms && sockets_proof_owns(&s->proof, e))
		return;
	if (e->tcp.has & ~(s->proof.has | SOCK_TCP_RTT)) {
		limited = *e;
		limited.tcp.has &= s->proof.has | SOCK_TCP_RTT;
		e = &limited;
	}
	sockets_sample(e, &s->proof.quirks, connected, &sample);
	if (!s->now_left--) {
		s->now_ns = sockets_clock(CLOCK_REALTIME);
		s->now_left = SOCKETS_CLOCK - 1;
	}
	sample.time_ns = s->now_ns;
	sample.has |= has;
	s->sink.sample(s->sink.ctx, &sample, NULL);
}

static void sockets_gone(void *ctx, const struct sock_entry *e)
{
	struct sockets *s = ctx;

	if (e->remote.port)
		sockets_tell(s, e, 0);
	else if (e->local.port && !(s->own_until_ms && sockets_proof_owns(&s->proof, e)))
		s->listener_gone = true; /* or it was bound and never connected */
}

static int sockets_poll(struct kernel_source *ks, char why[KERNEL_WHY_SIZE])
{
	struct sockets *s = (struct sockets *)ks;
	int err;

	if (!s->events)
		return 0;
	sockets_begin(s);
	s->listener_gone = false;
	err = sockets_events_read(s->events, SOCKETS_POLL, sockets_gone, s);
	if (s->listener_gone && s->sink.listeners)
		s->sink.listeners(s->sink.ctx);
	if (err >= 0)
		return 0;
	snprintf(why, KERNEL_WHY_SIZE, "reading messages of closed sockets: %s", fl_strerror(err));
	return err;
}

static void dump_begin(void *ctx)
{
	struct sockets *s = ctx;

	s->counted = 0;
	memset(s->listening, 0, sizeof(s->listening));
}

static void dump_socket(void *ctx, const struct sock_entry *e)
{
	struct sockets *s = ctx;

	if (e->state == SOCK_LISTEN) {
		s->listening[e->local.port / 8] |= (uint8_t)(1 << e->local.port % 8);
		return;
	}
	/* what /proc has instead, where netlink was refused meanwhile, has no figures */
	if (e->remote.port == 0 || !(e->tcp.has & SOCK_TCP_RETRANS))
		return;
	s->counted++;
	sockets_tell(s, e, s->first ? KERNEL_OLD : 0);
}

static int dump_once(struct sockets *s)
{
	struct sock_visitor v = {dump_begin, dump_socket, s};
	struct sock_query q = {PROTO_TCP, SOCK_STATES_CONNECTED, true};
	int err;

	/* Who connected? The kernel tells listeners before connections. */
	if (s->proof.quirks.acked_syn && !(s->proof.has & SOCK_TCP_SENT))
		q.states |= SOCK_STATES_LISTEN;
	sockets_begin(s);
	err = sockdiag_dump(s->diag, &q, &v);
	if (err == -EINTR)
		return 0; /* some were left out: the next dump has them */
	return !err && !sockdiag_by_netlink(s->diag, PROTO_TCP) ? -EOPNOTSUPP : err;
}

static int sockets_dump(struct kernel_source *ks, bool first, char why[KERNEL_WHY_SIZE])
{
	struct sockets *s = (struct sockets *)ks;
	uint64_t cpu = procfs_cpu_ns();
	struct sockdiag *anew;
	int err;

	s->first = first;
	err = dump_once(s);
	/* A netlink socket whose answer did not come in time is out of step, and given up. */
	if (err && sockdiag_new(&anew, NULL, 0) == 0) {
		sockdiag_free(s->diag);
		s->diag = anew;
		err = dump_once(s);
	}
	if (err) {
		snprintf(why, KERNEL_WHY_SIZE, "listing sockets by sock_diag: %s",
			 fl_strerror(err));
		return err;
	}
	s->stats.dumps++;
	s->stats.sockets = s->counted;
	s->stats.dump_cpu_ns = procfs_cpu_ns() - cpu;
	return 0;
}

static void sockets_close(struct kernel_source *ks)
{
	struct sockets *s = (struct sockets *)ks;

	if (!s)
		return;
	sockets_events_close(s->events);
	sockdiag_free(s->diag);
	free(s);
}

/* Before the proof: its own connection's messages are to be received. */
static void sockets_subscribe(struct sockets *s, const struct kernel_source_config *config,
			      char *close_why)
{
	int err;

	if (config->dumps_only) {
		snprintf(close_why, KERNEL_WHY_SIZE, "not asked for: another source tells it");
		return;
	}
	err = sockets_events_open(&s->events, pretend.groups, pretend.buffer);
	if (err)
		snprintf(close_why, KERNEL_WHY_SIZE,
			 "asking for messages of closed sockets (NETLINK_SOCK_DIAG): %s%s",
			 fl_strerror(err),
			 err == -EPERM ? " (grant CAP_NET_ADMIN, or allow it in seccomp)" : "");
}

static int sockets_start(struct sockets *s, const struct kernel_source_config *config,
			 char why[KERNEL_WHY_SIZE])
{
	char close_why[KERNEL_WHY_SIZE] = "";
	int err = sockdiag_new(&s->diag, NULL, 0);

	if (!err && !sockdiag_by_netlink(s->diag, PROTO_TCP))
		err = -EOPNOTSUPP;
	if (err) {
		snprintf(
		    why, KERNEL_WHY_SIZE,
		    "opening NETLINK_SOCK_DIAG: %s (Linux 3.3 or newer has it, with the modules "
		    "inet_diag and tcp_diag)",
		    fl_strerror(err));
		return err;
	}
	sockets_subscribe(s, config, close_why);
	err = sockets_prove(s->diag, s->events, pretend.has, &s->proof, why);
	if (config->own && s->proof.server.port)
		config->own(config->own_ctx, s->proof.server.port);
	if (err)
		return err;
	if (!s->proof.counters)
		s->proof.has &= ~(uint32_t)(SOCK_TCP_BYTES | SOCK_TCP_SENT);
	if (close_why[0])
		memcpy(s->proof.close_why, close_why, sizeof(close_why));
	if (!s->proof.close) {
		sockets_events_close(s->events);
		s->events = NULL;
	}
	if (!s->proof.all_gone)
		s->own_until_ms = sockets_clock(CLOCK_MONOTONIC) / 1000000 + SOCKETS_OWN_MS;
	return 0;
}

static int sockets_open(struct kernel_source **out, const struct kernel_source_config *config,
			const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	struct sockets *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	why[0] = '\0';
	if (!s) {
		snprintf(why, KERNEL_WHY_SIZE, "no memory");
		return -ENOMEM;
	}
	s->sink = *sink;
	err = sockets_start(s, config, why);
	if (err) {
		sockets_close((struct kernel_source *)s);
		return err;
	}
	*out = (struct kernel_source *)s;
	return 0;
}

static int sockets_fd(const struct kernel_source *ks)
{
	const struct sockets *s = (const struct sockets *)ks;

	return s->events ? sockets_events_fd(s->events) : -1;
}

static unsigned int sockets_rest_ms(const struct kernel_source *ks)
{
	const struct sockets *s = (const struct sockets *)ks;

	return s->events ? sockets_events_rest_ms(s->events) : 0;
}

static void sockets_fact(struct kernel_fact *f, const char *name, const char *provider,
			 const char *why)
{
	f->name = name;
	f->provider = provider;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static size_t sockets_facts(const struct kernel_source *ks,
			    struct kernel_fact out[KERNEL_FACTS_MOST])
{
	const struct sockets *s = (const struct sockets *)ks;
	bool sent = s->proof.has & SOCK_TCP_SENT;

	sockets_fact(&out[0], "counters", s->proof.counters ? "sock_diag" : NULL,
		     s->proof.counters && !sent
			 ? "without bytes that are sent and not acknowledged: Linux 4.19 tells them"
			 : s->proof.counters_why);
	sockets_fact(&out[1], "close", s->events ? "sock_diag destroy" : NULL, s->proof.close_why);
	sockets_fact(&out[2], "rtt", s->proof.has & SOCK_TCP_RETRANS ? "sock_diag" : NULL,
		     s->proof.has & SOCK_TCP_RETRANS ? "" : "sock_diag tells no tcp_info");
	return 3;
}

static void sockets_stats(struct kernel_source *ks, struct kernel_source_stats *out)
{
	struct sockets *s = (struct sockets *)ks;
	struct sockets_events_stats e;

	*out = s->stats;
	if (!s->events)
		return;
	sockets_events_stats(s->events, &e);
	out->events = e.messages;
	out->lost = e.lost;
}

const struct kernel_source_ops kernel_source_sockets = {
    "socket",     sockets_open,  sockets_fd,    sockets_poll,
    sockets_dump, sockets_facts, sockets_stats, sockets_close, sockets_rest_ms,
};
