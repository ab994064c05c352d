/* sink_file_build.h - a directory of the test's own, and parcels for the sink that writes there. */
#ifndef TESTS_OUTPUT_SINK_FILE_BUILD_H
#define TESTS_OUTPUT_SINK_FILE_BUILD_H

#include "output/sink_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/test.h"

static char dir[] = "/tmp/flowline-test-sink-XXXXXX";
static char path[sizeof(dir) + 16];

static inline void make_path(void)
{
	if (!path[0]) {
		if (!mkdtemp(dir))
			abort();
		snprintf(path, sizeof(path), "%s/out", dir);
	}
	unlink(path);
}

static inline void remove_path(void)
{
	char name[sizeof(dir) + 1 + sizeof(((struct dirent *)NULL)->d_name)];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(dir);
	path[0] = 0;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

static inline struct sink *open_as(const struct sink_file_config *c)
{
	char why[SINK_WHY_SIZE];
	struct sink *s;

	if (sink_file_open(&s, c, why)) {
		printf("    %s\n", why);
		abort();
	}
	CHECK_STR(why, "");
	return s;
}

static inline struct sink *open_sink(const char *what)
{
	struct sink_file_config c = {.path = what};

	return open_as(&c);
}

static inline struct sink *open_stdout(void)
{
	char why[SINK_WHY_SIZE];
	struct sink *s;

	if (sink_stdout_open(&s, why)) {
		printf("    %s\n", why);
		abort();
	}
	return s;
}

static inline uint32_t lines_of(const char *text, size_t size)
{
	uint32_t n = 0;

	while (size--)
		n += *text++ == '\n';
	return n;
}

static inline struct sink_result send_turn(struct sink *s, const char *bytes, size_t size,
					   const struct sink_turn *turn)
{
	struct parcel p = {.bytes = bytes, .size = size, .points = lines_of(bytes, size)};
	struct sink_result r = {0};

	s->ops->send(s, &p, turn, &r);
	return r;
}

static inline bool always(void *ctx)
{
	(void)ctx;
	return true;
}

static inline struct sink_result put(struct sink *s, const char *text)
{
	static const struct sink_turn turn = {.go_on = always};

	return send_turn(s, text, strlen(text), &turn);
}

static inline int shut(struct sink *s)
{
	char why[SINK_WHY_SIZE];

	return s->ops->close(s, why);
}

#define CHECK_RESULT(r, want_verdict, want_lost, want_bytes)                                       \
	do {                                                                                       \
		CHECK_INT((r).verdict, want_verdict);                                              \
		CHECK_INT((r).lost, want_lost);                                                    \
		CHECK_INT((r).bytes, want_bytes);                                                  \
	} while (0)

/* All went out, and there was nothing to say. */
static inline void put_well(struct sink *s, const char *text)
{
	struct sink_result r = put(s, text);

	CHECK_INT(r.verdict, SINK_DELIVERED);
	CHECK_INT(r.lost, 0);
	CHECK_STR(r.why, "");
}

static inline void check_file(const char *want)
{
	static char got[8192];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!CHECK(f != NULL))
		return;
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = 0;
	fclose(f);
	CHECK_STR(got, want);
}

#endif
