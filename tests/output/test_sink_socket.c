/* test_sink_socket.c - output/sink_socket.c and output/sink_datagram.c against real sockets:
 * readers that are slow, hang, go away, come back. */
#include "output/sink_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/test.h"

enum { MS = 1000000 };

static char dir[] = "/tmp/flowline-test-socket-XXXXXX";
static char path[sizeof(dir) + 16];

static void make_path(void)
{
	if (!path[0]) {
		if (!mkdtemp(dir))
			abort();
		snprintf(path, sizeof(path), "%s/sock", dir);
	}
	unlink(path);
}

static void remove_path(void)
{
	unlink(path);
	rmdir(dir);
	path[0] = 0;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- The sink's side -------------------------------------------------------------------------- */

static struct sink *open_unix(const char *name, bool datagram, size_t most, unsigned int timeout_ms)
{
	struct sink_unix_config c = {.path = name,
				     .datagram = datagram,
				     .datagram_bytes = most,
				     .timeout_ns = (uint64_t)timeout_ms * MS};
	char why[SINK_WHY_SIZE];
	struct sink *s;

	if (sink_unix_open(&s, &c, why)) {
		printf("    %s\n", why);
		abort();
	}
	return s;
}

static struct sink *open_udp(const char *host, unsigned int port, size_t most)
{
	char text[16], why[SINK_WHY_SIZE];
	struct sink_udp_config c = {.host = host, .port = text, .datagram_bytes = most};
	struct sink *s;

	snprintf(text, sizeof(text), "%u", port);
	if (sink_udp_open(&s, &c, why)) {
		printf("    %s\n", why);
		abort();
	}
	return s;
}

struct asked {
	int times, most;
};

static bool some_times(void *ctx)
{
	struct asked *a = ctx;

	return a->times++ < a->most;
}

static struct sink_result send_most(struct sink *s, const char *bytes, size_t size, int turns)
{
	struct parcel p = {.bytes = bytes, .size = size};
	struct asked asked = {0, turns};
	struct sink_turn turn = {some_times, &asked};
	struct sink_result r = {0};
	size_t i;

	for (i = 0; i < size; i++)
		p.points += bytes[i] == '\n';
	s->ops->send(s, &p, &turn, &r);
	return r;
}

static struct sink_result put(struct sink *s, const char *text)
{
	return send_most(s, text, strlen(text), 1000);
}

static void shut(struct sink *s)
{
	char why[SINK_WHY_SIZE];

	CHECK_INT(s->ops->close(s, why), 0);
	CHECK_STR(why, "");
}

/* Nothing is lost, and the sentence has this in it; "": there is none. */
static void check_says(struct sink_result r, enum sink_verdict verdict, const char *why, int line)
{
	CHECK_MSG(r.verdict == verdict, "line %d: verdict %d, wanted %d", line, r.verdict, verdict);
	CHECK_MSG(!r.lost, "line %d: %u lost", line, r.lost);
	CHECK_MSG(*why ? strstr(r.why, why) != NULL : !r.why[0], "line %d: %s", line, r.why);
}

#define CHECK_SAYS(r, verdict, why) check_says(r, verdict, why, __LINE__)

/* Numbered lines of this length: "000000017,xxxx\n". */
static char *make_lines(unsigned int n, unsigned int length)
{
	char *text = malloc((size_t)n * length + 1);
	unsigned int i;

	if (!text)
		abort();
	memset(text, 'x', (size_t)n * length);
	for (i = 0; i < n; i++) {
		snprintf(text + (size_t)i * length, 11, "%09u,", i % 1000000000);
		text[(size_t)i * length + 10] = 'x';
		text[(size_t)(i + 1) * length - 1] = '\n';
	}
	text[(size_t)n * length] = 0;
	return text;
}

/* --- Readers ---------------------------------------------------------------------------------- */

static int bound(int type, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(a);
	int fd = socket(AF_UNIX, type, 0);

	memcpy(a.sun_path, name, strlen(name));
	if (name[0] == '@') {
		a.sun_path[0] = 0;
		size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size))
		abort();
	return fd;
}

