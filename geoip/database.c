/* database.c - one GeoIP database file, see database.h.
 *
 * Why a snapshot: libmaxminddb maps the file it is given. Replaced by rename, the old file lives
 * on behind the mapping and all is well. Overwritten in place (cp, rsync --inplace, a download
 * tool) it is not: pages behind a truncation raise SIGBUS, and until the writer is done lookups
 * see the search tree of one edition and the data of another. No check can close that gap (it is
 * open again right after), a SIGBUS handler would only hide the first half of it, and a file
 * lease stops the writer and wants CAP_LEASE. So the file is copied once into a file that has no
 * name, which nobody else can write, and that is what is mapped, read-only. The copy lies on a
 * disk (/var/tmp, or where the configuration says), because there its pages are page cache: the
 * kernel takes them back when memory is short and a memory limit does not kill the process for
 * them. Where that is not possible it lies in memory (memfd_create). It costs one copy per
 * edition of the file, some 50 ms per 70 MB.
 *
 * Why the search tree is checked whole: half-written files of the right length exist (dd,
 * torrents, a full disk behind a cache). A bad link is found here, at once, not by whoever asks
 * for that address next week. Of the data, a sample of records is decoded; each lookup is bounded
 * anyway.
 */
#include "geoip/database.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/wire.h"

/* Headers older than Linux 3.17 lack it; CentOS 7's kernel has it all the same. */
#ifndef SYS_memfd_create
#if defined(__x86_64__)
#define SYS_memfd_create 319
#elif defined(__aarch64__)
#define SYS_memfd_create 279
#else
#define SYS_memfd_create -1
#endif
#endif

enum {
	COPY_BYTES = 256 * 1024,
	SAMPLE_RECORDS = 4096,
	SEPARATOR_BYTES = 16, /* between search tree and data */
};

struct database {
	MMDB_s mmdb;
	int original; /* the file itself, held open so that its inode number is not given to the
			 next edition */
	const uint8_t
	    *map; /* libmaxminddb's: a mapping of our own would fault every page in once more */
	size_t map_size;
	struct mmdb_data data;
	struct layout layout;
	uint64_t places;
};

/* ---- the file as others see it */

static int64_t time_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void identity_from(struct file_identity *id, const struct stat *st)
{
	memset(id, 0, sizeof(*id));
	id->dev = st->st_dev;
	id->inode = st->st_ino;
	id->size = st->st_size;
	id->mtime_ns = time_ns(&st->st_mtim);
	id->ctime_ns = time_ns(&st->st_ctim);
}

int file_identity_of(struct file_identity *id, const char *path)
{
	struct stat st;

	memset(id, 0, sizeof(*id));
	if (stat(path, &st))
		return -errno;
	identity_from(id, &st);
	return 0;
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* ---- the snapshot */

static int nameless_on_disk(const char *dir)
{
	char path[4096];
	int fd, n = snprintf(path, sizeof(path), "%s/.flowline-geoip.XXXXXX", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int nameless_in_memory(void)
{
	long fd = syscall(SYS_memfd_create, "flowline-geoip", 1u /* MFD_CLOEXEC */);

	return fd < 0 ? -errno : (int)fd;
}

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t m = write(fd, bytes, n);

		if (m < 0 && errno != EINTR)
			return -errno;
		if (m > 0) {
			bytes += m;
			n -= (size_t)m;
		}
	}
	return 0;
}

static int copy_file(int from, int to)
{
	char *buffer = malloc(COPY_BYTES);
	off_t at = 0;
	ssize_t n;
	int err = 0;

	if (!buffer)
		return -ENOMEM;
	while (!err) {
		n = pread(from, buffer, COPY_BYTES, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		at += n;
		err = write_all(to, buffer, (size_t)n);
	}
	free(buffer);
	return err;
}

/* A nameless copy of what fd is; its descriptor or -errno. */
static int snapshot(int fd, const char *dir)
{
	int err, copy = nameless_on_disk(dir ? dir : "/var/tmp");

	err = copy < 0 ? copy : copy_file(fd, copy);
	if (!err)
		return copy;
	if (copy >= 0)
		close(copy);
	copy = nameless_in_memory();
	if (copy < 0)
		return err; /* the disk's reason says more */
	err = copy_file(fd, copy);
	if (err)
		close(copy);
	return err ? err : copy;
}

/* Opens path, takes its snapshot and makes sure that the file did not change meanwhile. The
 * snapshot's descriptor, and *original; or negative. */
static int snapshot_path(const char *path, const char *dir, struct file_identity *id, int *original,
			 char *why, size_t why_size)
{
	struct file_identity after;
	struct stat st;
	int copy, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st)) {
		copy = -errno;
		snprintf(why, why_size, "%s: %s%s", path, strerror(-copy),
			 copy == -ENOENT ? " (tools/get-geoip fetches a free one)"
			 : copy == -EACCES
			     ? " (who runs flowline must be able to read it: chmod a+r)"
			     : "");
		if (fd >= 0)
			close(fd);
		return copy;
	}
	identity_from(id, &st);
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		snprintf(why, why_size, "%s: %s; fetch the database again", path,
			 S_ISREG(st.st_mode) ? "the file is empty" : "not a file");
		close(fd);
		return FL_EFORMAT;
	}
	copy = snapshot(fd, dir);
	if (copy < 0) {
		snprintf(why, why_size,
			 "%s: no room for a private copy of %lld bytes in %s, nor in memory: %s",
			 path, (long long)st.st_size, dir ? dir : "/var/tmp", strerror(-copy));
	} else if (fstat(fd, &st) ||
		   (identity_from(&after, &st), !file_identity_equal(id, &after))) {
		snprintf(why, why_size, "%s: it is being written; taken once it rests", path);
		close(copy);
		copy = -EAGAIN;
	}
	if (copy < 0)
		close(fd);
	else
		*original = fd;
	return copy;
}

