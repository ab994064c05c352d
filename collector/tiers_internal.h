/* tiers_internal.h - between the files that tiers.h consists of. */
#ifndef COLLECTOR_TIERS_INTERNAL_H
#define COLLECTOR_TIERS_INTERNAL_H

#include "collector/tiers.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* tiers.c */

/* Both a list of all connections and the last figures of those that end can be had. */
bool tiers_can_narrow(const struct tiers *t);

/* Take a list of all connections now; first: those that are not known yet are counted from now on.
 */
void tiers_dump(struct tiers *t, bool first, uint64_t now_ns);

/* Until the end of the cycle, by the wall clock. */
uint64_t tiers_until_end_ns(const struct tiers *t);

/* tiers_narrow.c */

/* Load the filter that counts UDP, where it is wanted and can be had. */
void tiers_ring_open(struct tiers *t);

/* Behind a reload: that filter again, with its settings of now where they have changed. */
void tiers_ring_resume(struct tiers *t, bool changed);

/* The rings' filters as they are to be now: narrowed or not. */
void tiers_rings_follow(struct tiers *t);

/* The rings read all again, from now on; at once. */
void tiers_widen(struct tiers *t);

/* settle_ns: frames of before the last change of addresses have been read. */
void tiers_settle(struct tiers *t);

/* Count what the ring's filter has counted. */
void tiers_datagrams(struct tiers *t, uint64_t now_ns);

/* "eBPF, narrowed" ...; static */
const char *tiers_filter_name(const struct tiers *t);

#endif
