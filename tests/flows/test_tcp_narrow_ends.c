/* test_tcp_narrow_ends.c - flows/tcp_narrow.c: how narrowed connections end: FINs that figures may
 * have counted, sockets that have forgotten theirs, segments that tell too much.
 */
#include "flows/kernel.h"

#include "tests/flows/kernel_world.h"

/* --- one connection
 * -------------------------------------------------------------------------------- */

/* A segment that the ring hands over in any case, as on a DNS port. */
static void seen(struct world *w, int who, uint8_t flags, uint32_t len)
{
	static char other[sizeof(binary)];

	memset(other, 0xfd, sizeof(other));
	if (!len) {
		struct script_segment g = {.who = who,
					   .flags = flags,
					   .seq = w->next[who],
					   .ack = w->next[1 - who],
					   .data = other};

		script_tcp(&w->narrow, &g);
	}
	seg(w, who, flags, len, other);
}

static void ack_behind_fin(struct world *w)
{
	open_again(w);
	seen(w, CLIENT, TCP_ACK, 900);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	seen(w, SERVER, TCP_ACK, 0);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	seen(w, CLIENT, TCP_ACK, 0);
	seen(w, SERVER, TCP_ACK, 0);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
}

/* Two CPUs have put them into the ring the other way round. */
static void ack_before_fin(struct world *w)
{
	struct script_segment g = {.who = SERVER, .flags = TCP_ACK, .data = binary};

	open_again(w);
	bulk(w, SERVER, 2);
	g.seq = w->next[SERVER] + 1;
	g.ack = w->next[CLIENT];
	script_tcp(&w->narrow, &g);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
}

/* The ring is busy: the last figures come before the FINs, and have them counted. */
static void told_before_fins(struct world *w)
{
	open_again(w);
	bulk(w, CLIENT, 4);
	bulk(w, SERVER, 3);
	w->k[CLIENT].fin_received = w->k[SERVER].fin_received = true;
	wait_ns(w, w->variant & 1 ? 2 * S : 0);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
}

/* close() while the peer goes on: the socket is gone before the FIN comes, which is not in it. */
static void told_without_fin(struct world *w)
{
	open_again(w);
	bulk(w, SERVER, 4);
	seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	wait_ns(w, 100 * MS);
	if (w->variant & 1)
		seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	else
		seg(w, SERVER, TCP_RST, 0, NULL);
}

