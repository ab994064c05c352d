/* test_source_file.c - capture files that this test writes itself: formats, orders, links, limits,
 * damage. */
#include "collector/source_file.h"

#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 4096, FRAMES_MOST = 200 };

struct seen {
	size_t n, calls, most; /* most: frames in one call */
	struct frame frames[FRAMES_MOST];
	uint8_t first[FRAMES_MOST], last[FRAMES_MOST]; /* bytes */
};

static struct seen seen;
static char why[512];
static char path[] = "test_source_file.tmp";
static uint8_t out[MOST];
static size_t len;

static void take(void *ctx, const struct frame *frames, size_t n)
{
	struct seen *s = ctx;
	size_t i;

	s->calls++;
	if (n > s->most)
		s->most = n;
	for (i = 0; i < n && s->n < FRAMES_MOST; i++, s->n++) {
		s->frames[s->n] = frames[i];
		s->first[s->n] = frames[i].caplen ? frames[i].data[0] : 0;
		s->last[s->n] = frames[i].caplen ? frames[i].data[frames[i].caplen - 1] : 0;
	}
}

static void put(uint32_t v, int bytes, bool big)
{
	int i;

	for (i = 0; i < bytes; i++)
		out[len++] = (uint8_t)(v >> 8 * (big ? bytes - 1 - i : i));
}

static void pcap_head(uint32_t magic, uint32_t dlt, bool big)
{
	len = 0;
	put(magic, 4, big);
	put(2, 2, big);
	put(4, 2, big);
	put(0, 4, big);
	put(0, 4, big);
	put(65535, 4, big);
	put(dlt, 4, big);
}

static void pcap_frame(uint32_t s, uint32_t sub, uint32_t caplen, uint32_t wirelen, bool big)
{
	uint32_t i;

	put(s, 4, big);
	put(sub, 4, big);
	put(caplen, 4, big);
	put(wirelen, 4, big);
	for (i = 0; i < caplen; i++)
		out[len++] = (uint8_t)(0xa0 + i);
}

/* pcapng, little-endian: section, interfaces, enhanced packets. */
static void ng_block(uint32_t type, const uint32_t *words, uint32_t n)
{
	uint32_t i;

	put(type, 4, false);
	put(12 + 4 * n, 4, false);
	for (i = 0; i < n; i++)
		put(words[i], 4, false);
	put(12 + 4 * n, 4, false);
}

static void ng_section(void)
{
	static const uint32_t body[] = {0x1a2b3c4d, 1, 0xffffffff, 0xffffffff};

	len = 0;
	ng_block(0x0a0d0d0a, body, 4);
}

static void ng_interface(uint32_t dlt, uint32_t snaplen, bool nano)
{
	/* option if_tsresol (9), one byte: 9 */
	uint32_t body[] = {dlt, snaplen, 9 | 1 << 16, 9, 0};

	ng_block(1, body, nano ? 5 : 2);
}

static void ng_frame(uint32_t iface, uint64_t units)
{
	uint32_t body[] = {iface, (uint32_t)(units >> 32), (uint32_t)units, 8, 60, 0xa0, 0xa1};

	ng_block(6, body, 7);
}

static void save(const char *name)
{
	FILE *f = fopen(name, "wb");

	if (!CHECK(f != NULL))
		return;
	CHECK_INT(fwrite(out, 1, len, f), len);
	CHECK_INT(fclose(f), 0);
}

/* Read it all. What poll (or open) said last. */
static int read_path(const char *name)
{
	struct file_config config = {name};
	struct frame_sink sink = {take, &seen};
	struct source_stats stats;
	struct source *s;
	int err;

	memset(&seen, 0, sizeof(seen));
	why[0] = '\0';
	err = source_file.open(&s, &config, why, sizeof(why));
	if (err)
		return err;
	CHECK_INT(source_file.fd(s), -1);
	do
		err = source_file.poll(s, &sink, why, sizeof(why));
	while (err > 0);
	source_file.stats(s, &stats);
	CHECK_INT(stats.frames, seen.n);
	source_file.close(s);
	return err;
}

static int read_it(void)
{
	int err;

	save(path);
	err = read_path(path);
	unlink(path);
	return err;
}