static int listening(const char *name, int backlog)
{
	int fd = bound(SOCK_STREAM, name);

	if (listen(fd, backlog))
		abort();
	return fd;
}

struct reader {
	int fd;                /* listening, or of datagrams */
	size_t most;           /* bytes that it reads of the first connection before it closes it */
	unsigned int pause_us; /* after each read; with most: of the first connection */
	size_t chunk;
	char *got; /* of the last connection, or of all datagrams */
	size_t size, room;
	unsigned int connections, datagrams;
	size_t longest;
	bool torn; /* a datagram that does not end with a line */
	pthread_t thread;
};

static void *read_streams(void *ctx)
{
	struct reader *rd = ctx;
	ssize_t n;
	int fd;

	while ((fd = accept(rd->fd, NULL, NULL)) >= 0) {
		size_t most = rd->connections++ || !rd->most ? rd->room : rd->most;

		rd->size = 0;
		while (rd->size < most) {
			size_t chunk = rd->chunk < most - rd->size ? rd->chunk : most - rd->size;

			n = read(fd, rd->got + rd->size, chunk);
			if (n <= 0)
				break;
			rd->size += (size_t)n;
			if (rd->pause_us && (!rd->most || rd->connections == 1))
				usleep(rd->pause_us);
		}
		close(fd);
	}
	return NULL;
}

static void *read_datagrams(void *ctx)
{
	struct reader *rd = ctx;
	ssize_t n;

	while ((n = recv(rd->fd, rd->got + rd->size, rd->room - rd->size, 0)) > 0) {
		if (n == 3 && !memcmp(rd->got + rd->size, "end", 3))
			break;
		rd->torn |= rd->got[rd->size + (size_t)n - 1] != '\n';
		rd->longest = (size_t)n > rd->longest ? (size_t)n : rd->longest;
		rd->size += (size_t)n;
		rd->datagrams++;
		if (rd->pause_us)
			usleep(rd->pause_us);
	}
	return NULL;
}

static void start(struct reader *rd, int fd, void *(*run)(void *))
{
	rd->fd = fd;
	rd->room = 8 << 20;
	rd->chunk = rd->chunk ? rd->chunk : 65536;
	rd->got = calloc(1, rd->room);
	if (!rd->got || pthread_create(&rd->thread, NULL, run, rd))
		abort();
}

/* Ends a reader of streams once the sink is closed; it still reads what is there. */
static void stop_streams(struct reader *rd)
{
	shutdown(rd->fd, SHUT_RDWR);
	pthread_join(rd->thread, NULL);
	close(rd->fd);
}

static void stop_datagrams(struct reader *rd)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof(a);
	int fd;

	getsockname(rd->fd, (struct sockaddr *)&a, &size);
	fd = socket(a.ss_family, SOCK_DGRAM, 0);
	if (sendto(fd, "end", 3, 0, (struct sockaddr *)&a, size) != 3)
		abort();
	close(fd);
	pthread_join(rd->thread, NULL);
	close(rd->fd);
}

/* --- Names ------------------------------------------------------------------------------------ */

