/* test_pcapng.c - pcapng files that this test writes itself, block by block: byte orders, sections,
 * interfaces, clocks, kinds of packet block, and damage. */
#include "collector/pcapng.h"

#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 8192, PACKETS_MOST = 16 };

enum { SECTION = 0x0a0d0d0a, IFACE = 1, OBSOLETE = 2, SIMPLE = 3, ENHANCED = 6 };

static uint8_t file[MOST];
static size_t len;
static bool big;

static struct pcapng_packet got[PACKETS_MOST];
static uint8_t first[PACKETS_MOST], last[PACKETS_MOST]; /* bytes of the packets */
static size_t ngot;
static char why[256];
static int refused;
static uint8_t room[PCAPNG_ROOM_BYTES];

static void put(uint64_t v, int bytes)
{
	int i;

	for (i = 0; i < bytes; i++)
		file[len++] = (uint8_t)(v >> 8 * (big ? bytes - 1 - i : i));
}

static size_t block_begin(uint32_t type)
{
	size_t at = len;

	put(type, 4);
	put(0, 4);
	return at;
}

static void block_end(size_t at)
{
	size_t end;

	while (len % 4)
		put(0, 1);
	put(len + 4 - at, 4);
	end = len;
	len = at + 4;
	put(end - at, 4);
	len = end;
}

static void section(bool big_endian, unsigned int major, unsigned int minor)
{
	size_t at;

	big = big_endian;
	at = block_begin(SECTION);
	put(0x1a2b3c4d, 4);
	put(major, 2);
	put(minor, 2);
	put(UINT64_MAX, 8);
	block_end(at);
}

static void option(unsigned int code, unsigned int bytes, uint64_t v)
{
	put(code, 2);
	put(bytes, 2);
	put(v, (int)bytes);
	while (len % 4)
		put(0, 1);
}

/* resolution, offset: 0: no such option */
static void interface(unsigned int linktype, uint32_t snaplen, unsigned int resolution,
		      int64_t offset)
{
	size_t at = block_begin(IFACE);

	put(linktype, 2);
	put(0, 2);
	put(snaplen, 4);
	option(2, 3, 0x616263); /* a name of odd length */
	if (resolution)
		option(9, 1, resolution);
	if (offset)
		option(14, 8, (uint64_t)offset);
	option(0, 0, 0);
	block_end(at);
}

static void payload(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		file[len++] = (uint8_t)(0xa0 + i);
}

static void enhanced(uint32_t iface, uint64_t units, uint32_t caplen, uint32_t wirelen)
{
	size_t at = block_begin(ENHANCED);

	put(iface, 4);
	put(units >> 32, 4);
	put(units & 0xffffffff, 4);
	put(caplen, 4);
	put(wirelen, 4);
	payload(caplen);
	while (len % 4)
		put(0, 1);
	option(2, 4, 1); /* epb_flags */
	option(0, 0, 0);
	block_end(at);
}

static void obsolete(uint32_t iface, uint64_t units, uint32_t caplen, uint32_t wirelen)
{
	size_t at = block_begin(OBSOLETE);

	put(iface, 2);
	put(0xffff, 2); /* drops */
	put(units >> 32, 4);
	put(units & 0xffffffff, 4);
	put(caplen, 4);
	put(wirelen, 4);
	payload(caplen);
	block_end(at);
}

static void simple(uint32_t wirelen, uint32_t caplen)
{
	size_t at = block_begin(SIMPLE);

	put(wirelen, 4);
	payload(caplen);
	block_end(at);
}

static void other(uint32_t type, uint32_t bytes)
{
	size_t at = block_begin(type);

	payload(bytes);
	block_end(at);
}

/* Even link types are read, as themselves. */
static int link_of(int linktype)
{
	return linktype % 2 ? -1 : linktype;
}