static void test_pcap_formats(void)
{
	static const struct {
		uint32_t magic;
		bool big;
		uint64_t unit_ns;
	} cases[] = {
	    {0xa1b2c3d4, false, 1000},
	    {0xa1b2c3d4, true, 1000},
	    {0xa1b23c4d, false, 1},
	    {0xa1b23c4d, true, 1},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pcap_head(cases[i].magic, 1, cases[i].big);
		pcap_frame(1500000000, 123456, 20, 60, cases[i].big);
		pcap_frame(1400000000, 999999, 10, 10, cases[i].big);
		CHECK_INT(read_it(), -ENODATA);
		if (!CHECK(seen.n == 2))
			continue;
		CHECK_INT(seen.frames[0].time_ns,
			  1500000000000000000ULL + 123456 * cases[i].unit_ns);
		CHECK_INT(seen.frames[1].time_ns,
			  1400000000000000000ULL + 999999 * cases[i].unit_ns);
		CHECK_INT(seen.frames[0].caplen, 20);
		CHECK_INT(seen.frames[0].wirelen, 60);
		CHECK_INT(seen.frames[0].link, LINK_ETHERNET);
		CHECK_INT(seen.first[0], 0xa0);
		CHECK_INT(seen.last[0], 0xa0 + 19);
		CHECK_INT(seen.last[1], 0xa0 + 9);
	}
}

static void test_pcapng(void)
{
	ng_section();
	ng_interface(1, 262144, false);
	ng_interface(1, 262144, true);
	ng_frame(0, 1500000000123456ULL);
	ng_frame(1, 1500000000123456789ULL);
	CHECK_INT(read_it(), -ENODATA);
	CHECK_INT(seen.n, 2);
	CHECK_INT(seen.frames[0].time_ns, 1500000000123456000ULL);
	CHECK_INT(seen.frames[1].time_ns, 1500000000123456789ULL);
	CHECK_INT(seen.frames[1].wirelen, 60);
}

/* Interfaces of different link types and snapshot lengths, which libpcap refuses. */
static void test_pcapng_mixed(void)
{
	ng_section();
	ng_interface(1, 262144, false);
	ng_frame(0, 1500000000123456ULL);
	ng_interface(101, 65535, false);
	ng_frame(1, 1500000000123457ULL);
	CHECK_INT(read_it(), -ENODATA);
	CHECK_INT(seen.n, 2);
	CHECK_INT(seen.frames[0].link, LINK_ETHERNET);
	CHECK_INT(seen.frames[1].link, LINK_RAW);
	CHECK_INT(seen.frames[0].iface, 0);
	CHECK_INT(seen.frames[1].iface, 0);
	ng_frame(2, 1500000000123457ULL);
	CHECK_INT(read_it(), FL_EFORMAT);
	CHECK_INT(seen.n, 2); /* what was readable */
	CHECK_MSG(strstr(why, "frame 3: at byte ") && strstr(why, "names interface 2"), "%s", why);
}

/* Frames of a link type that is not read are handed over for the engine to count as unknown, also
 * those in front of the first one that is read; a file that has no other is refused. */
static void test_pcapng_unread(void)
{
	size_t i;

	ng_section();
	ng_interface(127, 262144, false);
	CHECK_INT(read_it(), FL_EFORMAT);
	CHECK_MSG(strstr(why, "link type 127 ") && strstr(why, "is not read"), "%s", why);
	for (i = 0; i < 50; i++)
		ng_frame(0, 1500000000000000ULL + i);
	CHECK_INT(read_it(), FL_EFORMAT);
	CHECK_INT(seen.n, 0);
	CHECK_MSG(strstr(why, "link type 127 ") && strstr(why, "is not read"), "%s", why);
	for (; i < 70; i++)
		ng_frame(0, 1500000000000000ULL + i);
	ng_interface(1, 262144, false);
	CHECK_INT(read_it(), -ENODATA);
	CHECK_INT(seen.n, 70);
	ng_frame(1, 1500000000000100ULL);
	ng_frame(0, 1500000000000101ULL);
	ng_frame(1, 1500000000000102ULL);
	CHECK_INT(read_it(), -ENODATA);
	if (!CHECK(seen.n == 73))
		return;
	for (i = 0; i < 73; i++) {
		bool read = i == 70 || i == 72;

		CHECK_INT(seen.frames[i].link, read ? LINK_ETHERNET : LINK_NULL);
		CHECK_INT(seen.first[i], read ? 0xa0 : 0); /* of no address family */
		CHECK_INT(seen.frames[i].wirelen, 60);
	}
	CHECK_INT(seen.frames[0].time_ns, 1500000000000000000ULL);
	CHECK_INT(seen.frames[70].time_ns, 1500000000000100000ULL);
	CHECK_INT(seen.frames[71].time_ns, 1500000000000101000ULL);
}