static void test_names(void)
{
	char name[200], why[SINK_WHY_SIZE];
	struct sink_unix_config c = {.path = name, .datagram_bytes = 100};
	struct sink_udp_config u = {"", "8089", 1400};
	struct sink *s;
	size_t len;

	for (len = 0; len < 120; len++) {
		int want = !len ? FL_EUSAGE : len > 107 ? -ENAMETOOLONG : 0;
		int want_abstract = len < 2 ? FL_EUSAGE : len > 108 ? -ENAMETOOLONG : 0;

		memset(name, 'n', len);
		name[len] = 0;
		c.datagram = len % 2;
		CHECK_INT(sink_unix_open(&s, &c, why), want);
		CHECK(!s == !!want && !why[0] == !want);
		if (s)
			shut(s);
		name[0] = len ? '@' : 0;
		CHECK_INT(sink_unix_open(&s, &c, why), want_abstract);
		if (s)
			shut(s);
	}
	CHECK(strstr(why, "a socket's name has at most 108 bytes, this one has 119") != NULL);
	c.datagram = true;
	c.datagram_bytes = 0;
	c.path = "x";
	CHECK_INT(sink_unix_open(&s, &c, why), FL_EUSAGE);
	CHECK_INT(sink_udp_open(&s, &u, why), FL_EUSAGE);
	CHECK_STR(why, "names no host: want HOST:PORT, such as 127.0.0.1:8089");
	u.host = "::1";
	u.port = "";
	CHECK_INT(sink_udp_open(&s, &u, why), FL_EUSAGE);
	u.port = "no-such-service";
	CHECK_INT(sink_udp_open(&s, &u, why), 0);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "::1 port no-such-service: ");
	shut(s);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static void test_stream(void)
{
	static const char *const names[] = {NULL, "@flowline-test-sink-socket"};
	char *text = make_lines(20000, 100);
	size_t i;

	make_path();
	for (i = 0; i < 2; i++) {
		const char *name = names[i] ? names[i] : path;
		struct reader rd = {0};
		struct sink *s = open_unix(name, false, 0, 2000);
		struct sink_result r;

		CHECK_STR(s->ops->kind, "unix");
		CHECK(s->ops->spools);
		start(&rd, listening(name, 5), read_streams);
		r = put(s, "a\nb\n");
		CHECK_SAYS(r, SINK_DELIVERED, "");
		CHECK_INT(r.bytes, 4);
		/* Delivered is read: no need to wait for the thread. */
		CHECK_SAYS(put(s, text), SINK_DELIVERED, "");
		s->ops->idle(s);
		CHECK_SAYS(put(s, "c\n"), SINK_DELIVERED, "");
		shut(s);
		stop_streams(&rd);
		CHECK_INT(rd.connections, 1);
		CHECK_INT(rd.size, 6 + strlen(text));
		CHECK(!memcmp(rd.got, "a\nb\n", 4) && !memcmp(rd.got + 4, text, strlen(text)));
		free(rd.got);
	}
	free(text);
	remove_path();
}

static void test_no_reader(void)
{
	struct sink *s;
	int fd;

	make_path();
	s = open_unix(path, false, 0, 1000);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "No such file or directory: start its reader");
	fd = bound(SOCK_STREAM, path);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "Connection refused: nobody reads from it");
	close(fd);
	unlink(path);
	fd = bound(SOCK_DGRAM, path);
	CHECK_SAYS(put(s, "a\n"), SINK_REFUSED, "it is no stream socket: use type: datagram");
	shut(s);
	s = open_unix(path, true, 100, 1000);
	CHECK_SAYS(put(s, "a\n"), SINK_DELIVERED, "");
	close(fd);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "Connection refused: nobody reads from it");
	unlink(path);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "No such file or directory: start its reader");
	fd = listening(path, 5);
	CHECK_SAYS(put(s, "a\n"), SINK_REFUSED, "it is no datagram socket: use type: stream");
	shut(s);
	close(fd);
	unlink(path);
	if (geteuid()) {
		fd = listening(path, 5);
		chmod(path, 0);
		s = open_unix(path, false, 0, 1000);
		CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "Permission denied: let this user write");
		shut(s);
		close(fd);
	}
	remove_path();
}

/* A connection that the reader closed while nothing was sent: seen before the next parcel. */
static void test_reader_closed(void)
{
	struct reader rd = {.most = 2};
	struct sink *s;
	int i;

	make_path();
	for (i = 0; i < 2; i++) {
		rd = (struct reader){.most = 2};
		start(&rd, listening(path, 5), read_streams);
		s = open_unix(path, false, 0, 1000);
		CHECK_SAYS(put(s, "a\n"), SINK_DELIVERED, "");
		usleep(20000);
		if (i)
			s->ops->idle(s);
		CHECK_SAYS(put(s, "b\n"), SINK_DELIVERED, "");
		shut(s);
		stop_streams(&rd);
		CHECK_INT(rd.connections, 2);
		CHECK(rd.size == 2 && !memcmp(rd.got, "b\n", 2));
		free(rd.got);
		unlink(path);
	}
	remove_path();
}

