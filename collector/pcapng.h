/* pcapng.h - reads the packets of a pcapng file from a stream, block by block.
 *
 * Format:  draft-ietf-opsawg-pcapng; link types: tcpdump.org/linktypes.html.
 * Read:    both byte orders, several sections, any mix of interfaces, clocks and snapshot lengths;
 *          enhanced, simple and the obsolete packet blocks. Other blocks are skipped.
 * Threads: a reader belongs to one thread. It only reads forward, so a pipe will do.
 */
#ifndef COLLECTOR_PCAPNG_H
#define COLLECTOR_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

enum {
	PCAPNG_FIRST_BYTE = 0x0a,        /* no pcap file begins with it */
	PCAPNG_FRAME_BYTES = 256 * 1024, /* of one packet; what it has more is not used */
	PCAPNG_ROOM_BYTES = PCAPNG_FRAME_BYTES + 32, /* any packet has room in this */
	PCAPNG_BLOCK_MOST = 16 << 20, /* of a block that is looked into; others may be longer */
	PCAPNG_IFACES_MOST = 65536,   /* in one section */
};

struct pcapng_packet {
	/* ns since the epoch, at most the year 2261. A simple packet block has no time: that of the
	 * packet before it in the file, 0 where there is none. */
	uint64_t time_ns;
	const uint8_t *data; /* in the room given to pcapng_next() */
	uint32_t caplen;     /* bytes at data, at most PCAPNG_FRAME_BYTES */
	uint32_t wirelen;    /* >= caplen */
	uint32_t iface;      /* its number in its section */
	uint16_t linktype;   /* LINKTYPE_ */
	int16_t link;        /* what link_of() said of it */
};

struct pcapng;

/* A reader of f from its first byte; f stays the caller's. link_of says what a link type
 * (LINKTYPE_) is to the caller, negative: not read; asked once for each interface. NULL where
 * memory is refused. */
struct pcapng *pcapng_new(FILE *f, int (*link_of)(int linktype)) MUST_CHECK;
void pcapng_free(struct pcapng *ng);

/* The next packet, its bytes somewhere in room[0..size). Allocates for descriptions of interfaces
 * only. 1; 0: the end of the file; FL_EFULL: more room is needed (PCAPNG_ROOM_BYTES do), nothing is
 * lost; FL_EUNKNOWN: this is no pcapng file; FL_EFORMAT or -errno: reading ends here, pcapng_why()
 * says why, and every further call says the same. */
int pcapng_next(struct pcapng *ng, uint8_t *room, size_t size,
		struct pcapng_packet *packet) MUST_CHECK;

/* "frame 7: at byte 1234: ...". Borrowed. */
const char *pcapng_why(const struct pcapng *ng);

/* Where interfaces have been described and the link type of none is read: that of the first one.
 * -1: all well. */
int pcapng_refused(const struct pcapng *ng);

/* Packets so far: the frame number of the last one. */
uint64_t pcapng_packets(const struct pcapng *ng);

#endif
