/* probes_events.c - events of the eBPF programs: read, and made samples for the flow table.
 */
#include "collector/probes_internal.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collector/sockdiag.h"
#include "filters/probes.skel.h"

enum { PERF_PAGES = 64, PERF_PAGES_LEAST = 4, AGAIN_NS = 50000000 };

/* ---- samples */

static void addr_of(struct ip_addr *a, const uint8_t bytes[16])
{
	memcpy(a->b, bytes, sizeof(a->b));
}

static bool is_loopback(const uint8_t a[16])
{
	static const uint8_t one[16] = {[15] = 1};

	return !memcmp(a, one, sizeof(one)) ||
	       (!memcmp(a, addr_v4_prefix, sizeof(addr_v4_prefix)) && a[12] == 127);
}

static void set_figures(struct kernel_sample *s, const struct probe_event *e)
{
	s->has |= KERNEL_SENT | KERNEL_RECEIVED | KERNEL_SEGMENTS | KERNEL_RETRANSMITS;
	s->sent = e->bytes_sent;
	s->received = e->bytes_received;
	s->segments_out = e->segments_out;
	s->segments_in = e->segments_in;
	s->retransmits = e->retransmits;
	if (e->flags & PROBE_FIN_RECEIVED)
		s->has |= KERNEL_FIN;
	if (e->srtt_us) {
		s->has |= KERNEL_RTT;
		s->rtt_us = e->srtt_us >> 3;
		s->rtt_var_us = e->mdev_us >> 2;
	}
	if (e->state != SOCK_SYN_RECV)
		s->has |= KERNEL_ESTABLISHED;
}

static void set_facts(struct kernel_sample *s, const struct probe_event *e)
{
	bool ours = !(e->flags & PROBE_OTHER_NETNS);

	switch (e->kind) {
	case PROBE_CONNECT_FAILED:
		/* In another namespace an attempt without a packet is of no flow that is seen here.
		 */
		if (ours || !(e->flags & PROBE_NO_PACKET)) {
			s->has = KERNEL_ERROR;
			s->has |= e->flags & PROBE_NO_PACKET ? KERNEL_NO_PACKET : 0;
			s->connect_error = (uint16_t)e->error;
		}
		break;
	case PROBE_ESTABLISHED:
		if (!ours)
			break;
		s->has = KERNEL_ESTABLISHED;
		s->established_ns = s->time_ns;
		break;
	case PROBE_ACCEPT: /* what is closed was told established before */
		s->has = ours && !(e->flags & PROBE_AT_CLOSE) ? KERNEL_ESTABLISHED : 0;
		break;
	case PROBE_CLOSE:
		if (!ours)
			break;
		s->has = KERNEL_CLOSED;
		if (e->state != SOCK_SYN_SENT)
			set_figures(s, e);
		break;
	default:
		break;
	}
}

bool probes_event_sample(const struct probe_event *e, int64_t offset_ns, bool pid_foreign,
			 struct kernel_sample *s, struct kernel_process *who)
{
	const struct probe_tuple *t = &e->tuple;
	struct ip_addr local, remote;

	if (e->flags & PROBE_OTHER_NETNS && (is_loopback(t->local) || is_loopback(t->remote)))
		return false;
	memset(s, 0, sizeof(*s));
	addr_of(&local, t->local);
	addr_of(&remote, t->remote);
	s->end = (uint8_t)flow_key_make(&s->key, &local, &remote, t->local_port, t->remote_port,
					t->protocol);
	s->time_ns = e->time_ns + (uint64_t)offset_ns;
	set_facts(s, e);
	memset(who, 0, sizeof(*who));
	if (!e->pid)
		return true;
	who->pid = pid_foreign ? 0 : e->pid;
	memcpy(who->comm, e->comm, sizeof(who->comm));
	who->comm[sizeof(who->comm) - 1] = 0;
	who->cgroup_id = e->cgroup_id;
	who->at_close = e->flags & PROBE_AT_CLOSE;
	return true;
}

/* ---- reading */