static int map_snapshot(struct database *db, int fd, const char *path, char *why, size_t why_size)
{
	char name[64];
	int err;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	err = MMDB_open(name, MMDB_MODE_MMAP, &db->mmdb);
	if (err) {
		db->mmdb.file_content = NULL;
		if (err == MMDB_FILE_OPEN_ERROR || err == MMDB_IO_ERROR ||
		    err == MMDB_OUT_OF_MEMORY_ERROR) {
			snprintf(why, why_size, "%s: cannot map its copy: %s (is /proc mounted?)",
				 path, MMDB_strerror(err));
			return -EIO;
		}
		snprintf(why, why_size,
			 "%s: not a MaxMind DB (.mmdb) file, or not all of it: %s; fetch it again "
			 "and rename it into place",
			 path, MMDB_strerror(err));
		return FL_EFORMAT;
	}
	db->map = db->mmdb.file_content;
	db->map_size = (size_t)db->mmdb.file_size;
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

/* A record of the sample: it must decode whole, and tells where things are. */
static int check_record(struct database *db, size_t offset)
{
	size_t at = offset;
	struct mmdb_value v;
	int err;

	err = mmdb_value_read(&db->data, at, &v);
	if (err)
		return err;
	err = mmdb_values_skip(&db->data, &at, 1);
	return err ? err : layout_probe(&db->layout, &db->data, offset, &db->places);
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

/* Records below the number of nodes are nodes, but never the first one; that number is "nothing
 * known"; above are, after a gap as long as the separator, offsets of data. Without branches: they
 * would be guessed wrong half the time, and cost more than all else. */
static inline uint32_t bad_link(uint32_t record, uint32_t n, uint64_t data_size)
{
	return (record == 0) | (record - n - 1 < SEPARATOR_BYTES - 1) |
	       (record >= n + SEPARATOR_BYTES + data_size);
}

static inline uint32_t bad_links(const uint8_t *at, const uint8_t *end, unsigned int bits,
				 uint32_t n, uint64_t data_size)
{
	uint32_t record[2], bad = 0;

	for (; at < end; at += bits / 4) {
		read_node(at, bits, record);
		bad |= bad_link(record[0], n, data_size) | bad_link(record[1], n, data_size);
	}
	return bad;
}

/* The first node with data, of the nodes from `at` to `end`: decode what it leads to. */
static int check_sample(struct database *db, const uint8_t *at, const uint8_t *end)
{
	unsigned int bits = db->mmdb.metadata.record_size, side;
	uint32_t n = db->mmdb.metadata.node_count, record[2];
	int err = 0;

	for (; at < end; at += bits / 4) {
		read_node(at, bits, record);
		if (record[0] <= n && record[1] <= n)
			continue;
		for (side = 0; side < 2 && !err; side++)
			if (record[side] > n)
				err = check_record(db, record[side] - n - SEPARATOR_BYTES);
		return err;
	}
	return 0;
}

static int check_tree(struct database *db, const char *path, char *why, size_t why_size)
{
	uint32_t n = db->mmdb.metadata.node_count, i, step = n / SAMPLE_RECORDS + 1, bad;
	unsigned int bits = db->mmdb.metadata.record_size;
	size_t size = db->data.size;

	if (bits != 24 && bits != 28 && bits != 32)
		return refuse(path, "its search tree cannot be read", why, why_size);
	for (i = 0; i < n; i += step) {
		const uint8_t *at = db->map + (size_t)i * (bits / 4);
		const uint8_t *end = at + (size_t)(n - i < step ? n - i : step) * (bits / 4);

		bad = bits == 24   ? bad_links(at, end, 24, n, size)
		      : bits == 28 ? bad_links(at, end, 28, n, size)
				   : bad_links(at, end, 32, n, size);
		if (bad)
			return refuse(path, "a link in the search tree leads nowhere", why,
				      why_size);
		if (check_sample(db, at, end))
			return refuse(path, "a record cannot be decoded", why, why_size);
	}
	return 0;
}

static int verify(struct database *db, const char *path, const char *language, char *why,
		  size_t why_size)
{
	const MMDB_metadata_s *m = &db->mmdb.metadata;
	uint64_t tree = (uint64_t)m->node_count * m->record_size / 4;
	int err;

	if (m->binary_format_major_version != 2 || (m->ip_version != 4 && m->ip_version != 6)) {
		snprintf(
		    why, why_size,
		    "%s: MaxMind DB format %u with IPv%u addresses is not known (want 2, 4 or 6)",
		    path, m->binary_format_major_version, m->ip_version);
		return FL_EFORMAT;
	}
	if (!m->node_count || tree + SEPARATOR_BYTES >= db->map_size)
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
			 path, m->database_type ? m->database_type : "");
		return FL_EFORMAT;
	}
	return 0;
}

