/* tree_links.h - are all records of a MaxMind DB search tree links that lead somewhere?
 *
 * A city database has six million nodes, and all are read at each opening: with AVX2 where the
 * processor has it, else both records of a node at once in one word.
 */
#ifndef GEOIP_TREE_LINKS_H
#define GEOIP_TREE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TREE_SEPARATOR_BYTES = 16 }; /* between search tree and data */

/* What a record may be: below the number of nodes a node, but never the first one; that number is
 * "nothing known"; above are, after a gap as long as the separator, offsets of data. */
struct tree_limits {
	uint32_t nodes; /* up to 2^30 */
	uint64_t data_size;
};

/* Whether any record of n whole nodes from `at` on, with records of 24, 28 or 32 bits, is none of
 * that. TREE_SEPARATOR_BYTES behind them may be read too. */
bool tree_links_bad(const uint8_t *at, size_t n, unsigned int bits, const struct tree_limits *l);

/* The same, as it is done where there is no AVX2: for tests. */
bool tree_links_bad_plain(const uint8_t *at, size_t n, unsigned int bits,
			  const struct tree_limits *l);

#endif