/* It goes away with a part unread, in the middle of the sending or behind it. */
static void test_reader_goes(void)
{
	static const unsigned int lines[] = {20000, 30};
	size_t i;

	make_path();
	for (i = 0; i < 2; i++) {
		char *text = make_lines(lines[i], 100);
		struct reader rd = {.most = 1000, .pause_us = 20000};
		struct sink *s = open_unix(path, false, 0, 1000);

		start(&rd, listening(path, 5), read_streams);
		CHECK_SAYS(put(s, text), SINK_RETRY,
			   "closed the connection before it had read all");
		CHECK_SAYS(put(s, text), SINK_DELIVERED, "");
		shut(s);
		stop_streams(&rd);
		CHECK(rd.size == strlen(text) && !memcmp(rd.got, text, rd.size));
		free(rd.got);
		free(text);
		unlink(path);
	}
	remove_path();
}

/* It reads nothing: small parcels fit into the kernel's queue, and are not delivered for that. A
 * connection that is given up ends between two lines. */
static void test_reader_hangs(void)
{
	char *text = make_lines(10007, 97), *got = malloc(10007 * 97);
	const unsigned int sizes[] = {97 * 10, 97 * 10007};
	size_t i;

	make_path();
	for (i = 0; i < 4; i++) {
		int fd = listening(path, 5), conn, stop = i >= 2;
		struct sink *s = open_unix(path, false, 0, stop ? 60000 : 250);
		struct sink_result r;
		double took = seconds();
		size_t n = 0;
		ssize_t m;

		r = send_most(s, text, sizes[i % 2], stop ? 3 : 1000);
		took = seconds() - took;
		if (stop)
			CHECK_SAYS(r, SINK_STOPPED, "");
		else
			CHECK_SAYS(r, SINK_RETRY, "took nothing for 0.2 s");
		CHECK_MSG(took > 0.18 && took < 3, "%f s", took);
		conn = accept(fd, NULL, NULL);
		while ((m = read(conn, got + n, 97 * 10007 - n)) > 0)
			n += (size_t)m;
		CHECK_INT(n, r.bytes);
		CHECK(n >= 97 * 10 && n <= sizes[i % 2] && !memcmp(got, text, n) &&
		      got[n - 1] == '\n');
		shut(s);
		close(conn);
		close(fd);
		unlink(path);
	}
	free(text);
	free(got);
	remove_path();
}

/* Slower than the timeout for the whole, never silent for so long. */
static void test_slow_reader(void)
{
	char *text = make_lines(6000, 100);
	struct reader rd = {.pause_us = 6000, .chunk = 4000};
	struct sink *s;

	make_path();
	start(&rd, listening(path, 5), read_streams);
	s = open_unix(path, false, 0, 600);
	CHECK_SAYS(put(s, text), SINK_DELIVERED, "");
	shut(s);
	stop_streams(&rd);
	CHECK(rd.size == strlen(text) && !memcmp(rd.got, text, rd.size));
	free(rd.got);
	free(text);
	remove_path();
}

static void test_full_backlog(void)
{
	int fd, others[16], n = 0;
	struct sink *s;

	make_path();
	fd = listening(path, 0);
	for (; n < 16; n++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};

		memcpy(a.sun_path, path, strlen(path));
		others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(others[n], (struct sockaddr *)&a, sizeof(a)))
			break;
	}
	CHECK(n < 16 && errno == EAGAIN);
	s = open_unix(path, false, 0, 150);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "its reader does not take connections");
	CHECK_SAYS(send_most(s, "a\n", 2, 1), SINK_STOPPED, "");
	shut(s);
	for (; n >= 0; n--)
		close(others[n < 16 ? n : 15]);
	close(fd);
	remove_path();
}

/* --- Unix datagrams --------------------------------------------------------------------------- */