/* What ended it. */
static int read_file(FILE *f, size_t first_room)
{
	struct pcapng *ng = pcapng_new(f, link_of);
	struct pcapng_packet p;
	size_t size = first_room;
	int n;

	ngot = 0;
	if (!CHECK(ng != NULL))
		return -ENOMEM;
	while ((n = pcapng_next(ng, room, size, &p)) == 1 || n == FL_EFULL) {
		if (n == FL_EFULL) {
			CHECK(size < sizeof(room));
			size = sizeof(room);
			continue;
		}
		size = first_room;
		if (!CHECK(ngot < PACKETS_MOST && p.data >= room &&
			   p.data + p.caplen <= room + sizeof(room) && p.caplen <= p.wirelen))
			break;
		first[ngot] = p.caplen ? p.data[0] : 0;
		last[ngot] = p.caplen ? p.data[p.caplen - 1] : 0;
		got[ngot++] = p;
	}
	CHECK_INT(pcapng_packets(ng), ngot);
	if (n < 0)
		CHECK_INT(pcapng_next(ng, room, sizeof(room), &p), n); /* it stays ended */
	snprintf(why, sizeof(why), "%s", pcapng_why(ng));
	refused = pcapng_refused(ng);
	pcapng_free(ng);
	return n;
}

static int read_bytes_in(const uint8_t *bytes, size_t n, size_t first_room)
{
	FILE *f = tmpfile();
	int end = -EIO;

	if (!CHECK(f != NULL))
		return end;
	CHECK_INT(fwrite(bytes, 1, n, f), n);
	rewind(f);
	end = read_file(f, first_room);
	fclose(f);
	return end;
}

static int read_it(void)
{
	return read_bytes_in(file, len, sizeof(room));
}

static void test_blocks(void)
{
	int order;

	for (order = 0; order < 2; order++) {
		len = 0;
		section(order, 1, order ? 2 : 0);
		other(5, 20); /* interface statistics, of none */
		interface(4, 96, 0, 0);
		interface(2, 0, 0, 0);
		other(0x80000bad, 7); /* unknown */
		enhanced(1, 1500000000123456ULL, 5, 60);
		other(4, 0);
		obsolete(0, 1500000000123457ULL, 8, 8);
		simple(200, 96); /* cut at the snapshot length of the first interface */
		simple(3, 3);
		enhanced(0, 1400000000000000ULL, 0, 0);
		CHECK_INT(read_it(), 0);
		if (!CHECK(ngot == 5))
			continue;
		CHECK_INT(got[0].time_ns, 1500000000123456000LL);
		CHECK_INT(got[0].iface, 1);
		CHECK_INT(got[0].link, 2);
		CHECK_INT(got[0].linktype, 2);
		CHECK_INT(got[0].caplen, 5);
		CHECK_INT(got[0].wirelen, 60);
		CHECK_INT(last[0], 0xa4);
		CHECK_INT(got[1].time_ns, 1500000000123457000LL);
		CHECK_INT(got[1].iface, 0);
		CHECK_INT(got[1].link, 4);
		CHECK_INT(last[1], 0xa7);
		CHECK_INT(got[2].time_ns, 1500000000123457000LL); /* of the one before */
		CHECK_INT(got[2].caplen, 96);
		CHECK_INT(got[2].wirelen, 200);
		CHECK_INT(first[2], 0xa0);
		CHECK_INT(last[2], 0xa0 + 95);
		CHECK_INT(got[3].caplen, 3);
		CHECK_INT(got[4].caplen, 0);
		CHECK_INT(got[4].time_ns, 1400000000000000000LL);
		CHECK_INT(refused, -1);
	}
}

/* Interfaces are counted anew in each section, which has a byte order of its own. */
static void test_sections(void)
{
	len = 0;
	section(false, 1, 0);
	interface(4, 0, 0, 0);
	interface(6, 0, 9, 0);
	enhanced(1, 1500000000000000001ULL, 4, 4);
	section(true, 1, 0);
	interface(8, 0, 0, 0);
	enhanced(0, 1500000000000002ULL, 4, 4);
	section(false, 1, 0);
	enhanced(0, 3, 4, 4);
	CHECK_INT(read_it(), FL_EFORMAT);
	CHECK_INT(ngot, 2);
	CHECK_INT(got[0].time_ns, 1500000000000000001LL);
	CHECK_INT(got[0].link, 6);
	CHECK_INT(got[1].time_ns, 1500000000000002000LL);
	CHECK_INT(got[1].link, 8);
	CHECK_MSG(strstr(why, "frame 3: at byte ") && strstr(why, "names interface 0"), "%s", why);
}

