/* test_notify.c - what the service manager is told, at a socket of the test's own. */
#include "collector/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector/pipeline.h"
#include "tests/collector/status_build.h"
#include "tests/test.h"

#define S 1000000000ULL

static char dir[] = "/tmp/flowline-notify.XXXXXX", place[64];
static struct built *well;
static unsigned int asked;

/* A manager's socket at this address, which is put into the environment; "@...": abstract. */
static int listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	size_t len = strlen(path);

	memcpy(a.sun_path, path, len);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	CHECK(fd >= 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&a,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		  0);
	CHECK_INT(setenv("NOTIFY_SOCKET", path, 1), 0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return fd;
}

static int begin(void)
{
	unlink(place);
	return listen_at(place);
}

/* The next message, "" where there is none. */
static const char *heard(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void fill(void *ctx, struct status_view *view)
{
	(void)ctx;
	asked++;
	build_view(well, view);
}

static void test_nobody(void)
{
	struct notify n;

	unsetenv("NOTIFY_SOCKET");
	notify_open(&n);
	CHECK_INT(n.fd, -1);
	asked = 0;
	notify_ready(&n);
	CHECK(n.ready);
	notify_poll(&n, 5 * S, fill, NULL);
	notify_reloading(&n);
	notify_reloaded(&n);
	notify_stopping(&n);
	CHECK_INT(asked, 0);
	CHECK(notify_due_ns(&n) == UINT64_MAX);
	notify_close(&n);
}

static void test_life(void)
{
	struct notify n;
	int fd = begin();
	uint64_t before_us = monotonic_ns() / 1000, us = 0;
	const char *text;

	notify_open(&n);
	notify_poll(&n, S, fill, NULL); /* not ready yet: not a word */
	notify_reloading(&n);
	CHECK_STR(heard(fd), "");
	notify_ready(&n);
	notify_ready(&n);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_STR(heard(fd), "");
	notify_poll(&n, S, fill, NULL);
	CHECK_STR(heard(fd), "STATUS=eth0, wg0 (not there): 1604850 packets, 0 dropped by the "
			     "kernel; influx: ok; file:/var/log/flowline.line: ok\n");
	notify_poll(&n, 2 * S, fill, NULL); /* too early */
	notify_poll(&n, 20 * S, fill, NULL);
	CHECK_STR(heard(fd), ""); /* no news */
	notify_reloading(&n);
	text = heard(fd);
	CHECK_INT(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "\n", &us), 1);
	CHECK(us >= before_us && us <= monotonic_ns() / 1000);
	notify_reloaded(&n);
	CHECK_STR(heard(fd), "READY=1\nWATCHDOG=1\n");
	notify_stopping(&n);
	CHECK(!strncmp(heard(fd), "STOPPING=1\nSTATUS=", 18));
	notify_close(&n);
	close(fd);
}

static void test_watchdog(void)
{
	struct notify n;
	int fd = begin();

	setenv("WATCHDOG_USEC", "4000000", 1);
	notify_open(&n);
	CHECK(notify_due_ns(&n) == UINT64_MAX); /* only once it is ready */
	n.next_status_ns = UINT64_MAX;
	notify_ready(&n);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_INT(notify_due_ns(&n), 0);
	notify_poll(&n, 10 * S, fill, NULL);
	CHECK_STR(heard(fd), "WATCHDOG=1\n");
	CHECK_INT(notify_due_ns(&n), 12 * S);
	notify_poll(&n, 12 * S - 1, fill, NULL);
	CHECK_STR(heard(fd), "");
	notify_poll(&n, 12 * S, fill, NULL);
	CHECK_STR(heard(fd), "WATCHDOG=1\n");
	notify_close(&n);
	close(fd);
}

static void test_watchdog_environment(void)
{
	static const struct {
		const char *usec, *pid; /* "": this one */
		uint64_t half_ns;
	} cases[] = {
	    {"60000000", NULL, 30 * S},
	    {"60000000", "", 30 * S},
	    {"60000000", "1", 0},
	    {"2", NULL, S / 100},
	    {"60000000", "x", 0},
	    {"0", NULL, 0},
	    {"-5", NULL, 0},
	    {"5s", NULL, 0},
	    {"", NULL, 0},
	    {"99999999999999999999", NULL, 0},
	    {"18446744073709551615", NULL, 0}, /* more than ns can tell */
	};
	struct notify n;
	char pid[16];
	size_t i;
	int fd = begin();

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid)
			setenv("WATCHDOG_PID", cases[i].pid[0] ? cases[i].pid : pid, 1);
		else
			unsetenv("WATCHDOG_PID");
		notify_open(&n);
		CHECK_MSG(n.watchdog_ns == cases[i].half_ns, "'%s': %" PRIu64, cases[i].usec,
			  n.watchdog_ns);
		notify_close(&n);
	}
	close(fd);
}