static void test_datagrams(void)
{
	char *text = make_lines(3000, 100), *long_line = make_lines(1, 2000);
	struct reader rd = {0};
	struct sink_result r;
	struct sink *s;

	make_path();
	start(&rd, bound(SOCK_DGRAM, path), read_datagrams);
	s = open_unix(path, true, 1450, 2000);
	CHECK_STR(s->ops->kind, "unix");
	r = put(s, text);
	CHECK_SAYS(r, SINK_DELIVERED, "");
	CHECK_INT(r.bytes, 300000);
	r = put(s, long_line);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 1);
	CHECK_INT(r.bytes, 0);
	CHECK(strstr(r.why, "1 points lost whose lines (of up to 2000 bytes) fit into no datagram: "
			    "raise datagram_size, now 1450") != NULL);
	shut(s);
	stop_datagrams(&rd);
	CHECK_INT(rd.datagrams, (3000 + 13) / 14);
	CHECK_INT(rd.longest, 1400);
	CHECK(!rd.torn && rd.size == 300000 && !memcmp(rd.got, text, rd.size));
	free(rd.got);
	free(text);
	free(long_line);
	remove_path();
}

/* More than the kernel takes (SO_SNDBUF): in halves; a line alone is lost, the others are not. */
static void test_datagram_too_big(void)
{
	char *text = make_lines(8000, 100), *line = make_lines(1, 900000), *all;
	struct reader rd = {0};
	struct sink_result r;
	struct sink *s;

	make_path();
	start(&rd, bound(SOCK_DGRAM, path), read_datagrams);
	s = open_unix(path, true, 1000000, 2000);
	all = malloc(2 * 800000 + 900000);
	if (!all)
		abort();
	memcpy(all, text, 800000);
	memcpy(all + 800000, line, 900000);
	memcpy(all + 1700000, text, 800000);
	r = send_most(s, all, 2500000, 1000);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 1);
	CHECK_INT(r.bytes, 1600000);
	shut(s);
	stop_datagrams(&rd);
	CHECK(!rd.torn && rd.size == 1600000 && !memcmp(rd.got, text, 800000) &&
	      !memcmp(rd.got + 800000, text, 800000));
	CHECK(rd.longest > 20000);
	free(rd.got);
	free(all);
	free(text);
	free(line);
	remove_path();
}

static void test_datagram_reader(void)
{
	char *text = make_lines(2000, 100);
	struct reader rd = {.pause_us = 200};
	struct sink *s;
	char got[200];
	int fd;

	make_path();
	/* It hangs: its queue is full. */
	fd = bound(SOCK_DGRAM, path);
	s = open_unix(path, true, 100, 150);
	CHECK_SAYS(put(s, text), SINK_RETRY, "its reader's queue stays full");
	CHECK_SAYS(send_most(s, text, 200000, 1), SINK_STOPPED, "");
	/* It was started anew, with or without another address in between. */
	close(fd);
	unlink(path);
	fd = bound(SOCK_DGRAM, path);
	CHECK_SAYS(put(s, "a\n"), SINK_DELIVERED, "");
	close(fd);
	unlink(path);
	fd = bound(SOCK_DGRAM, path);
	CHECK_SAYS(put(s, "b\n"), SINK_DELIVERED, "");
	CHECK(recv(fd, got, sizeof(got), MSG_DONTWAIT) == 2 && got[0] == 'b');
	/* It is slow. */
	start(&rd, fd, read_datagrams);
	CHECK_SAYS(put(s, text), SINK_DELIVERED, "");
	shut(s);
	stop_datagrams(&rd);
	CHECK(rd.size == 200000 && !memcmp(rd.got, text, rd.size));
	free(rd.got);
	free(text);
	remove_path();
}

/* --- UDP -------------------------------------------------------------------------------------- */

/* A socket on loopback; -1: there is no such family here. */
static int udp_bound(int family, unsigned int *port)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6;
	socklen_t size = family == AF_INET ? sizeof(a4) : sizeof(a6);
	int fd = socket(family, SOCK_DGRAM, 0);

	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	if (bind(fd, a, size) || getsockname(fd, a, &size)) {
		close(fd);
		return -1;
	}
	*port = ntohs(family == AF_INET ? a4.sin_port : a6.sin6_port);
	return fd;
}