static bool of_proof(const struct probes *p, const struct probe_event *e)
{
	const uint8_t *remote = e->tuple.remote;
	int i;

	if (!p->proof_until_ns || e->time_ns > p->proof_until_ns)
		return false;
	for (i = 0; i < 3; i++)
		if (p->proof_ports[i] && (e->tuple.local_port == p->proof_ports[i] ||
					  e->tuple.remote_port == p->proof_ports[i]))
			return is_loopback(e->tuple.local) || is_loopback(remote) ||
			       e->kind == PROBE_LISTEN || remote[12] == 255;
	return false;
}

static void tell(struct probes *p, const struct probe_event *e)
{
	struct kernel_process who;
	struct kernel_sample s;

	if (p->proof) {
		probes_proof_event(p, e);
		return; /* before the source is open nobody is told anything */
	}
	p->stats.events++;
	if (of_proof(p, e))
		return;
	if (e->kind == PROBE_LISTEN) {
		p->listeners = p->listeners || !(e->flags & PROBE_OTHER_NETNS);
		return;
	}
	if (probes_event_sample(e, p->offset_ns, p->pid_foreign, &s, &who))
		p->sink.sample(p->sink.ctx, &s, who.pid || who.comm[0] ? &who : NULL);
}

/* A perf buffer rounds sizes up: what a short event has behind its end is nothing. */
static int take(struct probes *p, const void *data, size_t size)
{
	struct probe_event e;

	if (size < sizeof(e) && size >= PROBE_EVENT_SHORT) {
		memset((char *)&e + PROBE_EVENT_SHORT, 0, sizeof(e) - PROBE_EVENT_SHORT);
		memcpy(&e, data, PROBE_EVENT_SHORT);
		tell(p, &e);
	} else if (size >= sizeof(e)) {
		memcpy(&e, data, sizeof(e));
		tell(p, &e);
	}
	return --p->budget <= 0 ? -ECANCELED : 0;
}

static int take_ring(void *ctx, void *data, size_t size)
{
	return take(ctx, data, size);
}

static void take_perf(void *ctx, int cpu, void *data, uint32_t size)
{
	(void)cpu;
	take(ctx, data, size);
}

/* Ready when the ring is, and once more AGAIN_NS after events were read: most do not wake us. */
static int open_timer(struct probes *p)
{
	int ready = p->ring ? ring_buffer__epoll_fd(p->ring) : perf_buffer__epoll_fd(p->perf);
	struct epoll_event event = {.events = EPOLLIN};

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->epoll < 0 || p->timer < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, ready, &event) ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &event))
		return -errno;
	return 0;
}

static int open_buffer(struct probes *p)
{
	int fd = bpf_map__fd(p->set.skel->maps.events);
	size_t pages = PERF_PAGES;

	errno = 0;
	if (!p->set.use_perf) {
		p->ring = ring_buffer__new(fd, take_ring, p, NULL);
		return p->ring ? 0 : errno ? -errno : -ENOMEM;
	}
	/* of each CPU; without CAP_IPC_LOCK only kernel.perf_event_mlock_kb may be used */
	for (; pages >= PERF_PAGES_LEAST && !p->perf; pages /= 2)
		p->perf = perf_buffer__new(fd, pages, take_perf, NULL, p, NULL);
	return p->perf ? 0 : errno ? -errno : -ENOMEM;
}

int probes_events_open(struct probes *p)
{
	int err = open_buffer(p);

	return err ? err : open_timer(p);
}

void probes_events_close(struct probes *p)
{
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->timer >= 0)
		close(p->timer);
	p->epoll = p->timer = -1;
	ring_buffer__free(p->ring);
	perf_buffer__free(p->perf);
	p->ring = NULL;
	p->perf = NULL;
}

int probes_events_fd(const struct probes *p)
{
	return p->epoll;
}

int probes_events_read(struct probes *p)
{
	struct itimerspec again = {{0, 0}, {0, AGAIN_NS}};
	uint64_t ticks;
	int n;

	if (read(p->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return -errno;
	p->budget = PROBE_POLL_MOST;
	n = p->ring ? ring_buffer__consume(p->ring) : perf_buffer__consume(p->perf);
	if (p->budget < PROBE_POLL_MOST && timerfd_settime(p->timer, 0, &again, NULL))
		return -errno;
	return n < 0 && n != -ECANCELED ? n : 0;
}