static void test_clocks(void)
{
	static const struct {
		unsigned int resolution; /* 0: no option */
		int64_t offset_s;
		uint64_t units, want_ns;
	} cases[] = {
	    {0, 0, 1500000000123456, 1500000000123456000},
	    {6, 0, 1500000000123456, 1500000000123456000},
	    {3, 0, 1500000000123, 1500000000123000000},
	    {9, 0, 1500000000123456789, 1500000000123456789},
	    {12, 0, 1500000123456789, 1500000123456},
	    {19, 0, 18446744073709551615U, 1844674407},
	    {0x80, 0, 1500000000, 1500000000000000000},
	    {0x81, 0, 3000000001, 1500000000500000000},
	    {0x8a, 0, 1536000000512, 1500000000500000000},
	    {0xa0, 0, 1500000000ULL << 32 | 0x40000000, 1500000000250000000},
	    {0xa0, 0, 1500000000ULL << 32 | 0xffffffff, 1500000000999999999},
	    {0xa1, 0, 1500000000ULL << 33 | 0x180000000, 1500000000750000000},
	    {0xbf, 0, 1ULL << 63 | 1ULL << 62, 1500000000},
	    {0xbf, 0, UINT64_MAX, 1999999999},
	    {6, 1000, 500000, 1000500000000},
	    {6, -1000, 1000500000, 500000000},
	    {6, -1000, 500000, 0},
	    /* hostile: nothing beyond the year 2261 */
	    {6, 0, UINT64_MAX, 9200000000000000000},
	    {9, 0, UINT64_MAX, 9200000000000000000},
	    {0x80, 0, UINT64_MAX, 9200000000000000000},
	    {9, INT64_MAX, UINT64_MAX, 9200000000000000000},
	    {9, INT64_MAX, 5, 9200000000000000000},
	    {9, INT64_MIN, UINT64_MAX, 0},
	    {9, INT64_MIN, 5, 0},
	};
	size_t i;

	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		len = 0;
		section(i % 2, 1, 0);
		interface(4, 0, cases[i / 2].resolution, cases[i / 2].offset_s);
		enhanced(0, cases[i / 2].units, 4, 4);
		CHECK_INT(read_it(), 0);
		CHECK_INT(ngot, 1);
		CHECK_MSG(got[0].time_ns == cases[i / 2].want_ns, "case %zu: %" PRIu64, i / 2,
			  got[0].time_ns);
	}
}

static void test_links(void)
{
	len = 0;
	section(false, 1, 0);
	interface(7, 0, 0, 0);
	enhanced(0, 1, 4, 4);
	interface(9, 0, 0, 0);
	CHECK_INT(read_it(), 0);
	CHECK_INT(ngot, 1);
	CHECK_INT(got[0].link, -1);
	CHECK_INT(got[0].linktype, 7);
	CHECK_INT(refused, 7);
	interface(2, 0, 0, 0);
	CHECK_INT(read_it(), 0);
	CHECK_INT(refused, -1);
	len = 0;
	section(false, 1, 0);
	CHECK_INT(read_it(), 0); /* no interface, no packet: nothing to refuse */
	CHECK_INT(refused, -1);
}

static void clock_beyond_decimal(void)
{
	interface(4, 0, 20, 0);
}

static void clock_beyond_binary(void)
{
	interface(4, 0, 0xc0, 0);
}

static void option_beyond_block(void)
{
	size_t at = block_begin(IFACE);

	put(4, 4);
	put(0, 4);
	put(2, 2);
	put(9, 2); /* bytes, of which 8 are there */
	put(0, 8);
	block_end(at);
}

static void option_too_short(void)
{
	size_t at = block_begin(IFACE);

	put(4, 4);
	put(0, 4);
	option(14, 4, 0);
	block_end(at);
}

static void interface_too_short(void)
{
	other(IFACE, 4);
}

static void section_too_short(void)
{
	size_t at = block_begin(SECTION);

	put(0x1a2b3c4d, 4);
	put(1, 2);
	put(0, 2);
	block_end(at);
}

static void section_without_order(void)
{
	other(SECTION, 24);
}

static void section_of_version_2(void)
{
	section(false, 2, 0);
}

static void packet_too_short(void)
{
	other(ENHANCED, 16);
}

static void simple_too_short(void)
{
	other(SIMPLE, 0);
}

static void simple_beyond_block(void)
{
	simple(41, 40);
	file[len - 48] = 200; /* its length on the wire */
}

static void packet_of_no_interface(void)
{
	obsolete(2, 1, 4, 4);
}