static void check_udp(int family, const char *host)
{
	char *text = make_lines(700, 100), *long_line = make_lines(1, 70000);
	struct reader rd = {0};
	struct sink_result r;
	unsigned int port;
	struct sink *s;
	int fd = udp_bound(family, &port);

	if (fd < 0)
		abort();
	start(&rd, fd, read_datagrams);
	s = open_udp(host, port, 1400);
	CHECK_STR(s->ops->kind, "udp");
	CHECK(!s->ops->spools);
	r = put(s, text); /* 50 datagrams: there is room for them whatever the reader does */
	CHECK_SAYS(r, SINK_DELIVERED, "");
	CHECK_INT(r.bytes, 70000);
	shut(s);
	s = open_udp(host, port, 100000); /* the protocol's own limit */
	r = put(s, long_line);
	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 1);
	CHECK(strstr(r.why, "fit into no datagram") != NULL);
	r = put(s, text);
	CHECK_SAYS(r, SINK_DELIVERED, "");
	shut(s);
	stop_datagrams(&rd);
	CHECK(!rd.torn && rd.size == 140000 && !memcmp(rd.got, text, 70000) &&
	      !memcmp(rd.got + 70000, text, 70000));
	free(rd.got);
	free(text);
	free(long_line);
}

static void test_udp(void)
{
	check_udp(AF_INET, "127.0.0.1");
	/* A name with addresses of both families: the one where somebody listens. */
	check_udp(AF_INET, "localhost");
}

static void test_udp6(void)
{
	unsigned int port;
	int fd = udp_bound(AF_INET6, &port);

	if (fd < 0) {
		TEST_SKIP("no IPv6 on loopback");
		return;
	}
	close(fd);
	check_udp(AF_INET6, "::1");
}

static void test_udp_refused(void)
{
	char *text = make_lines(100, 100), got[2000];
	struct sockaddr_in a = {.sin_family = AF_INET};
	unsigned int port;
	struct sink *s;
	int fd = udp_bound(AF_INET, &port);

	close(fd);
	s = open_udp("127.0.0.1", port, 1400);
	CHECK_SAYS(put(s, "a\n"), SINK_RETRY, "Connection refused: nobody listens there");
	CHECK_SAYS(put(s, text), SINK_RETRY, "Connection refused: nobody listens there");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		TEST_SKIP("somebody else took the port");
	} else {
		CHECK_SAYS(put(s, "b\n"), SINK_DELIVERED, "");
		CHECK(recv(fd, got, sizeof(got), MSG_DONTWAIT) == 2 && got[0] == 'b');
	}
	close(fd);
	shut(s);
	free(text);
}

/* Paced, so that a reader can follow; what it loses all the same depends on the machine. */
static void test_udp_pace(void)
{
	char *text = make_lines(14000, 100);
	struct reader rd = {0};
	struct sink_result r;
	unsigned int port;
	struct sink *s;
	double took;
	int fd;

	start(&rd, udp_bound(AF_INET, &port), read_datagrams);
	s = open_udp("127.0.0.1", port, 1400);
	took = seconds();
	r = put(s, text);
	took = seconds() - took;
	CHECK_SAYS(r, SINK_DELIVERED, "");
	CHECK_MSG(took >= 0.015, "1000 datagrams in %f s", took);
	shut(s);
	usleep(20000);
	stop_datagrams(&rd);
	printf("1000 datagrams in %.1f ms: %u arrived\n", took * 1e3, rd.datagrams);
	CHECK(!rd.torn && rd.datagrams <= 1000);
	fd = udp_bound(AF_INET, &port);
	s = open_udp("127.0.0.1", port, 1400);
	CHECK_SAYS(send_most(s, text, 1400000, 0), SINK_STOPPED, "");
	shut(s);
	close(fd);
	free(rd.got);
	free(text);
}

TEST_MAIN({"names", test_names}, {"stream", test_stream}, {"no reader", test_no_reader},
	  {"reader closed", test_reader_closed}, {"reader goes", test_reader_goes},
	  {"reader hangs", test_reader_hangs}, {"slow reader", test_slow_reader},
	  {"full backlog", test_full_backlog}, {"datagrams", test_datagrams},
	  {"datagram too big", test_datagram_too_big}, {"datagram reader", test_datagram_reader},
	  {"UDP", test_udp}, {"UDP over IPv6", test_udp6}, {"UDP refused", test_udp_refused},
	  {"UDP pace", test_udp_pace})