static void test_abstract(void)
{
	char name[80], full[109];
	struct notify n;
	int fd;

	snprintf(name, sizeof(name), "@flowline-test/%d", (int)getpid());
	fd = listen_at(name);
	notify_open(&n);
	notify_ready(&n);
	CHECK_STR(heard(fd), "READY=1\n");
	notify_close(&n);
	close(fd);
	/* the longest one there is */
	memset(full, 'x', sizeof(full) - 1);
	full[108] = '\0';
	memcpy(full, name, strlen(name));
	fd = listen_at(full);
	notify_open(&n);
	notify_ready(&n);
	CHECK_STR(heard(fd), "READY=1\n");
	notify_close(&n);
	close(fd);
}

static void test_no_address(void)
{
	static const char *const bad[] = {"relative/path", "vsock:2:1234", "@", "/"};
	char longest[200];
	struct notify n;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		notify_open(&n);
		CHECK_MSG(n.fd < 0, "%s", bad[i]);
	}
	memset(longest, '/', sizeof(longest) - 1);
	longest[108] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_open(&n);
	CHECK_INT(n.fd, -1);
	longest[107] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_open(&n);
	CHECK(n.fd >= 0);
	notify_close(&n);
}

/* A manager that is away, or does not read: nothing hangs, and READY=1 comes later. */
static void test_manager_away(void)
{
	struct notify n;
	uint64_t now_ns = 100 * S;
	int fd = begin(), i;

	notify_open(&n);
	close(fd);
	unlink(place);
	notify_ready(&n);
	CHECK(n.unsent);
	notify_poll(&n, S, fill, NULL);
	CHECK(n.unsent);
	fd = begin();
	notify_poll(&n, 2 * S, fill, NULL);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK(!n.unsent);
	/* nobody reads: the queue fills, and what was not sent is tried again soon, but not at once
	 */
	n.watchdog_ns = 4 * S;
	n.next_status_ns = UINT64_MAX;
	for (i = 0; i < 2000 && n.next_watchdog_ns != now_ns + S; i++)
		notify_poll(&n, now_ns += 4 * S, fill, NULL);
	CHECK(n.next_watchdog_ns == now_ns + S);
	while (*heard(fd))
		;
	notify_poll(&n, now_ns + S, fill, NULL);
	CHECK_STR(heard(fd), "WATCHDOG=1\n");
	CHECK(n.next_watchdog_ns == now_ns + 5 * S);
	notify_close(&n);
	close(fd);
}

static void test_describe(void)
{
	char line[NOTIFY_STATUS_SIZE];
	struct status_view *v = &well->view;
	size_t i;

	v->outputs[0].state = OUTPUT_RETRY;
	v->outputs[0].points_spooled = 51;
	v->outputs[0].points_lost = 2;
	snprintf(v->outputs[0].why, sizeof(v->outputs[0].why), "no answer\nat all \xc3\xa4");
	notify_describe(v, line);
	CHECK_STR(line, "eth0, wg0 (not there): 1604850 packets, 0 dropped by the kernel; influx: "
			"retry, 51 points in the spool, 2 lost (no answer?at all \?\?); "
			"file:/var/log/flowline.line: ok");
	/* those that fail come first, and the line is cut */
	v->outputs[0].state = OUTPUT_OK;
	for (i = 1; i < 16; i++) {
		v->outputs[i] = v->outputs[0];
		memset(v->outputs[i].name, 'a' + (int)i, OUTPUT_NAME_MOST - 1);
	}
	v->outputs[15].state = OUTPUT_REFUSED;
	v->noutputs = 16;
	notify_describe(v, line);
	CHECK_INT(strlen(line), NOTIFY_STATUS_SIZE - 1);
	CHECK(strstr(line, "; pppp"));
	CHECK(strstr(line, "refused"));
	v->noutputs = 0;
	v->ninterfaces = 1;
	v->interfaces[0].name[0] = '\0';
	notify_describe(v, line);
	CHECK_STR(line, "all interfaces: 1604850 packets, 0 dropped by the kernel");
	v->interfaces[0].open = false;
	notify_describe(v, line);
	CHECK_STR(line, "all interfaces (not there): no packets can come: 1604850 packets, 0 "
			"dropped by the kernel");
	v->ninterfaces = 40;
	for (i = 0; i < 40; i++) {
		snprintf(v->interfaces[i].name, IFACE_NAME_SIZE, "eth%zu", i);
		v->interfaces[i].open = true;
	}
	notify_describe(v, line);
	CHECK_STR(line, "eth0, eth1, eth2, eth3 and 36 more: 1604850 packets, 0 dropped by the "
			"kernel");
}

static int run_all(void)
{
	static const struct test_case cases[] = {
	    {"nobody asks", test_nobody},
	    {"from ready to the end", test_life},
	    {"watchdog", test_watchdog},
	    {"watchdog's environment", test_watchdog_environment},
	    {"abstract sockets", test_abstract},
	    {"no address", test_no_address},
	    {"the manager is away", test_manager_away},
	    {"line of state", test_describe},
	};

	return test_run(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	int status;

	if (!mkdtemp(dir)) {
		printf("skip: no directory in /tmp: %s\n", strerror(errno));
		return 77;
	}
	snprintf(place, sizeof(place), "%s/notify", dir);
	well = build();
	status = run_all();
	unlink(place);
	rmdir(dir);
	free(well);
	return status;
}