/* Standard input, of which nothing can be read twice. */
static void test_pipe(void)
{
	int fds[2], saved = dup(STDIN_FILENO);

	ng_section();
	ng_interface(1, 262144, false);
	ng_frame(0, 1500000000123456ULL);
	if (!CHECK(saved >= 0 && !pipe(fds)))
		return;
	CHECK_INT(write(fds[1], out, len), len);
	close(fds[1]);
	CHECK_INT(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	CHECK_INT(read_path("-"), -ENODATA);
	CHECK_INT(seen.n, 1);
	CHECK_INT(read_path("-"), FL_EFORMAT);
	CHECK_MSG(strstr(why, "is empty"), "%s", why);
	CHECK_INT(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

static void test_links(void)
{
	static const struct {
		uint32_t dlt;
		int link; /* -1: refused */
	} cases[] = {
	    {1, LINK_ETHERNET}, {101, LINK_RAW},  {12, LINK_RAW},  {14, LINK_RAW},
	    {228, LINK_RAW},    {229, LINK_RAW},  {113, LINK_SLL}, {276, LINK_SLL2},
	    {0, LINK_NULL},     {108, LINK_LOOP}, {127, -1},       {105, -1},
	    {189, -1},          {239, -1},        {10, -1},        {9999, -1},
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pcap_head(0xa1b2c3d4, cases[i].dlt, false);
		pcap_frame(1, 2, 4, 4, false);
		err = read_it();
		if (cases[i].link >= 0) {
			CHECK_MSG(err == -ENODATA && seen.n == 1 &&
				      seen.frames[0].link == cases[i].link,
				  "link type %u: %d %s", cases[i].dlt, err, why);
			continue;
		}
		CHECK_MSG(err == FL_EFORMAT && seen.n == 0, "link type %u", cases[i].dlt);
		CHECK_MSG(strstr(why, "is not read") &&
			      (strstr(why, "capture on") || strstr(why, "capture without")),
			  "%s", why);
	}
}

/* More frames than a batch has. */
static void test_batches(void)
{
	uint32_t i;

	pcap_head(0xa1b2c3d4, 1, false);
	for (i = 0; i < 150; i++)
		pcap_frame(i, 0, i % 8, 100, false);
	CHECK_INT(read_it(), -ENODATA);
	CHECK_INT(seen.n, 150);
	CHECK_INT(seen.most, 64);
	for (i = 0; i < 150; i++)
		CHECK(seen.frames[i].caplen == i % 8 &&
		      seen.frames[i].time_ns == i * 1000000000ULL);
}

/* Frames that do not all fit the buffer at once: a batch ends where the buffer does. */
enum { BIG_FRAMES = 25 };

static void test_big_frames(void)
{
	static uint8_t big[100000];
	uint32_t i;
	FILE *f;

	pcap_head(0xa1b2c3d4, 1, false);
	f = fopen(path, "wb");
	if (!CHECK(f != NULL))
		return;
	fwrite(out, 1, 16, f);
	len = 0;
	put(262144, 4, false); /* snapshot length */
	put(1, 4, false);
	fwrite(out, 1, len, f);
	for (i = 0; i < BIG_FRAMES; i++) {
		len = 0;
		pcap_frame(i, 0, 0, sizeof(big), false);
		out[8] = (uint8_t)(sizeof(big) & 0xff);
		out[9] = (uint8_t)(sizeof(big) >> 8 & 0xff);
		out[10] = (uint8_t)(sizeof(big) >> 16);
		fwrite(out, 1, len, f);
		memset(big, (int)i + 1, sizeof(big));
		fwrite(big, 1, sizeof(big), f);
	}
	fclose(f);
	CHECK_INT(read_path(path), -ENODATA);
	CHECK_INT(seen.n, BIG_FRAMES);
	CHECK_INT(seen.most, 10); /* 1 MiB holds ten of the first 64 */
	for (i = 0; i < BIG_FRAMES; i++)
		CHECK(seen.first[i] == i + 1 && seen.last[i] == i + 1 &&
		      seen.frames[i].caplen == sizeof(big));
	unlink(path);
}

static void test_odd_values(void)
{
	pcap_head(0xa1b2c3d4, 1, false);
	pcap_frame(4000000000U, 0, 4, 2, false); /* after 2038; shorter on the wire than captured */
	pcap_frame(5, 4000000000U, 4, 4, false); /* sub-seconds negative to libpcap */
	pcap_frame(5, 2000000000U, 0, 0, false); /* ... and beyond a second */
	CHECK_INT(read_it(), -ENODATA);
	CHECK_INT(seen.n, 3);
	CHECK_INT(seen.frames[0].time_ns, 4000000000000000000ULL);
	CHECK_INT(seen.frames[0].wirelen, 4);
	CHECK(seen.frames[1].time_ns >= 5000000000ULL && seen.frames[1].time_ns < 6000000000ULL);
	CHECK(seen.frames[2].time_ns >= 5000000000ULL && seen.frames[2].time_ns < 6000000000ULL);
	CHECK_INT(seen.frames[2].caplen, 0);

	ng_section();
	ng_interface(1, 262144, false);
	ng_frame(0, UINT64_MAX);
	CHECK_INT(read_it(), -ENODATA);
	CHECK(seen.frames[0].time_ns <= 9200000000000000000ULL);
}

/* Cut anywhere: what is whole is handed over, and no cut crashes. */
static void test_cut(void)
{
	size_t whole, n;
	int err;

	pcap_head(0xa1b2c3d4, 1, false);
	pcap_frame(1, 0, 20, 20, false);
	pcap_frame(2, 0, 20, 20, false);
	whole = len;
	for (n = 0; n < whole; n++) {
		len = n;
		err = read_it();
		if (n < 24)
			CHECK_MSG(err == FL_EFORMAT && seen.n == 0, "cut at %zu", n);
		else if (n == 24 || n == 24 + 36)
			CHECK_MSG(err == -ENODATA && seen.n == (n > 24), "cut at %zu", n);
		else
			CHECK_MSG(err == FL_EFORMAT && seen.n == (n - 24) / 36 &&
				      strstr(why, n > 60 ? "frame 2: " : "frame 1: "),
				  "cut at %zu: %s", n, why);
	}
}

static void test_not_captures(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} cases[] = {
	    {"", 0, "is empty"},
	    {"hello, world, this is no capture", 32, "is not a capture: want a pcap or pcapng"},
	    {"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0", 12, "zcat"},
	    {"\x28\xb5\x2f\xfd\0\0\0\0\0\0\0\0", 12, "zstdcat"},
	    {"\nhello, world", 13, "is not a capture: want a pcap or pcapng"},
	    {"\n\r\r\n\0\0\0\0hello, world", 20, "is not a capture: want a pcap or pcapng"},
	    {"\n\r\r\n", 4, "cannot be read: frame 1: at byte 0: the file ends"},
	    {"snoop\0\0\0\0\0\0\2\0\0\0\4", 16, "editcap"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(out, cases[i].bytes, cases[i].len);
		len = cases[i].len;
		CHECK_INT(read_it(), FL_EFORMAT);
		CHECK_MSG(strstr(why, cases[i].want), "%s", why);
	}
	CHECK_INT(read_path("/nonexistent/x.pcap"), -ENOENT);
	CHECK_MSG(strstr(why, "is the name right?"), "%s", why);
	CHECK_INT(read_path("/"), -EISDIR);
	CHECK_MSG(strstr(why, "is a directory"), "%s", why);
}

static void test_progress(void)
{
	struct file_config config = {path};
	struct frame_sink sink = {take, &seen};
	uint64_t done, total;
	struct source *s;

	pcap_head(0xa1b2c3d4, 1, false);
	pcap_frame(1, 0, 20, 20, false);
	save(path);
	CHECK_INT(source_file.probe(&config, why, sizeof(why)), 0);
	CHECK_INT(source_file.open(&s, &config, why, sizeof(why)), 0);
	memset(&seen, 0, sizeof(seen));
	while (source_file.poll(s, &sink, why, sizeof(why)) > 0)
		;
	source_file_progress(s, &done, &total);
	CHECK_INT(done, len);
	CHECK_INT(total, len);
	source_file.close(s);
	source_file.close(NULL);
	unlink(path);
}

TEST_MAIN({"pcap: byte orders and units", test_pcap_formats}, {"pcapng: interfaces", test_pcapng},
	  {"pcapng: different interfaces", test_pcapng_mixed},
	  {"pcapng: links that are not read", test_pcapng_unread}, {"a pipe", test_pipe},
	  {"link types", test_links}, {"batches", test_batches},
	  {"frames that fill the arena", test_big_frames},
	  {"odd times and lengths", test_odd_values}, {"cut files", test_cut},
	  {"not captures", test_not_captures}, {"progress", test_progress})
