/* test_repair.c - collector/repair.c: when lists are taken and when they are applied, with a source
 * that only pretends; then with this kernel's sockets, taken for those of an older one.
 */
#include "collector/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "collector/sockets.h"
#include "tests/flows/script.h"
#include "tests/collector/pretend_proc.h"
#include "tests/test.h"

#define MS 1000000ULL
#define S  1000000000ULL

/* What the pretended source and rings say, and what was done with them. */
static struct {
	bool open, fails;
	unsigned int opens, closes, dumps, drops_asked;
	struct kernel_sink sink;
	struct kernel_sample sample;
	uint64_t cpu_ns, drops, read_until_ns;
	bool dropping, needless;
} x;

static int pretend_open(struct kernel_source **s, const struct kernel_source_config *c,
			const struct kernel_sink *sink, char why[KERNEL_WHY_SIZE])
{
	CHECK(c->dumps_only);
	c->own(c->own_ctx, 4711);
	x.opens++;
	x.sink = *sink;
	*s = (struct kernel_source *)&x;
	if (!x.open)
		snprintf(why, KERNEL_WHY_SIZE, "it shall not");
	return x.open ? 0 : -EPERM;
}

static int pretend_dump(struct kernel_source *s, bool first, char why[KERNEL_WHY_SIZE])
{
	(void)s;
	CHECK(!first);
	x.dumps++;
	x.sink.sample(x.sink.ctx, &x.sample, NULL);
	if (x.fails)
		snprintf(why, KERNEL_WHY_SIZE, "no list");
	return x.fails ? -EIO : 0;
}

static void pretend_stats(struct kernel_source *s, struct kernel_source_stats *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
	out->dump_cpu_ns = x.cpu_ns;
}

static void pretend_close(struct kernel_source *s)
{
	(void)s;
	x.closes++;
}

static const struct kernel_source_ops pretended = {
    .name = "socket",
    .open = pretend_open,
    .dump = pretend_dump,
    .stats = pretend_stats,
    .close = pretend_close,
};

static bool is_dropping(void *ctx)
{
	(void)ctx;
	return x.dropping;
}

static uint64_t dropped(void *ctx)
{
	(void)ctx;
	x.dropping = false;
	x.drops_asked++;
	return x.drops;
}

static uint64_t read_until(void *ctx)
{
	(void)ctx;
	return x.read_until_ns;
}

static bool is_needless(void *ctx)
{
	(void)ctx;
	return x.needless;
}

static struct script script;
static struct record record;
static struct repair r;

/* A connection of which the handshake was seen; its client's socket has sent 5,000 bytes. */
static void begin(const struct kernel_source_ops *ops, enum conf_narrow narrow)
{
	struct repair_config c = {.sockets = ops,
				  .proc = proc,
				  .narrow = narrow,
				  .dropping = is_dropping,
				  .drops = dropped,
				  .read_until_ns = read_until,
				  .needless = is_needless};
	struct engine_config e;
	struct ip_addr a[2];
	uint8_t v4[4];
	int i;

	memset(&x, 0, sizeof(x));
	x.open = true;
	set_forwarding(0);
	script_config(&e, &record);
	script_init(&script, script_engine(&e), PROTO_TCP, 80);
	script_play(&script, "c S 0; s SA 0 1; c A 1 1");
	for (i = 0; i < 2; i++) {
		put_be32(v4, script.addr[i]);
		addr_from_v4(&a[i], v4);
	}
	x.sample.end = (uint8_t)flow_key_make(&x.sample.key, &a[0], &a[1], script.port[0],
					      script.port[1], PROTO_TCP);
	x.sample.has = KERNEL_SENT | KERNEL_RECEIVED | KERNEL_ESTABLISHED;
	x.sample.sent = 5000;
	x.sample.time_ns = script.time_ns + S;
	c.engine = script.e;
	repair_init(&r, &c);
}

static uint64_t repaired(void)
{
	return engine_stats(script.e)->bytes_repaired;
}

static void end(void)
{
	bool was_open = r.source == (struct kernel_source *)&x;
	unsigned int closes = x.closes;

	repair_close(&r);
	CHECK_INT(x.closes - closes, was_open);
	engine_free(script.e);
	record_free(&record);
}

static void test_nothing(void)
{
	uint64_t now_ns;

	begin(&pretended, CONF_NARROW_AUTO);
	for (now_ns = 0; now_ns < 100 * S; now_ns += S / 2) {
		repair_tick(&r, now_ns);
		repair_work(&r, now_ns + 1);
		CHECK(repair_due_ns(&r) == UINT64_MAX);
	}
	repair_finish(&r);
	CHECK_INT(x.opens + x.dumps, 0);
	CHECK(!r.samples);
	end();
}

