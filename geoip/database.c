/* database.c - one GeoIP database file, see database.h.
 *
 * libmaxminddb opens the file and reads its metadata. The search tree is walked here: of the
 * library's lookup, two thirds are spent on reading nodes.
 *
 * Why the search tree is checked whole: half-written files of the right length exist (dd,
 * torrents, a full disk behind a cache). A bad link is found here, at once, not by whoever asks
 * for that address next week. Of the data, a sample of records is decoded; each lookup is bounded
 * anyway.
 */
#include "geoip/database.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"
#include "geoip/address_class.h"
#include "geoip/guard.h"
#include "geoip/tree_links.h"

enum {
	SAMPLE_RECORDS = 2048,
	SEPARATOR_BYTES = TREE_SEPARATOR_BYTES,
	NODES_MAX = 1 << 30,
	TABLE_BITS = 16,
	V4_PREFIX_BITS = 96,
};

/* ::/96, where the format has IPv4. */
static const uint8_t v4_prefix[V4_PREFIX_BITS / 8];

struct database {
	struct file_map *file;
	const uint8_t *map;
	size_t map_size;
	uint32_t nodes;
	unsigned int bits;   /* of a record: half a node */
	unsigned int family; /* of the addresses in the tree: 4 or 6 */
	uint64_t built_s;
	char *type;
	struct mmdb_data data;
	struct layout layout;
	uint64_t places;
	/* By the first bits of an IPv4 address: the node there, or what is there instead of one.
	 * Spares two thirds of a walk, and those whose nodes lie far apart. */
	uint32_t table[1 << TABLE_BITS];
};

/* ---- metadata */

/* What libmaxminddb says of the file itself, which is not mapped any longer than that takes. */
static int open_mmdb(struct database *db, MMDB_s *mmdb)
{
	bool leased, lost = false;
	char name[64];
	int err;

	do {
		leased = file_map_leased(db->file);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", file_map_fd(db->file));
		guard_thread(&lost);
		err = MMDB_open(name, MMDB_MODE_MMAP, mmdb);
		guard_thread(NULL);
		if (leased == file_map_leased(db->file) && !lost)
			return err;
		/* it had to retreat to a copy meanwhile; once, at most */
		if (!err)
			MMDB_close(mmdb);
	} while (!lost);
	return MMDB_IO_ERROR;
}