static void packet_beyond_block(void)
{
	size_t at = len;

	enhanced(0, 1, 4, 4);
	file[at + 20] = 17; /* of 16 that are behind the packet's head */
}

static void lengths_differ(void)
{
	enhanced(0, 1, 4, 4);
	file[len - 4] ^= 4;
}

static void length_of_8(void)
{
	put(0x1234, 4);
	put(8, 4);
}

static void length_of_section_12(void)
{
	put(SECTION, 4);
	put(12, 4);
	put(0x1a2b3c4d, 4);
}

static void length_of_33(void)
{
	put(ENHANCED, 4);
	put(33, 4);
}

static void length_of_a_gigabyte(void)
{
	put(ENHANCED, 4);
	put(1 << 30, 4);
}

static void skipped_and_cut(void)
{
	put(0x1234, 4);
	put(1 << 30, 4);
	put(0, 8);
}

static void zeros(void)
{
	put(0, 8);
	put(0, 8);
}

/* One bad block behind a good packet: that packet is given, and the text names the place. */
static void test_bad_blocks(void)
{
	static const struct {
		void (*block)(void);
		const char *want;
	} cases[] = {
	    {clock_beyond_decimal, "interface 1 counts time in 10^-20 s"},
	    {clock_beyond_binary, "interface 1 counts time in 2^-64 s"},
	    {option_beyond_block, "an option of interface 1 goes beyond its block"},
	    {option_too_short, "interface 1 has an option 14 of 4 bytes"},
	    {interface_too_short, "the block of interface 1 is too short"},
	    {section_too_short, "a section's block is too short: 20 bytes"},
	    {section_without_order, "a section without its byte order"},
	    {section_of_version_2, "pcapng version 2.0 is not read"},
	    {packet_too_short, "a packet's block is too short: 28 bytes"},
	    {simple_too_short, "a packet's block is too short: 12 bytes"},
	    {simple_beyond_block, "200 bytes of packet do not fit into a block of 56"},
	    {packet_of_no_interface, "it names interface 2, but the section has described 1"},
	    {packet_beyond_block, "17 bytes of packet do not fit into a block of 48"},
	    {lengths_differ, "a block's two lengths differ: 48 and 52"},
	    {length_of_8, "a block's length is 8: want a multiple of 4, at least 12"},
	    {length_of_section_12, "a block's length is 12: want a multiple of 4, at least 16"},
	    {length_of_33, "a block's length is 33"},
	    {length_of_a_gigabyte, "a block's length is 1073741824: more than 16777216"},
	    {skipped_and_cut, "the file ends inside a block: 16 of its 1073741824 bytes"},
	    {zeros, "a block's length is 0"},
	};
	char place[64];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = 0;
		section(false, 1, 0);
		interface(4, 0, 0, 0);
		enhanced(0, 1, 4, 4);
		snprintf(place, sizeof(place), "frame 2: at byte %zu: ", len);
		cases[i].block();
		CHECK_INT(read_it(), FL_EFORMAT);
		CHECK_MSG(ngot == 1 && !strncmp(why, place, strlen(place)) &&
			      strstr(why, cases[i].want),
			  "case %zu: %s", i, why);
	}
}

/* Cut anywhere: what is whole is given. */
static void test_cut(void)
{
	size_t packet_end[2], block_begins[8], nblocks = 0, n, i;
	int end;

	len = 0;
	section(true, 1, 0);
	block_begins[nblocks++] = len;
	interface(4, 0, 0, 0);
	block_begins[nblocks++] = len;
	enhanced(0, 1, 5, 5);
	block_begins[nblocks++] = packet_end[0] = len;
	other(77, 9);
	block_begins[nblocks++] = len;
	simple(6, 6);
	block_begins[nblocks++] = packet_end[1] = len;
	for (n = 0; n <= len; n++) {
		bool whole = n == 0;

		for (i = 0; i < nblocks; i++)
			whole = whole || n == block_begins[i];
		end = read_bytes_in(file, n, sizeof(room));
		CHECK_MSG(end == (whole ? 0 : FL_EFORMAT), "cut at %zu: %d %s", n, end, why);
		CHECK_MSG(ngot == (size_t)(n >= packet_end[0]) + (n >= packet_end[1]), "cut at %zu",
			  n);
	}
}

