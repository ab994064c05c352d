/* init.c - the first and only process of a machine that holds nothing but a static flowline.
 *
 * tools/boot-static puts it with flowline, tests/fixtures and a few kernel modules into an
 * initramfs. It reads all fixtures and compares, watches lo while it sends there, says what was
 * right on the console, and turns the machine off. The last line is "boot: N passed, N failed".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum { MOST_ARGS = 40, DATAGRAMS = 20, DATAGRAM_BYTES = 100, STREAM_BYTES = 5000 };
enum { UDP_PORT = 9001, TCP_PORT = 9002, MOST_SECONDS = 60 };

static int passed, failed;

static void result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void result(bool ok, const char *format, ...)
{
	va_list ap;

	if (ok)
		passed++;
	else
		failed++;
	printf("%s ", ok ? "ok" : "not ok");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- the machine ---- */

static void mount_all(void)
{
	int fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}
}

/* In the order of their names, which is that of what needs what. */
static void load_modules(void)
{
	struct dirent **list;
	char path[300];
	int i, fd, n = scandir("/modules", &list, NULL, alphasort);

	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", list[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
			printf("module %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

static void bring_lo_up(void)
{
	struct ifreq ifr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(&ifr, 0, sizeof(ifr));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lo");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	result(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0, "lo is up");
	close(fd);
}

/* ---- running flowline ---- */

static pid_t start(char **argv, const char *out)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0)
		dup2(fd, 1);
	alarm(MOST_SECONDS);
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static int finish(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A whole file, ended by 0; free() it. Never NULL: "" where there is none. */
static char *contents(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = 0, room = 1 << 20;
	char *text = calloc(1, room);

	if (!text)
		abort();
	if (f) {
		n = fread(text, 1, room - 1, f);
		fclose(f);
	}
	text[n] = 0;
	return text;
}

/* The capture of a fixture is in.pcap or in.pcapng. */
static bool find_capture(const char *folder, char *path, size_t size)
{
	snprintf(path, size, "%s/in.pcap", folder);
	if (!access(path, R_OK))
		return true;
	snprintf(path, size, "%s/in.pcapng", folder);
	return !access(path, R_OK);
}

static void try_fixture(const char *name)
{
	char folder[200], capture[256], path[256], *argv[MOST_ARGS], *args, *want, *got, *word,
	    *rest;
	int n = 0, status, want_status = 0;

	snprintf(folder, sizeof(folder), "/fixtures/%.100s", name);
	if (!find_capture(folder, capture, sizeof(capture)))
		return;
	snprintf(path, sizeof(path), "%s/args", folder);
	args = contents(path);
	argv[n++] = (char *)"/flowline";
	argv[n++] = (char *)"read";
	argv[n++] = (char *)"--host";
	argv[n++] = (char *)"h";
	for (word = strtok_r(args, " \n", &rest); word && n < MOST_ARGS - 2;
	     word = strtok_r(NULL, " \n", &rest))
		argv[n++] = word;
	argv[n++] = capture;
	argv[n] = NULL;
	snprintf(path, sizeof(path), "%s/status", folder);
	got = contents(path);
	want_status = (int)strtol(got, NULL, 10);
	free(got);
	status = finish(start(argv, "/tmp/out"));
	snprintf(path, sizeof(path), "%s/want.lp", folder);
	want = contents(path);
	got = contents("/tmp/out");
	result(status == want_status && !strcmp(got, want), "read %s (exit status %d)", name,
	       status);
	free(args);
	free(want);
	free(got);
}

static void try_fixtures(void)
{
	struct dirent **list;
	int i, n = scandir("/fixtures", &list, NULL, alphasort);

	for (i = 0; i < n; i++)
		if (list[i]->d_name[0] != '.')
			try_fixture(list[i]->d_name);
	result(passed > 30, "fixtures are there");
}

/* ---- traffic on lo ---- */

static struct sockaddr_in place(int port)
{
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void nap(int ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

static bool send_datagrams(void)
{
	struct sockaddr_in to = place(UDP_PORT);
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0), i, n = 0;
	char bytes[DATAGRAM_BYTES] = "";

	if (bind(in, (struct sockaddr *)&to, sizeof(to)))
		return false;
	for (i = 0; i < DATAGRAMS; i++, nap(5))
		n += sendto(out, bytes, sizeof(bytes), 0, (struct sockaddr *)&to, sizeof(to)) > 0;
	close(in);
	close(out);
	return n == DATAGRAMS;
}

static bool send_stream(void)
{
	struct sockaddr_in to = place(TCP_PORT);
	int listener = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0), in;
	static char bytes[STREAM_BYTES];
	size_t n = 0;
	ssize_t got = 0;

	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 1) ||
	    connect(out, (struct sockaddr *)&to, sizeof(to)))
		return false;
	in = accept(listener, NULL, NULL);
	if (write(out, bytes, sizeof(bytes)) != STREAM_BYTES)
		return false;
	while (n < sizeof(bytes) && (got = read(in, bytes, sizeof(bytes))) > 0)
		n += (size_t)got;
	nap(300);
	close(out);
	close(in);
	close(listener);
	return n == sizeof(bytes);
}

/* The sum of an integer field over the lines that have all of a text. */
static long sum_of(const char *points, const char *having, const char *field)
{
	char *copy = strdup(points), *line, *rest, *at;
	long sum = 0;

	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		at = strstr(line, field);
		if (strstr(line, having) && at)
			sum += strtol(at + strlen(field), NULL, 10);
	}
	free(copy);
	return sum;
}

static void try_run(void)
{
	char *argv[] = {(char *)"/flowline",
			(char *)"run",
			(char *)"-i",
			(char *)"lo",
			(char *)"--host",
			(char *)"h",
			(char *)"--duration",
			(char *)"8s",
			(char *)"--interval",
			(char *)"60s",
			(char *)"--stats",
			(char *)"--set",
			(char *)"status.socket=/tmp/status",
			(char *)"-o",
			(char *)"-",
			NULL};
	char *status_argv[] = {(char *)"/flowline", (char *)"status", (char *)"--socket",
			       (char *)"/tmp/status", NULL};
	pid_t pid = start(argv, "/tmp/points");
	char *points;
	int status;

	nap(3000); /* a machine in software is slow to start things */
	result(send_datagrams() && send_stream(), "traffic on lo");
	status = finish(start(status_argv, "/tmp/status.out"));
	result(status == 0, "status (exit status %d)", status);
	status = finish(pid);
	result(status == 0, "run (exit status %d)", status);
	points = contents("/tmp/points");
	printf("%s", points);
	result(sum_of(points, "dst_port=9001,", ",packets_written=") == DATAGRAMS,
	       "%d datagrams are in the points", DATAGRAMS);
	result(sum_of(points, "dst_port=9002,", ",bytes_written=") == STREAM_BYTES,
	       "%d bytes of TCP are in the points", STREAM_BYTES);
	result(sum_of(points, "dst_port=9002,", ",tcp_established=") == 1, "one connection");
	free(points);
}

int main(void)
{
	char *version[] = {(char *)"/flowline", (char *)"version", NULL};
	struct utsname u;

	mount_all();
	uname(&u);
	printf("boot: Linux %s\n", u.release);
	load_modules();
	bring_lo_up();
	result(finish(start(version, "/dev/console")) == 0, "version");
	try_fixtures();
	try_run();
	printf("boot: %d passed, %d failed\n", passed, failed);
	fflush(stdout);
	nap(200);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
