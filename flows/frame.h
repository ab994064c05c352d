/* frame.h - a captured frame as a capture source hands it to the engine.
 */
#ifndef FLOWS_FRAME_H
#define FLOWS_FRAME_H

#include <stdint.h>

/* What the first byte of a frame begins. */
enum link_type {
	LINK_ETHERNET, /* DLT_EN10MB */
	LINK_RAW,      /* DLT_RAW, DLT_IPV4, DLT_IPV6: an IP header */
	LINK_SLL,      /* DLT_LINUX_SLL: Linux cooked v1, 16 bytes */
	LINK_SLL2,     /* DLT_LINUX_SLL2: Linux cooked v2, 20 bytes */
	LINK_NULL,     /* DLT_NULL: 4 bytes address family, order of the machine that wrote it */
	LINK_LOOP,     /* DLT_LOOP: the same in network order */
	LINK_TYPES
};

struct frame {
	uint64_t time_ns;    /* when it was captured, ns since the epoch */
	const uint8_t *data; /* borrowed; live until engine_frames() returns */
	uint32_t caplen;     /* bytes at data */
	uint32_t wirelen;    /* bytes the frame had; >= caplen */
	uint16_t iface;      /* capture interface, any numbering; 0 where there is only one */
	uint8_t link;        /* enum link_type */
};

#endif