static void test_not_pcapng(void)
{
	static const char *const cases[] = {"\n\n\n\nhello, world", "\n\r\r\nhello, world",
					    "\xd4\xc3\xb2\xa1 a pcap file"};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(read_bytes_in((const uint8_t *)cases[i], 12, sizeof(room)), FL_EUNKNOWN);
}

/* Little room: it is asked for, and nothing is lost. */
static void test_room(void)
{
	len = 0;
	section(false, 1, 0);
	interface(4, 0, 0, 0);
	enhanced(0, 1, 100, 100);
	other(77, 200);
	enhanced(0, 2, 10, 10);
	CHECK_INT(read_bytes_in(file, len, 0), 0);
	CHECK_INT(ngot, 2);
	CHECK_INT(read_bytes_in(file, len, 64), 0);
	CHECK_INT(ngot, 2);
	CHECK_INT(last[0], (0xa0 + 99) & 0xff);
	CHECK_INT(last[1], 0xa0 + 9);
}

/* A packet of 1 MiB, between small ones: 256 KiB of it are used. */
static void test_long_packet(void)
{
	enum { LONG = 1 << 20 };
	uint8_t *zeros_long = calloc(1, LONG);
	FILE *f = tmpfile();
	size_t at;

	if (!CHECK(f && zeros_long))
		return;
	len = 0;
	section(false, 1, 0);
	interface(4, 0, 0, 0);
	at = len;
	put(ENHANCED, 4);
	put(32 + LONG, 4);
	put(0, 4);
	put(0, 8);
	put(LONG, 4);
	put(LONG, 4);
	CHECK_INT(len - at, 28);
	fwrite(file, 1, len, f);
	memset(zeros_long, 0x55, PCAPNG_FRAME_BYTES);
	fwrite(zeros_long, 1, LONG, f);
	len = 0;
	put(32 + LONG, 4);
	enhanced(0, 2, 10, 10);
	fwrite(file, 1, len, f);
	rewind(f);
	CHECK_INT(read_file(f, sizeof(room)), 0);
	CHECK_INT(ngot, 2);
	CHECK_INT(got[0].caplen, PCAPNG_FRAME_BYTES);
	CHECK_INT(got[0].wirelen, LONG);
	CHECK_INT(first[0], 0x55);
	CHECK_INT(last[0], 0x55);
	CHECK_INT(got[1].caplen, 10);
	fclose(f);
	free(zeros_long);
}

static void test_many_interfaces(void)
{
	FILE *f = tmpfile();
	uint32_t i;

	if (!CHECK(f != NULL))
		return;
	len = 0;
	section(false, 1, 0);
	for (i = 0; i <= PCAPNG_IFACES_MOST; i++) {
		size_t at = block_begin(IFACE);

		put(4, 4);
		put(0, 4);
		block_end(at);
		if (i == PCAPNG_IFACES_MOST - 1)
			enhanced(i, 7, 4, 4);
		fwrite(file, 1, len, f);
		len = 0;
	}
	rewind(f);
	CHECK_INT(read_file(f, sizeof(room)), FL_EFORMAT);
	CHECK_INT(ngot, 1);
	CHECK_INT(got[0].iface, PCAPNG_IFACES_MOST - 1);
	CHECK_MSG(strstr(why, "more than 65536 interfaces"), "%s", why);
	fclose(f);
}

/* Bytes come as they please. */
static void test_pipe(void)
{
	int fds[2];
	FILE *f;

	len = 0;
	section(false, 1, 0);
	interface(4, 0, 0, 0);
	other(77, 100);
	enhanced(0, 1, 100, 100);
	if (!CHECK(!pipe(fds)))
		return;
	CHECK_INT(write(fds[1], file, len), len); /* less than a pipe holds */
	close(fds[1]);
	f = fdopen(fds[0], "rb");
	if (!CHECK(f != NULL))
		return;
	CHECK_INT(read_file(f, sizeof(room)), 0);
	CHECK_INT(ngot, 1);
	fclose(f);
	pcapng_free(NULL);
}

TEST_MAIN({"kinds of block, both byte orders", test_blocks}, {"sections", test_sections},
	  {"clocks", test_clocks}, {"links that are not read", test_links},
	  {"bad blocks", test_bad_blocks}, {"cut files", test_cut}, {"not pcapng", test_not_pcapng},
	  {"little room", test_room}, {"a long packet", test_long_packet},
	  {"many interfaces", test_many_interfaces}, {"a pipe", test_pipe})
