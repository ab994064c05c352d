/* fragment.h - IP datagrams put together out of fragments (RFC 791 section 3.2, RFC 8200
 * section 4.5).
 *
 * A datagram's fragments are held until it is whole, or too old, or pushed out by newer ones; then
 * they are counted to the flow of the first fragment, all at once. Overlapping fragments: the first
 * bytes win. Bounded: FRAGMENT_DATAGRAMS at a time; memory is taken at start, pages only where
 * used.
 */
#ifndef FLOWS_FRAGMENT_H
#define FLOWS_FRAGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"

enum { FRAGMENT_DATAGRAMS = 512, FRAGMENT_MAX = 65536 };
#define FRAGMENT_TIMEOUT_NS 30000000000ULL

struct fragment {
	const struct ip_addr *src, *dst;
	uint64_t time_ns;
	uint32_t id;
	uint32_t offset; /* bytes, a multiple of 8 */
	uint32_t len;    /* as the IP header says */
	uint32_t cap;    /* captured at data */
	const uint8_t *data;
	uint16_t iface;
	uint8_t proto; /* what follows the IP (or fragment) header */
	bool more;
};

/* A datagram, whole or given up. */
struct datagram {
	struct ip_addr src, dst;
	uint64_t time_ns;    /* of the fragment that completed it, or the last one */
	const uint8_t *data; /* cap bytes without a hole from the beginning */
	uint32_t cap;
	uint32_t len;     /* whole: its length; else the sum of the fragments' lengths */
	uint16_t packets; /* fragments */
	uint16_t iface;
	uint8_t proto;
	bool whole, has_first;
};

struct fragments;

struct fragments *fragments_new(void) MUST_CHECK;
void fragments_free(struct fragments *f);

/* Hold a fragment. true: the datagram is whole and *out describes it; its bytes stay until
 * fragments_release(). A fragment that would end beyond 65,535 bytes is not held: *malformed is
 * set. */
bool fragments_add(struct fragments *f, const struct fragment *frag, struct datagram *out,
		   bool *malformed);

/* The next datagram that is given up: older than the time-out at now_ns, pushed out, or, with
 * `all`, any. false: none. Its bytes stay until fragments_release(). */
bool fragments_expire(struct fragments *f, uint64_t now_ns, bool all, struct datagram *out);

/* Something to expire at now_ns? Cheap. */
bool fragments_due(const struct fragments *f, uint64_t now_ns);

/* Datagrams handed out before are done with. */
void fragments_release(struct fragments *f);

#endif
