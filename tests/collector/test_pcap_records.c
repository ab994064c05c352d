/* test_pcap_records.c - records of plain pcap files: both byte orders, cut at every byte, many
 * sizes. */
#include "collector/pcap_records.h"

#include <stdlib.h>

#include "tests/test.h"

static uint8_t buffer[PCAP_RECORDS_BUFFER];

static void put32(FILE *f, uint32_t v, bool big_endian)
{
	int i;

	for (i = 0; i < 4; i++)
		fputc((int)(v >> (big_endian ? 24 - 8 * i : 8 * i) & 0xff), f);
}

static void put_record(FILE *f, uint32_t n, uint32_t caplen, uint32_t wirelen, bool big_endian)
{
	uint32_t i;

	put32(f, 1000 + n, big_endian);
	put32(f, n, big_endian);
	put32(f, caplen, big_endian);
	put32(f, wirelen, big_endian);
	for (i = 0; i < caplen; i++)
		fputc((int)((n * 7 + i) & 0xff), f);
}

static bool same_bytes(const struct frame *f, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < f->caplen; i++)
		if (f->data[i] != ((n * 7 + i) & 0xff))
			return false;
	return true;
}

static void begin(struct pcap_records *r, FILE *f, bool big_endian, uint32_t subsecond_ns)
{
	memset(r, 0, sizeof(*r));
	rewind(f);
	r->file = f;
	r->buffer = buffer;
	r->big_endian = big_endian;
	r->subsecond_ns = subsecond_ns;
	r->link = LINK_RAW;
}

static void test_magic(void)
{
	static const struct {
		uint8_t bytes[4];
		bool plain, big_endian;
		uint32_t subsecond_ns;
	} cases[] = {
	    {{0xa1, 0xb2, 0xc3, 0xd4}, true, true, 1000},
	    {{0xd4, 0xc3, 0xb2, 0xa1}, true, false, 1000},
	    {{0xa1, 0xb2, 0x3c, 0x4d}, true, true, 1},
	    {{0x4d, 0x3c, 0xb2, 0xa1}, true, false, 1},
	    {{0xa1, 0xb2, 0xcd, 0x34}, false, false, 0},
	    {{0x0a, 0x0d, 0x0d, 0x0a}, false, false, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool big = false;
		uint32_t sub = 0;

		CHECK(pcap_records_plain(cases[i].bytes, &big, &sub) == cases[i].plain);
		CHECK(big == cases[i].big_endian && sub == cases[i].subsecond_ns);
	}
}

/* 500 records of 0 to 200,000 bytes, asked for 1, 7 and 64 at a time. */
static void test_sizes(void)
{
	static const size_t asks[] = {1, 7, 64};
	struct frame frames[64];
	struct pcap_records r;
	char why[256];
	size_t a;
	int way;

	for (way = 0; way < 2; way++) {
		FILE *f = tmpfile();
		uint32_t n, seed = 12345;

		if (!CHECK(f != NULL))
			return;
		for (n = 0; n < 500; n++) {
			seed = seed * 1103515245 + 12345;
			put_record(f, n, n % 50 ? (seed >> 16) % 3000 : (seed >> 8) % 200000,
				   n % 9 * 500, way);
		}
		for (a = 0; a < 3; a++) {
			uint32_t at = 0, bad = 0;
			int got, i;

			begin(&r, f, way, 1);
			while ((got = pcap_records_next(&r, frames, asks[a], why, sizeof(why))) > 0)
				for (i = 0; i < got; i++, at++)
					if (!same_bytes(&frames[i], at) ||
					    frames[i].wirelen < frames[i].caplen ||
					    frames[i].time_ns != (1000 + at) * 1000000000ULL + at ||
					    frames[i].link != LINK_RAW)
						bad++;
			CHECK_INT(got, 0);
			CHECK_INT(at, 500);
			CHECK_INT(bad, 0);
		}
		fclose(f);
	}
}

/* Three records of 5 bytes: cut after every byte what is whole is given, then the error says where.
 */
static void test_cuts(void)
{
	struct frame frames[8];
	struct pcap_records r;
	char why[256], want[64];
	size_t cut;

	for (cut = 0; cut <= 63; cut++) {
		FILE *f = tmpfile(), *g = tmpfile();
		uint8_t bytes[63];
		int got = 0, n;

		if (!CHECK(f && g))
			return;
		for (n = 0; n < 3; n++)
			put_record(f, (uint32_t)n, 5, 5, false);
		rewind(f);
		CHECK(fread(bytes, 1, 63, f) == 63);
		CHECK(fwrite(bytes, 1, cut, g) == cut);
		begin(&r, g, false, 1000);
		why[0] = 0;
		while ((n = pcap_records_next(&r, frames, 8, why, sizeof(why))) > 0)
			got += n;
		CHECK_INT(got, (int)(cut / 21));
		CHECK_INT(n, cut % 21 ? FL_EFORMAT : 0);
		snprintf(want, sizeof(want), "frame %d: the file ends", got + 1);
		CHECK(!(cut % 21) || !strncmp(why, want, strlen(want)));
		fclose(f);
		fclose(g);
	}
}

/* A length that no frame has ends the reading; what came before is given first. */
static void test_damaged(void)
{
	struct frame frames[8];
	struct pcap_records r;
	char why[256] = "";
	FILE *f = tmpfile();

	if (!CHECK(f != NULL))
		return;
	put_record(f, 0, 9, 9, false);
	put32(f, 1, false);
	put32(f, 4000000000U, false);
	put32(f, 0xffffffff, false);
	put32(f, 0xffffffff, false);
	begin(&r, f, false, 1000);
	CHECK_INT(pcap_records_next(&r, frames, 8, why, sizeof(why)), 1);
	CHECK_INT(pcap_records_next(&r, frames, 8, why, sizeof(why)), FL_EFORMAT);
	CHECK(strstr(why, "frame 2") && strstr(why, "damaged"));
	fclose(f);
}

TEST_MAIN({"magic numbers", test_magic}, {"sizes", test_sizes}, {"cut files", test_cuts},
	  {"damaged", test_damaged})
