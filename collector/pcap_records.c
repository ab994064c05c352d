/* pcap_records.c - see pcap_records.h. */
#include "collector/pcap_records.h"

#include <errno.h>
#include <string.h>

#include "common/wire.h"

#define NS_PER_S 1000000000ULL

enum { HEADER_BYTES = 16 };

bool pcap_records_plain(const uint8_t magic[PCAP_MAGIC_BYTES], bool *big_endian,
			uint32_t *subsecond_ns)
{
	static const struct {
		uint8_t bytes[PCAP_MAGIC_BYTES];
		bool big_endian;
		uint32_t subsecond_ns;
	} known[] = {
	    {{0xd4, 0xc3, 0xb2, 0xa1}, false, 1000},
	    {{0xa1, 0xb2, 0xc3, 0xd4}, true, 1000},
	    {{0x4d, 0x3c, 0xb2, 0xa1}, false, 1},
	    {{0xa1, 0xb2, 0x3c, 0x4d}, true, 1},
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (memcmp(magic, known[i].bytes, PCAP_MAGIC_BYTES))
			continue;
		*big_endian = known[i].big_endian;
		*subsecond_ns = known[i].subsecond_ns;
		return true;
	}
	return false;
}

static inline uint32_t load_32(const uint8_t *p, bool big_endian)
{
	uint32_t v = load_be32(p);

	return big_endian ? v : __builtin_bswap32(v);
}

/* Move what is left to the buffer's beginning and read on. False: nothing more came. */
static bool refill(struct pcap_records *r)
{
	size_t n;

	memmove(r->buffer, r->buffer + r->at, r->have - r->at);
	r->have -= r->at;
	r->at = 0;
	n = fread(r->buffer + r->have, 1, PCAP_RECORDS_BUFFER - r->have, r->file);
	r->have += n;
	return n > 0;
}

/* The end of the file: clean, or in the middle of a record. */
static int end_of_file(struct pcap_records *r, char *why, size_t why_size)
{
	size_t left = r->have - r->at;

	r->ended = true;
	if (ferror(r->file)) {
		snprintf(why, why_size, "frame %llu: reading failed: %s",
			 (unsigned long long)r->frames + 1, strerror(errno));
		return errno ? -errno : -EIO;
	}
	if (!left)
		return 0;
	snprintf(why, why_size, "frame %llu: the file ends inside it: %s",
		 (unsigned long long)r->frames + 1,
		 left < HEADER_BYTES ? "its header is cut" : "its bytes are cut");
	return FL_EFORMAT;
}

static uint64_t time_of(const struct pcap_records *r, uint32_t s, uint32_t sub)
{
	uint32_t most = (uint32_t)(NS_PER_S / r->subsecond_ns) - 1;

	/* Out of range are hostile files only. */
	return (uint64_t)s * NS_PER_S + (uint64_t)(sub < most ? sub : most) * r->subsecond_ns;
}

int pcap_records_next(struct pcap_records *r, struct frame *frames, size_t n, char *why,
		      size_t why_size)
{
	size_t got = 0;

	while (got < n) {
		const uint8_t *p = r->buffer + r->at;
		size_t left = r->have - r->at;
		uint32_t caplen, wirelen;

		caplen = left < HEADER_BYTES ? 0 : load_32(p + 8, r->big_endian);
		if (caplen > PCAP_RECORDS_FRAME_MOST) {
			if (got)
				break;
			snprintf(why, why_size,
				 "frame %llu: %u bytes long, more than the %u that a frame can "
				 "have: the "
				 "file is damaged here",
				 (unsigned long long)r->frames + 1, caplen,
				 PCAP_RECORDS_FRAME_MOST);
			return FL_EFORMAT;
		}
		if (left < HEADER_BYTES || left - HEADER_BYTES < caplen) {
			if (got)
				break; /* their bytes would move */
			if (r->ended || !refill(r))
				return end_of_file(r, why, why_size);
			continue;
		}
		wirelen = load_32(p + 12, r->big_endian);
		frames[got].time_ns =
		    time_of(r, load_32(p, r->big_endian), load_32(p + 4, r->big_endian));
		frames[got].data = p + HEADER_BYTES;
		frames[got].caplen = caplen;
		frames[got].wirelen = wirelen > caplen ? wirelen : caplen;
		frames[got].iface = 0;
		frames[got].link = r->link;
		__builtin_prefetch(p + HEADER_BYTES + caplen);
		r->at += HEADER_BYTES + caplen;
		r->frames++;
		got++;
	}
	return (int)got;
}
