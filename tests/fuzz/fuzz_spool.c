/* fuzz_spool.c - any bytes as segments of a spool: opened, read, delivered, appended to, opened
 * again.
 *
 * Checked besides the sanitizers: every parcel has as many whole lines as it says, the counters
 * balance at each step, what is appended comes out last and as it was, and an end is reached.
 * The first byte of an input: bit 0, put the right checksums, numbers and offsets into all headers,
 * so that what they say is believed; bit 1, two segments of it; bits 2 to 4, what to do.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "output/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MOST = 64 * 1024, SEGMENT = 64, HEADER = 64, TRAILER = 32 };

#define NOW UINT64_C(1700000000000000000)

static char dir[64];

static void put(uint8_t *p, uint64_t v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put_crc(uint8_t *p, size_t n)
{
	put(p + n, crc32(0, p, (uInt)n), 4);
}

/* As a writer would have left it, but for what the input wants to be otherwise. */
static void make_valid(uint8_t *bytes, size_t size, uint64_t number)
{
	size_t at, stored;

	if (size < SEGMENT)
		return;
	memcpy(bytes, "FLSPOOL\n\1\0\0\0\0\0\0\0", 16);
	put(bytes + 16, number, 8);
	put_crc(bytes, 36);
	for (at = SEGMENT; at + TRAILER <= size; at++) {
		uint8_t *p = bytes + at;

		if (p[0] != 0xf1 || p[2] != 0xec || p[3] != 0x0d)
			continue;
		if (p[1] == 'T') {
			put(p + 4, number, 8);
			put_crc(p, 28);
		} else if (p[1] == 'R' && size - at >= HEADER) {
			stored = (size_t)p[8] | (size_t)p[9] << 8;
			if (stored <= size - at - HEADER)
				put(p + 20, crc32(0, p + HEADER, (uInt)stored), 4);
			put(p + 40, number, 8);
			put(p + 48, at, 8);
			put_crc(p, 56);
		}
	}
}

static void write_segment(unsigned int number, const uint8_t *data, size_t size, int valid)
{
	static uint8_t bytes[SIZE_MOST];
	char path[128];
	FILE *f;

	memcpy(bytes, data, size);
	if (valid)
		make_valid(bytes, size, number);
	snprintf(path, sizeof(path), "%s/%016u.seg", dir, number);
	f = fopen(path, "wb");
	if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
		abort();
}

static void remove_all(void)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static void check_balance(const struct spool *s)
{
	const struct spool_stats *st = spool_stats(s);

	if (st->points_found + st->points_appended !=
	    st->points_delivered + st->points_lost + st->points)
		abort();
	if (!st->records != !st->points || st->errors)
		abort();
}

static void check_lines(const struct parcel *p)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < p->size; i++)
		n += p->bytes[i] == '\n';
	if (!p->size || p->bytes[p->size - 1] != '\n' || n != p->points)
		abort();
}

static struct spool *open_spool(void)
{
	struct spool_config c = {dir, 1 << 20, 0, 1 << 18};
	char why[SINK_WHY_SIZE];
	struct spool *s;

	if (spool_open(&s, &c, NOW, why))
		abort();
	if (why[0] && strncmp(why, dir, strlen(dir)) != 0)
		abort();
	check_balance(s);
	return s;
}

/* Deliver at most so many; the last one's size is left in *last. */
static void deliver(struct spool *s, unsigned int most, struct parcel *last)
{
	struct spool_record r;
	unsigned int n;

	for (n = 0; n < most && spool_next(s, NOW, &r); n++) {
		check_balance(s);
		check_lines(&r.parcel);
		*last = r.parcel;
		spool_done(s, &r.mark, n & 1 ? r.parcel.points : 0, n & 1 ? 0 : r.parcel.points);
		check_balance(s);
	}
	if (n > SIZE_MOST)
		abort();
	check_balance(s);
}

static void run(unsigned int what)
{
	static const char lines[] = "appended a=1\nand b=2\n";
	struct parcel p = {lines, sizeof(lines) - 1, 2}, last = {NULL, 0, 0};
	struct spool *s = open_spool();
	struct spool_mark mark;

	deliver(s, what & 3, &last);
	if (what & 4) {
		spool_close(s);
		s = open_spool();
	}
	if (spool_append(s, &p, NOW, &mark))
		abort();
	check_balance(s);
	spool_close(s);
	s = open_spool();
	deliver(s, UINT32_MAX, &last);
	if (last.size != p.size || memcmp(last.bytes, p.bytes, p.size) != 0 ||
	    spool_stats(s)->points)
		abort();
	spool_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t half;

	if (!size || size > SIZE_MOST)
		return 0;
	if (!dir[0])
		snprintf(dir, sizeof(dir), "%s/flowline-fuzz-spool.%ld",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
	if (mkdir(dir, 0700))
		abort();
	half = data[0] & 2 ? (size - 1) / 2 : size - 1;
	write_segment(1, data + 1, half, data[0] & 1);
	if (data[0] & 2)
		write_segment(2, data + 1 + half, size - 1 - half, data[0] & 1);
	run(data[0] >> 2 & 7);
	remove_all();
	return 0;
}
