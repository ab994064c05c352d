/* test_sink_file_moved.c - output/sink_file.c: files that others move, cut and remove, and that are
 * rotated. */
#include "output/sink_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/output/sink_file_build.h"
#include "tests/test.h"

static void test_reopen(void)
{
	char moved[sizeof(path) + 8], why[SINK_WHY_SIZE], line[16];
	struct sink *s;
	FILE *f;

	make_path();
	snprintf(moved, sizeof(moved), "%s.1", path);
	s = open_sink(path);
	put_well(s, "a\n");
	CHECK(!rename(path, moved));
	put_well(s, "b\n"); /* to the old one until it is told */
	s->ops->idle(s);
	put_well(s, "c\n");
	CHECK_INT(s->ops->reopen(s, why), 0);
	CHECK_STR(why, "");
	put_well(s, "d\n");
	check_file("d\n");
	f = fopen(moved, "r");
	CHECK(f && fread(line, 1, sizeof(line), f) == 6 && !memcmp(line, "a\nb\nc\n", 6));
	if (f)
		fclose(f);
	CHECK(!truncate(path, 0)); /* copytruncate */
	put_well(s, "e\n");
	check_file("e\n");
	/* It cannot be opened anew: it goes on as it was. */
	CHECK(!rename(path, moved) && !mkdir(path, 0700));
	CHECK_INT(s->ops->reopen(s, why), -EISDIR);
	CHECK(strstr(why, "Is a directory: name a file, not a directory") != NULL);
	put_well(s, "f\n");
	CHECK(!rmdir(path) && !rename(moved, path));
	check_file("e\nf\n");
	CHECK_INT(shut(s), 0);
	remove_path();
}

static void test_removed(void)
{
	struct sink_result r;
	struct sink *s;

	make_path();
	s = open_sink(path);
	put_well(s, "a\n");
	CHECK(!unlink(path));
	s->ops->idle(s);
	check_file("");
	r = put(s, "b\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 2);
	CHECK(strstr(r.why, "was removed") != NULL);
	put_well(s, "c\n");
	check_file("b\nc\n");
	CHECK(!unlink(path)); /* without a second between */
	r = put(s, "d\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 2);
	CHECK(strstr(r.why, "was removed") != NULL);
	check_file("d\n");
	/* And it cannot be made again: said once. */
	CHECK(!unlink(path) && !mkdir(path, 0700));
	r = put(s, "e\n");
	CHECK(strstr(r.why, "cannot be made anew") != NULL);
	put_well(s, "f\n");
	CHECK(!rmdir(path));
	r = put(s, "g\n");
	CHECK(strstr(r.why, "a new one is written to") != NULL);
	put_well(s, "h\n");
	check_file("g\nh\n");
	CHECK_INT(shut(s), 0);
	remove_path();
}

/* --- Rotation --------------------------------------------------------------------------------- */

/* How many moved files there are, and their bytes. */
static int count_moved(off_t *bytes)
{
	char name[sizeof(dir) + 1 + sizeof(((struct dirent *)NULL)->d_name)];
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(dir);
	int n = 0;

	*bytes = 0;
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "out-", 4))
			continue;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (!stat(name, &st))
			*bytes += st.st_size;
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

static void test_rotate_by_size(void)
{
	struct sink_file_config c = {.rotate_bytes = 10, .keep = 100};
	struct stat st;
	struct sink *s;
	off_t bytes;
	int i;

	make_path();
	c.path = path;
	s = open_as(&c);
	put_well(s, "1234\n");
	put_well(s, "5678\n"); /* the limit itself is not over it */
	CHECK_INT(count_moved(&bytes), 0);
	put_well(s, "9\n");
	CHECK_INT(count_moved(&bytes), 1);
	CHECK_INT(bytes, 10);
	check_file("9\n");
	put_well(s, "12345678901234567890\n"); /* a file of its own */
	check_file("12345678901234567890\n");
	CHECK_INT(count_moved(&bytes), 2);
	put_well(s, "x\n");
	CHECK_INT(count_moved(&bytes), 3);
	CHECK_INT(bytes, 33);
	for (i = 0; i < 20; i++)
		put_well(s, "123456\n");
	CHECK_INT(count_moved(&bytes), 22);
	CHECK_INT(shut(s), 0);
	CHECK(!stat(path, &st) && st.st_size == 7);
	CHECK_INT(count_moved(&bytes), 22);
	CHECK_INT(bytes, 33 + 9 + 18 * 7);
	c.keep = 4;
	s = open_as(&c);
	CHECK_INT(shut(s), 0);
	CHECK_INT(count_moved(&bytes), 4);
	remove_path();
}

static void test_rotate_by_age(void)
{
	struct sink_file_config c = {.rotate_age_ns = 300000000, .keep = 5};
	struct sink *s;
	off_t bytes;

	make_path();
	c.path = path;
	s = open_as(&c);
	usleep(400000); /* an empty file has no age */
	s->ops->idle(s);
	put_well(s, "a\n");
	put_well(s, "b\n");
	CHECK_INT(count_moved(&bytes), 0);
	usleep(400000);
	CHECK_INT(count_moved(&bytes), 0);
	s->ops->idle(s);
	CHECK_INT(count_moved(&bytes), 1);
	check_file("");
	put_well(s, "c\n");
	usleep(400000);
	put_well(s, "d\n"); /* looked at before it, too */
	CHECK_INT(count_moved(&bytes), 2);
	check_file("d\n");
	CHECK_INT(shut(s), 0);
	remove_path();
}

/* What cannot be rotated grows on, and that is said once. */
static void test_rotate_not(void)
{
	struct sink_file_config c = {.rotate_bytes = 4, .keep = 5};
	char longest[sizeof(dir) + 256];
	struct sink_result r;
	struct sink *s;
	off_t bytes;

	/* A name so long that there is none for the moved file: fails for root, too. */
	make_path();
	snprintf(longest, sizeof(longest), "%s/%0250d", dir, 7);
	c.path = longest;
	s = open_as(&c);
	put_well(s, "abc\n");
	r = put(s, "def\n");
	CHECK_RESULT(r, SINK_DELIVERED, 0, 4);
	CHECK(strstr(r.why, "cannot be rotated and grows on: File name too long") != NULL);
	put_well(s, "ghi\n");
	CHECK_INT(shut(s), 0);
	/* Devices and pipes are not rotated. */
	c.path = "/dev/null";
	s = open_as(&c);
	put_well(s, "abc\n");
	put_well(s, "def\n");
	CHECK_INT(shut(s), 0);
	CHECK_INT(count_moved(&bytes), 0);
	remove_path();
}

/* Rotation is of the file that a link leads to. */
static void test_rotate_link(void)
{
	struct sink_file_config c = {.rotate_bytes = 4, .keep = 5};
	char link[sizeof(path) + 8];
	struct stat st;
	struct sink *s;
	off_t bytes;

	make_path();
	snprintf(link, sizeof(link), "%s/link", dir);
	CHECK(!symlink("out", link));
	c.path = link;
	s = open_as(&c);
	put_well(s, "abc\n");
	put_well(s, "def\n");
	CHECK_INT(shut(s), 0);
	CHECK_INT(count_moved(&bytes), 1);
	CHECK(!lstat(link, &st) && S_ISLNK(st.st_mode));
	check_file("def\n");
	remove_path();
}

TEST_MAIN({"reopen", test_reopen}, {"removed", test_removed},
	  {"rotate by size", test_rotate_by_size}, {"rotate by age", test_rotate_by_age},
	  {"not rotated", test_rotate_not}, {"rotate behind a link", test_rotate_link})