/* Neither a FIN nor an RST comes: the byte counts when the flow ends. */
static void told_and_silent(struct world *w)
{
	open_again(w);
	bulk(w, CLIENT, 4);
	bulk(w, SERVER, 1);
	wait_ns(w, 2 * S);
	sample(w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
}

/* Ports that are used again at once; the figures of the connection before are read behind the SYN,
 * and come in the middle of the new one. */
static void reused_told_late(struct world *w)
{
	struct kernel_sample late[2];
	int who, i, when;

	for (i = 0; i < 4; i++) {
		open_again(w);
		bulk(w, CLIENT, (uint32_t)(7 - i));
		for (who = 0; who < 2; who++)
			late[who] = told(w, who, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
		seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
		seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		new_isns(w, 70000);
		open_again(w);
		for (when = 0; when < 2; when++) {
			for (who = 0; who < 2; who++) {
				late[who].time_ns = w->narrow.time_ns;
				if (w->local >> who & 1 && when == i % 2)
					CHECK(give(w, &late[who]));
			}
			if (when)
				break;
			bulk(w, CLIENT, 1);
			seg(w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
		}
		seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		new_isns(w, 70000);
	}
}

/* SO_LINGER, 0 seconds: the socket's figures are gone before anybody can read them. */
static void aborted(struct world *w)
{
	int who = w->variant & 1;

	open_again(w);
	bulk(w, SERVER, 40);
	bulk(w, CLIENT, who == CLIENT ? 50 : 0);
	seg(w, who, TCP_RST | TCP_ACK, 0, NULL);
	wait_ns(w, 250 * MS);
}

/* The listener is gone before it took the connection. */
static void aborted_unread(struct world *w)
{
	open_again(w);
	bulk(w, CLIENT, 1);
	seg(w, SERVER, TCP_RST | TCP_ACK, 0, NULL);
}

static void aborted_at_once(struct world *w)
{
	open_again(w);
	seg(w, w->variant & 1, TCP_RST | TCP_ACK, 0, NULL);
}

/* More than a segment is believed, and no figures before: by the end of the flow. */
static void aborted_far_ahead(struct world *w)
{
	uint32_t i;

	open_again(w);
	for (i = 0; i < 100; i++)
		bulk(w, SERVER, 500);
	seg(w, w->variant & 1, TCP_RST | TCP_ACK, 0, NULL);
}

static void aborted_half_closed(struct world *w)
{
	open_again(w);
	bulk(w, SERVER, 3);
	seg(w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	bulk(w, CLIENT, 3);
	seg(w, CLIENT, TCP_RST | TCP_ACK, 0, NULL);
}

/* The answer to a SYN that comes again, where there is no listener any more. */
static void refused_again(struct world *w)
{
	struct script_segment g = {.who = SERVER, .flags = TCP_RST | TCP_ACK, .ack = 1};

	seg(w, CLIENT, TCP_SYN, 0, NULL);
	seg(w, SERVER, TCP_SYN | TCP_ACK, 0, NULL);
	g.seq = 0 - w->narrow.isn[SERVER];
	script_tcp(&w->full, &g);
	script_tcp(&w->narrow, &g);
}

static void test_ends(void)
{
	static const struct {
		const char *name;
		void (*run)(struct world *w);
	} cases[] = {
	    {"ACK behind the FIN", ack_behind_fin},
	    {"ACK behind the FIN, seen before", ack_before_fin},
	    {"told before the FINs", told_before_fins},
	    {"told without the FIN", told_without_fin},
	    {"told, and silent", told_and_silent},
	    {"ports used again, told late", reused_told_late},
	    {"aborted", aborted},
	    {"aborted, unread", aborted_unread},
	    {"aborted at once", aborted_at_once},
	    {"aborted, far ahead", aborted_far_ahead},
	    {"aborted, half closed", aborted_half_closed},
	    {"refused, SYN again", refused_again},
	};
	static struct world w;
	int local, variant;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (local = 1; local < 4; local++)
			for (variant = 0; variant < 4; variant++) {
				world_init(&w, cases[i].name, local, variant);
				cases[i].run(&w);
				world_end(&w);
			}
}

/* --- open before the start
 * ------------------------------------------------------------------------- */

/* The last figures have the FIN, or not, and a socket does not say which. */
static void old_closes(int local, int variant, int how, uint32_t segments)
{
	static struct world w;

	world_init(&w, "open before, FIN maybe", local, variant);
	w.next[CLIENT] = 5000;
	w.next[SERVER] = 77000;
	w.established = true;
	sample(&w, KERNEL_OLD);
	bulk(&w, CLIENT, segments);
	bulk(&w, SERVER, segments);
	seg(&w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
	if (how == 0) /* gone already when the server's FIN comes */
		sample(&w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	wait_ns(&w, MS);
	if (how == 1) { /* told before the frames came */
		w.k[CLIENT].fin_received = true;
		sample(&w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
		w.narrow.time_ns -= MS;
	}
	if (how == 2) { /* reset: what is told then is all data */
		seg(&w, SERVER, TCP_RST, 0, NULL);
		sample(&w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	} else {
		seg(&w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
	}
	if (how == 3) /* the usual */
		sample(&w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
	check_bytes(&w, 1400 * segments, 1400 * segments);
}

static void test_old_fin(void)
{
	int i;

	for (i = 0; i < 3 * 4 * 4 * 2; i++)
		old_closes(1 + i % 3, i / 3 % 4, i / 12 % 4, i / 48 * 5);
}

/* --- segments that are not to be believed
 * ---------------------------------------------------------- */

static void forged(struct world *w, int who, uint8_t flags, uint32_t ahead)
{
	struct script_segment g = {.who = who,
				   .flags = flags,
				   .seq = w->next[who] + ahead,
				   .ack = w->next[1 - who] + ahead,
				   .data = binary};

	g.len = flags & TCP_RST ? 0 : 10;
	script_tcp(&w->narrow, &g);
}

/* Of two rings the one with a connection's end was read before the one with its begin. */
static void test_two_rings(void)
{
	struct script_segment syn = {.who = CLIENT, .flags = TCP_SYN};
	struct script_segment syn_ack = {.who = SERVER, .flags = TCP_SYN | TCP_ACK, .ack = 1};
	static struct world w;
	struct script alone;
	uint64_t began_ns, ended_ns;
	int i;

	for (i = 0; i < 24; i++) {
		world_init(&w, "two rings", 1 + i % 3, i / 3 & 3);
		began_ns = w.narrow.time_ns;
		alone = w.narrow; /* its SYNs go nowhere */
		script_tcp(&w.full, &syn);
		script_tcp(&w.full, &syn_ack);
		w.next[CLIENT] = w.next[SERVER] = 1;
		w.established = true;
		wait_ns(&w, MS);
		ack(&w, CLIENT);
		text(&w, CLIENT, "hello");
		bulk(&w, SERVER, 5);
		seg(&w, i & 1, TCP_FIN | TCP_ACK, 0, NULL);
		seg(&w, 1 - (i & 1), TCP_FIN | TCP_ACK, 0, NULL);
		ended_ns = w.narrow.time_ns;
		alone.time_ns = began_ns;
		script_tcp(&alone, &syn);
		script_tcp(&alone, &syn_ack);
		w.narrow.time_ns = ended_ns;
		sample(&w, KERNEL_CLOSED | KERNEL_FIN_MAYBE);
		world_end(&w);
	}
}

/* No further than 64 MiB ahead of the kernel. */
static void test_forged(void)
{
	static struct world w;
	int i, who;

	for (i = 0; i < 24; i++) {
		world_init(&w, "forged", 1 + i % 3, i / 3 & 3);
		open_again(&w);
		bulk(&w, CLIENT, 3);
		sample(&w, 0);
		for (who = 0; who < 2; who++) {
			forged(&w, who, TCP_PSH | TCP_ACK, 3U * GIB / 2);
			forged(&w, who, TCP_PSH | TCP_ACK, 65 << 20);
		}
		if (i < 12) { /* a RST, a FIN: contradicted by what comes after */
			forged(&w, CLIENT, TCP_FIN | TCP_ACK, GIB);
			forged(&w, SERVER, TCP_RST | TCP_ACK, GIB);
		}
		bulk(&w, SERVER, 3);
		bulk(&w, CLIENT, 3);
		wait_ns(&w, 2 * S);
		sample(&w, i & 1 ? KERNEL_CLOSED : 0);
		check_bytes(&w, 6 * 1400, 3 * 1400);
	}
	/* within it, each counts from what the kernel has told, not from the last */
	world_init(&w, "forged, near", LOCAL_CLIENT, 0);
	open_again(&w);
	sample(&w, 0);
	for (i = 1; i < 8; i++)
		forged(&w, CLIENT, TCP_PSH | TCP_ACK, (uint32_t)i * (30 << 20));
	check_bytes(&w, 2 * (30 << 20) + 10, 0);
}

/* Nothing else tells it: a FIN or RST far ahead counts at the end. */
static void test_far_ahead(void)
{
	static struct world w;
	int i;

	for (i = 0; i < 24; i++) {
		world_init(&w, "far ahead", 1 + i % 3, i / 3 & 3);
		open_again(&w);
		goes_by(&w, SERVER, (3ULL * GIB) / 2);
		goes_by(&w, CLIENT, GIB);
		seg(&w, SERVER, TCP_PSH | TCP_ACK, 4, binary);
		if (i < 12) {
			seg(&w, CLIENT, TCP_FIN | TCP_ACK, 0, NULL);
			seg(&w, SERVER, TCP_FIN | TCP_ACK, 0, NULL);
		} else {
			seg(&w, i & 1, TCP_RST | TCP_ACK, 0, NULL);
		}
		check_bytes(&w, GIB, (3ULL * GIB) / 2 + 4);
	}
}

TEST_MAIN({"ends", test_ends}, {"open before the start", test_old_fin}, {"forged", test_forged},
	  {"far ahead", test_far_ahead}, {"two rings", test_two_rings})