/* Applied when the rings have been read so far; a second list; no third. */
static void test_lists(void)
{
	uint64_t now_ns = 50 * S;

	begin(&pretended, CONF_NARROW_AUTO);
	x.drops = 3;
	repair_work(&r, now_ns); /* nobody has said so yet */
	CHECK_INT(x.opens, 0);
	repair_tick(&r, now_ns);
	CHECK_INT(x.opens, 1);
	CHECK_INT(x.dumps, 1);
	CHECK_INT(r.n, 1);
	CHECK(repair_due_ns(&r) != UINT64_MAX);
	x.read_until_ns = r.taken_ns - 1;
	repair_work(&r, now_ns += 100 * MS);
	CHECK_INT(repaired(), 0);
	x.read_until_ns = r.taken_ns;
	repair_work(&r, now_ns += 100 * MS);
	CHECK_INT(repaired(), 5000);
	CHECK(!r.samples);
	CHECK_INT(x.dumps, 1);
	CHECK(repair_due_ns(&r) == 51 * S);
	repair_work(&r, 51 * S - 1);
	CHECK_INT(x.dumps, 1);
	x.sample.sent = 6000;
	repair_work(&r, 51 * S);
	CHECK_INT(x.dumps, 2);
	x.read_until_ns = UINT64_MAX;
	for (now_ns = 52 * S; now_ns < 70 * S; now_ns += S / 2) {
		repair_tick(&r, now_ns);
		repair_work(&r, now_ns + 1);
	}
	CHECK_INT(repaired(), 6000);
	CHECK_INT(x.dumps, 2);
	CHECK_INT(x.opens, 1);
	x.drops = 4;
	repair_tick(&r, now_ns);
	CHECK_INT(x.dumps, 3);
	end();
}

/* A ring that drops all the time: a list each second, or as rarely as lists are dear. */
static void test_pace(void)
{
	uint64_t now_ns;
	int dear;

	for (dear = 0; dear < 2; dear++) {
		begin(&pretended, CONF_NARROW_AUTO);
		x.read_until_ns = UINT64_MAX;
		x.cpu_ns = dear ? S / 4 : MS;
		for (now_ns = 100 * S; now_ns < 120 * S; now_ns += 10 * MS) {
			x.drops++;
			x.dropping = true;
			repair_work(&r, now_ns);
		}
		CHECK_INT(x.dumps, dear ? 4 : 20);
		CHECK(x.drops_asked <= 2 * x.dumps); /* a system call each */
		end();
	}
}

/* A ring that is never read to its end, it seems. */
static void test_late(void)
{
	begin(&pretended, CONF_NARROW_AUTO);
	x.drops = 1;
	repair_tick(&r, 10 * S);
	repair_work(&r, 14 * S);
	CHECK_INT(repaired(), 0);
	CHECK_INT(x.dumps, 1);
	repair_work(&r, 15 * S);
	CHECK_INT(repaired(), 5000);
	end();
}

/* More than the frames can have had is some other connection's. */
static void test_most(void)
{
	begin(&pretended, CONF_NARROW_AUTO);
	x.drops = 1;
	x.read_until_ns = UINT64_MAX;
	x.sample.sent = 8 * 65535 + 1;
	repair_tick(&r, 10 * S);
	repair_work(&r, 10 * S);
	CHECK_INT(repaired(), 0);
	x.sample.sent--;
	repair_tick(&r, 12 * S);
	repair_work(&r, 12 * S);
	CHECK_INT(repaired(), 8 * 65535);
	x.sample.sent++;
	x.drops = 2;
	repair_tick(&r, 14 * S);
	repair_work(&r, 14 * S);
	CHECK_INT(repaired(), 8 * 65535 + 1);
	end();
}

static void test_not_here(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		begin(&pretended, i == 2 ? CONF_NARROW_ALWAYS
				  : i    ? CONF_NARROW_AUTO
					 : CONF_NARROW_NEVER);
		set_forwarding(i < 3);
		x.needless = i == 3;
		x.drops = 9;
		repair_tick(&r, 10 * S);
		repair_finish(&r);
		CHECK_INT(repaired(), i == 2 ? 5000 : 0);
		CHECK_INT(x.opens, i == 2);
		end();
	}
}