static int read_metadata(struct database *db, const char *path, char *why, size_t why_size)
{
	unsigned int version;
	MMDB_s mmdb;
	int err = open_mmdb(db, &mmdb);

	if (err == MMDB_FILE_OPEN_ERROR || err == MMDB_IO_ERROR ||
	    err == MMDB_OUT_OF_MEMORY_ERROR) {
		snprintf(why, why_size, "%s: cannot be mapped: %s (is /proc mounted?)", path,
			 MMDB_strerror(err));
		return -EIO;
	}
	if (err) {
		snprintf(why, why_size,
			 "%s: not a MaxMind DB (.mmdb) file, or not all of it: %s; fetch it again "
			 "and rename it into place",
			 path, MMDB_strerror(err));
		return FL_EFORMAT;
	}
	version = mmdb.metadata.binary_format_major_version;
	db->family = mmdb.metadata.ip_version;
	db->nodes = mmdb.metadata.node_count;
	db->bits = mmdb.metadata.record_size;
	db->built_s = mmdb.metadata.build_epoch;
	db->type = strdup(mmdb.metadata.database_type ? mmdb.metadata.database_type : "");
	MMDB_close(&mmdb);
	if (!db->type) {
		snprintf(why, why_size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	if (version != 2 || (db->family != 4 && db->family != 6)) {
		snprintf(
		    why, why_size,
		    "%s: MaxMind DB format %u with IPv%u addresses is not known (want 2, 4 or 6)",
		    path, version, db->family);
		return FL_EFORMAT;
	}
	return 0;
}

/* ---- verification and layout */

static int refuse(const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(
	    why, why_size,
	    "%s: damaged, or written only in part (%s); fetch it again and rename it into place",
	    path, what);
	return FL_EFORMAT;
}

/* A node's two records; of 28 bits each, the upper 4 of both are in the middle byte. Read here and
 * not by MMDB_read_node(), which takes eight times as long: a city database has ten million of
 * them. */
static inline void read_node(const uint8_t *p, unsigned int bits, uint32_t record[2])
{
	if (bits == 24) {
		record[0] = load_be32(p) >> 8;
		record[1] = load_be32(p + 2) & 0xffffff;
	} else if (bits == 28) {
		record[0] = load_be32(p) >> 8 | (uint32_t)(p[3] & 0xf0) << 20;
		record[1] = load_be32(p + 3) & 0xfffffff;
	} else {
		record[0] = load_be32(p);
		record[1] = load_be32(p + 4);
	}
}

/* The first node with data, of the nodes from `at` to `end`: what it leads to must decode whole,
 * and tells where things are. */
static int check_sample(struct database *db, const uint8_t *at, const uint8_t *end)
{
	unsigned int bits = db->bits, side;
	uint32_t n = db->nodes, record[2];
	int err = 0;

	for (; at < end; at += bits / 4) {
		read_node(at, bits, record);
		if (record[0] <= n && record[1] <= n)
			continue;
		for (side = 0; side < 2 && !err; side++)
			if (record[side] > n)
				err = layout_probe(&db->layout, &db->data,
						   record[side] - n - SEPARATOR_BYTES, &db->places);
		return err;
	}
	return 0;
}

static inline uint32_t read_side(const uint8_t *p, unsigned int bits, unsigned int side)
{
	uint32_t record[2];

	if (bits == 24) /* without a branch: nobody can guess the next bit of an address */
		return load_be32(p + 2 * side) >> (8 - 8 * side) & 0xffffff;
	if (bits == 32)
		return load_be32(p + 4 * side);
	read_node(p, 28, record);
	return record[side];
}

static inline uint32_t walk_down(const struct database *db, uint32_t node, const uint8_t *address,
				 unsigned int n, unsigned int bits)
{
	const uint8_t *map = db->map;
	uint32_t nodes = db->nodes;
	unsigned int i;

	for (i = 0; i < n && node < nodes; i++)
		node = read_side(map + (size_t)node * (bits / 4), bits,
				 address[i >> 3] >> (7 - (i & 7)) & 1);
	return node;
}

/* Down from a node by n bits of an address. What is there: a node still, or more. */
static uint32_t walk(const struct database *db, uint32_t node, const uint8_t *address,
		     unsigned int n)
{
	return db->bits == 24   ? walk_down(db, node, address, n, 24)
	       : db->bits == 28 ? walk_down(db, node, address, n, 28)
				: walk_down(db, node, address, n, 32);
}

/* The table of the first bits of IPv4 addresses is filled in the order of the tree, as far as that
 * has been checked (and is in the processor's cache). Makers number nodes so that those below are
 * behind; where they do not, the table is filled at the end. */
struct filling {
	struct {
		uint32_t node;
		uint32_t prefix;
		unsigned int bits;
	} waiting[TABLE_BITS + 1]; /* nodes to go down from */
	unsigned int n;
};

static void fill_table(struct database *db, struct filling *f, uint32_t checked)
{
	uint32_t node, prefix, i, span;
	unsigned int bits, side;

	while (f->n) {
		node = f->waiting[f->n - 1].node;
		if (node >= checked && node < db->nodes)
			return;
		f->n--;
		prefix = f->waiting[f->n].prefix;
		bits = f->waiting[f->n].bits;
		if (node >= db->nodes || bits == TABLE_BITS) {
			span = 1U << (TABLE_BITS - bits);
			for (i = 0; i < span; i++)
				db->table[prefix * span + i] = node;
			continue;
		}
		if (bits == TABLE_BITS - 1) {
			for (side = 0; side < 2; side++)
				db->table[prefix << 1 | side] = read_side(
				    db->map + (size_t)node * (db->bits / 4), db->bits, side);
			continue;
		}
		for (side = 2; side-- > 0;) { /* the first side on top */
			f->waiting[f->n].node =
			    read_side(db->map + (size_t)node * (db->bits / 4), db->bits, side);
			f->waiting[f->n].prefix = prefix << 1 | side;
			f->waiting[f->n++].bits = bits + 1;
		}
	}
}

static int check_tree(struct database *db, const char *path, char *why, size_t why_size)
{
	struct tree_limits l = {db->nodes, db->data.size};
	uint32_t n = db->nodes, i, done, step = n / SAMPLE_RECORDS + 1;
	struct filling filling = {.n = db->family == 4};
	unsigned int bits = db->bits;

	if (bits != 24 && bits != 28 && bits != 32)
		return refuse(path, "its search tree cannot be read", why, why_size);
	for (i = 0; i < n; i = done) {
		const uint8_t *at = db->map + (size_t)i * (bits / 4), *end;

		done = n - i < step ? n : i + step;
		end = db->map + (size_t)done * (bits / 4);
		if (tree_links_bad(at, done - i, bits, &l))
			return refuse(path, "a link in the search tree leads nowhere", why,
				      why_size);
		if (check_sample(db, at, end))
			return refuse(path, "a record cannot be decoded", why, why_size);
		fill_table(db, &filling, done);
	}
	if (db->family == 6) {
		filling.n = 1;
		filling.waiting[0].node = walk(db, 0, v4_prefix, V4_PREFIX_BITS);
		fill_table(db, &filling, n);
	}
	return 0;
}

static int verify(struct database *db, const char *path, const char *language, char *why,
		  size_t why_size)
{
	uint64_t tree = (uint64_t)db->nodes * db->bits / 4;
	int err;

	if (!db->nodes || db->nodes > NODES_MAX || tree + SEPARATOR_BYTES >= db->map_size)
		return refuse(path, "it is shorter than its search tree", why, why_size);
	db->data.bytes = db->map + tree + SEPARATOR_BYTES;
	db->data.size = db->map_size - tree - SEPARATOR_BYTES;
	layout_init(&db->layout, language);
	err = check_tree(db, path, why, why_size);
	if (err)
		return err;
	layout_settle(&db->layout, db->places);
	if (!db->layout.fields) {
		snprintf(why, why_size,
			 "%s: a database of type '%s', in which no country, city, AS or position "
			 "was found",
			 path, db->type);
		return FL_EFORMAT;
	}
	return 0;
}

int database_open(struct database **out, const char *path, const char *language, const char *dir,
		  struct file_identity *id, char *why, size_t why_size)
{
	struct database *db = calloc(1, sizeof(*db));
	int err;

	*out = NULL;
	if (!db) {
		snprintf(why, why_size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	err = file_map_open(&db->file, path, dir, id, why, why_size);
	if (!err) {
		db->map = file_map_bytes(db->file, &db->map_size);
		err = read_metadata(db, path, why, why_size);
	}
	if (!err)
		err = verify(db, path, language, why, why_size);
	if (err) {
		database_close(db);
		return err;
	}
	*out = db;
	return 0;
}

void database_close(struct database *db)
{
	if (!db)
		return;
	file_map_close(db->file);
	free(db->type);
	free(db);
}

/* ---- lookups */

/* IPv4 inside NAT64 and 6to4 is looked up as that. */
static const uint8_t *v4_of(const struct ip_addr *a)
{
	return addr_is_v4(a) ? a->b + 12 : addr_inner_v4(a);
}

/* An address on its way down the tree. */
struct walker {
	const uint8_t *address;
	uint32_t node;
	uint16_t bit, end;
	uint32_t number; /* of the address */
};

static inline const uint8_t *node_at(const struct database *db, uint32_t node, unsigned int bits)
{
	return db->map + (size_t)node * (bits / 4);
}

/* All of them a step at a time, so that each one's next node comes from memory while the others
 * make theirs. Where they end goes to `at`. */
static inline void walk_together(const struct database *db, struct walker *w, unsigned int n,
				 unsigned int bits, uint32_t *at)
{
	uint32_t nodes = db->nodes, node;
	unsigned int i, bit;

	while (n) {
		for (i = 0; i < n;) {
			bit = w[i].bit++;
			node = read_side(node_at(db, w[i].node, bits), bits,
					 w[i].address[bit >> 3] >> (7 - (bit & 7)) & 1);
			if (node < nodes && w[i].bit < w[i].end) {
				__builtin_prefetch(node_at(db, node, bits));
				w[i++].node = node;
			} else {
				at[w[i].number] = node;
				w[i] = w[--n];
			}
		}
	}
}

/* Where the walks begin; those that end there have their result. */
static unsigned int begin_walks(const struct database *db, const struct ip_addr *const *a, size_t n,
				struct walker *w, uint32_t *at)
{
	const uint8_t *v4[DATABASE_BLOCK];
	unsigned int walks = 0;
	uint32_t node, i;

	for (i = 0; i < n; i++) {
		v4[i] = v4_of(a[i]);
		if (v4[i])
			__builtin_prefetch(&db->table[v4[i][0] << 8 | v4[i][1]]);
	}
	for (i = 0; i < n; i++) {
		node =
		    v4[i] ? db->table[v4[i][0] << 8 | v4[i][1]] : (db->family == 4 ? db->nodes : 0);
		if (node >= db->nodes) {
			at[i] = node;
			continue;
		}
		__builtin_prefetch(db->map + (size_t)node * (db->bits / 4));
		w[walks].address = v4[i] ? v4[i] : a[i]->b;
		w[walks].node = node;
		w[walks].bit = v4[i] ? TABLE_BITS : 0;
		w[walks].end = v4[i] ? 32 : 128;
		w[walks++].number = i;
	}
	return walks;
}

unsigned int database_find(const struct database *db, const struct ip_addr *const *a, size_t n,
			   uint32_t *records)
{
	struct walker w[DATABASE_BLOCK];
	unsigned int walks, broken = 0;
	uint32_t at;
	size_t i;

	if (file_map_lost(db->file)) {
		memset(records, 0, n * sizeof(*records));
		return (unsigned int)n;
	}
	walks = begin_walks(db, a, n, w, records);
	if (db->bits == 24)
		walk_together(db, w, walks, 24, records);
	else if (db->bits == 28)
		walk_together(db, w, walks, 28, records);
	else
		walk_together(db, w, walks, 32, records);
	for (i = 0; i < n; i++) {
		at = records[i];
		records[i] = at == db->nodes ? 0 : at - db->nodes;
		/* deeper than an address, or what the check has not seen: the bytes have changed
		 * since */
		if (at < db->nodes ||
		    (at != db->nodes && (at < db->nodes + SEPARATOR_BYTES ||
					 at - db->nodes - SEPARATOR_BYTES >= db->data.size))) {
			records[i] = 0;
			broken++;
		}
	}
	return broken;
}

void database_prefetch(const struct database *db, uint32_t record)
{
	const uint8_t *p = db->data.bytes + (record - SEPARATOR_BYTES);

	__builtin_prefetch(p);
	__builtin_prefetch(p + 64);
}

int database_read(struct database *db, uint32_t record, unsigned int wanted, struct geo_record *r)
{
	struct geo_record copy = *r;
	int err = layout_read(&db->layout, &db->data, record - SEPARATOR_BYTES, wanted, &copy);

	if (!err)
		*r = copy;
	return err;
}

unsigned int database_fields(const struct database *db)
{
	return db->layout.fields;
}

const char *database_type(const struct database *db)
{
	return db->type;
}

bool database_has_v6(const struct database *db)
{
	return db->family == 6;
}

uint64_t database_built_s(const struct database *db)
{
	return db->built_s;
}