int database_open(struct database **out, const char *path, const char *language, const char *dir,
		  struct file_identity *id, char *why, size_t why_size)
{
	struct database *db;
	int err, fd, original = -1;

	*out = NULL;
	fd = snapshot_path(path, dir, id, &original, why, why_size);
	if (fd < 0)
		return fd;
	db = calloc(1, sizeof(*db));
	if (!db) {
		close(fd);
		close(original);
		snprintf(why, why_size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	db->original = original;
	err = map_snapshot(db, fd, path, why, why_size);
	close(fd);
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
	if (db->mmdb.file_content)
		MMDB_close(&db->mmdb);
	close(db->original);
	free(db);
}

/* ---- lookups */

/* IPv4 inside NAT64 (64:ff9b::/96, RFC 6052) and 6to4 (2002::/16, RFC 3056) is looked up as that.
 */
static const uint8_t *v4_of(const struct ip_addr *a)
{
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};

	if (addr_is_v4(a) || !memcmp(a->b, nat64, sizeof(nat64)))
		return a->b + 12;
	return a->b[0] == 0x20 && a->b[1] == 0x02 ? a->b + 2 : NULL;
}

int database_lookup(const struct database *db, const struct ip_addr *a, unsigned int wanted,
		    struct geo_record *r)
{
	const uint8_t *v4 = v4_of(a);
	MMDB_lookup_result_s found;
	struct geo_record copy;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} sa;
	int err;

	if (!(db->layout.fields & wanted & ~r->has) || (!v4 && db->mmdb.metadata.ip_version == 4))
		return 0;
	memset(&sa, 0, sizeof(sa));
	if (v4) {
		sa.in.sin_family = AF_INET;
		memcpy(&sa.in.sin_addr, v4, 4);
	} else {
		sa.in6.sin6_family = AF_INET6;
		memcpy(&sa.in6.sin6_addr, a->b, 16);
	}
	found = MMDB_lookup_sockaddr(&db->mmdb, &sa.sa, &err);
	if (err)
		return FL_EMALFORMED;
	if (!found.found_entry)
		return 0;
	copy = *r;
	err = layout_read(&db->layout, &db->data, found.entry.offset, wanted, &copy);
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
	return db->mmdb.metadata.database_type ? db->mmdb.metadata.database_type : "";
}

uint64_t database_built_s(const struct database *db)
{
	return db->mmdb.metadata.build_epoch;
}