static void test_refused(void)
{
	uint64_t now_ns;

	begin(&pretended, CONF_NARROW_AUTO);
	x.open = false;
	for (now_ns = 10 * S; now_ns < 1000 * S; now_ns += S) {
		x.drops++;
		repair_tick(&r, now_ns);
		CHECK_INT(x.opens, now_ns >= 250 * S ? 5 : 1 + (now_ns - 10 * S) / (60 * S));
	}
	CHECK_STR(r.why, "it shall not");
	CHECK_INT(x.dumps + x.closes, 0);
	end();

	begin(&pretended, CONF_NARROW_AUTO);
	x.fails = true;
	x.drops = 1;
	repair_tick(&r, 10 * S);
	CHECK_INT(x.closes, 1);
	CHECK(!r.samples && !r.taken_ns);
	x.fails = false;
	repair_tick(&r, 69 * S);
	CHECK_INT(x.opens, 1);
	repair_tick(&r, 70 * S);
	CHECK_INT(x.opens, 2);
	repair_finish(&r);
	CHECK_INT(repaired(), 5000);
	end();
}

/* --- this kernel's sockets -------------------------------------------------------------------- */

/* A connection with itself on 127.0.0.1, as the script's. fd[0] is the client's. */
static bool connect_real(int fd[2])
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&a, &len) ||
	    connect(fd[0], (struct sockaddr *)&a, sizeof(a)))
		return false;
	fd[1] = accept(listener, NULL, NULL);
	for (i = 0; i < 2; i++) {
		len = sizeof(a);
		if (getsockname(fd[i], (struct sockaddr *)&a, &len))
			return false;
		script.addr[i] = ntohl(a.sin_addr.s_addr);
		script.port[i] = ntohs(a.sin_port);
	}
	close(listener);
	return fd[1] >= 0;
}

static bool send_all(int from, int to, size_t n)
{
	static char buf[65536];
	size_t got = 0, sent = 0;
	ssize_t k;

	while (got < n) {
		k = sent < n ? send(from, buf, n - sent < sizeof(buf) ? n - sent : sizeof(buf), 0)
			     : 0;
		if (k < 0)
			return false;
		sent += (size_t)k;
		k = recv(to, buf, sizeof(buf), 0);
		if (k <= 0)
			return false;
		got += (size_t)k;
	}
	return true;
}

static void wait_ms(unsigned int ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000 * MS)};

	nanosleep(&t, NULL);
}

/* The engine is shown the handshake, and nothing of the rest. */
static void real(uint32_t has, bool half_closed)
{
	static const struct sockets_pretend all = {UINT32_MAX, 0, 65536};
	struct sockets_pretend p = all;
	struct timespec now;
	int fd[2];

	begin(&kernel_source_sockets, CONF_NARROW_AUTO);
	if (!connect_real(fd)) {
		TEST_SKIP("no connection on 127.0.0.1");
		end();
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	script.time_ns = (uint64_t)now.tv_sec * S + (uint64_t)now.tv_nsec;
	script_play(&script, "c S 0; s SA 0 1; c A 1 1");
	CHECK(send_all(fd[0], fd[1], 300001));
	CHECK(send_all(fd[1], fd[0], 70003));
	if (half_closed)
		CHECK_INT(shutdown(fd[0], SHUT_WR), 0);
	wait_ms(100); /* a last ACK may be late */
	p.has = has;
	sockets_pretend(&p);
	x.drops = 1000;
	x.read_until_ns = UINT64_MAX;
	repair_tick(&r, 10 * S);
	CHECK_INT(r.taken, 1);
	repair_work(&r, 10 * S);
	CHECK_INT(repaired(), 300001 + 70003);
	CHECK(send_all(fd[1], fd[0], 1000));
	wait_ms(100);
	repair_tick(&r, 12 * S);
	repair_finish(&r);
	CHECK_INT(repaired(), 300001 + 71003);
	sockets_pretend(NULL);
	close(fd[0]);
	close(fd[1]);
	end();
}

/* RHEL 7's 3.10: bytes_acked and bytes_received, without bytes_sent. */
static void test_el7(void)
{
	const uint32_t has = SOCK_TCP_RTT | SOCK_TCP_RETRANS | SOCK_TCP_BYTES | SOCK_TCP_SEGS;

	real(has, false);
	real(has, true);
}

static void test_this_kernel(void)
{
	real(UINT32_MAX, false);
	real(UINT32_MAX, true);
}

TEST_MAIN({"made", test_made}, {"nothing dropped", test_nothing}, {"lists", test_lists},
	  {"dropping all the time", test_pace}, {"a ring that lags", test_late},
	  {"no more than frames can have", test_most}, {"not here", test_not_here},
	  {"refused", test_refused}, {"sockets as RHEL 7's", test_el7},
	  {"this kernel's sockets", test_this_kernel}, {"removed", test_removed})
