/* pcap_records.h - the packet records of a pcap file, many at a time and without copying.
 *
 * Format:  draft-ietf-opsawg-pcap section 5. The file's header is libpcap's: it says link type,
 *          byte order and resolution. Records of the plain format (magic a1b2c3d4 or a1b23c4d,
 *          version 2.4) are then read here, straight out of a large buffer; libpcap's call and copy
 *          for each packet cost more than all that flowline does with a small one.
 * Threads: belongs to one thread. It only reads forward, so a pipe will do.
 */
#ifndef COLLECTOR_PCAP_RECORDS_H
#define COLLECTOR_PCAP_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "flows/frame.h"

enum {
	PCAP_MAGIC_BYTES = 4,
	PCAP_RECORDS_FRAME_MOST =
	    256 * 1024, /* libpcap's MAXIMUM_SNAPLEN; a longer one is no record */
	PCAP_RECORDS_BUFFER = 1024 * 1024,
};

/* Are these the first bytes of a plain pcap file? Tells its byte order and resolution. */
bool pcap_records_plain(const uint8_t magic[PCAP_MAGIC_BYTES], bool *big_endian,
			uint32_t *subsecond_ns);

struct pcap_records {
	FILE *file;            /* borrowed; behind the file's header */
	uint8_t *buffer;       /* PCAP_RECORDS_BUFFER bytes, borrowed */
	size_t at, have;       /* bytes of the buffer: next one to read, end */
	uint64_t frames;       /* so far */
	uint32_t subsecond_ns; /* ns in one unit of a record's second word */
	bool big_endian, ended;
	uint8_t link; /* enum link_type of every frame */
};

/* The next frames, at most n: fills in frames[], whose data stay in the buffer until the next call.
 * Returns how many; 0: the end of the file; FL_EFORMAT: the file is damaged or cut here, -errno:
 * reading failed, and why[] says what is wrong with which frame. What came before an error is given
 * first. */
int pcap_records_next(struct pcap_records *r, struct frame *frames, size_t n, char *why,
		      size_t why_size) MUST_CHECK;

#endif
