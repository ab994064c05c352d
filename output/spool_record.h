/* spool_record.h - the format of a spool's segment files: records, and how a parcel becomes one.
 *
 * The table is at the head of spool.c. All integers are little endian; no struct lies on bytes.
 * Lines are compressed as a zlib stream (RFC 1950), checksums are CRC-32 as in zlib.
 */
#ifndef OUTPUT_SPOOL_RECORD_H
#define OUTPUT_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

#include "common/error.h"
#include "output/sink.h"

enum {
	SPOOL_VERSION = 1,
	SPOOL_SEGMENT_HEADER = 64, /* bytes */
	SPOOL_RECORD_HEADER = 64,
	SPOOL_RECORD_TRAILER = 32,
	SPOOL_MAGIC =
	    0xf1, /* first byte of both; not in UTF-8, so never in lines stored as they are */
	SPOOL_LINES_MOST = 64 * 1024 * 1024, /* of one record */
};

enum spool_flag {
	SPOOL_DEFLATED = 1 << 0,
	SPOOL_GAP = 1 << 1, /* written over a damaged stretch: its points are counted as lost */
};

/* What a record's header says. */
struct spool_head {
	uint32_t flags;       /* enum spool_flag */
	uint32_t disk, lines; /* bytes: as stored, and of the lines */
	uint32_t points;
	uint32_t crc;         /* of what is stored */
	uint64_t before;      /* points that were appended before it */
	uint64_t appended_ns; /* since the epoch */
	uint64_t segment;     /* the file's number ... */
	uint64_t offset;      /* ... and where in it the header begins: it is valid nowhere else */
	bool done;            /* not in the checksum: written in place */
};

/* Length of a record that stores so many bytes. */
static inline uint64_t spool_record_size(uint64_t disk)
{
	return SPOOL_RECORD_HEADER + disk + SPOOL_RECORD_TRAILER;
}

static inline uint64_t spool_head_end(const struct spool_head *h)
{
	return h->offset + spool_record_size(h->disk);
}

void spool_head_put(uint8_t to[SPOOL_RECORD_HEADER], const struct spool_head *h);

/* Is this the header of a record at that place? */
bool spool_head_get(const uint8_t from[SPOOL_RECORD_HEADER], uint64_t segment, uint64_t offset,
		    struct spool_head *h);

/* The state of what is a header but for its checksum. */
bool spool_head_done(const uint8_t from[SPOOL_RECORD_HEADER]);

/* The trailer says once more how many points there were up to the record's end, so that these are
 * known where the header is damaged, too. */
void spool_trailer_put(uint8_t to[SPOOL_RECORD_TRAILER], const struct spool_head *h);
bool spool_trailer_get(const uint8_t from[SPOOL_RECORD_TRAILER], uint64_t segment, uint64_t *record,
		       uint64_t *after);

enum spool_segment_kind {
	SPOOL_SEGMENT_GOOD,
	SPOOL_SEGMENT_DAMAGED, /* its header; the records may be whole */
	SPOOL_SEGMENT_FOREIGN, /* of another version, or renamed */
};

void spool_segment_put(uint8_t to[SPOOL_SEGMENT_HEADER], uint64_t number, uint64_t before);
enum spool_segment_kind spool_segment_get(const uint8_t from[SPOOL_SEGMENT_HEADER], uint64_t number,
					  uint64_t *before);

/* Write one byte: this record is done. 0, or -errno. */
int spool_mark_done(int fd, uint64_t offset) MUST_CHECK;

/* Read or write all of it. 0, or -errno; a file that ends before: -ENODATA. */
int spool_pread(int fd, void *to, size_t size, uint64_t offset) MUST_CHECK;
int spool_pwrite(int fd, const void *from, size_t size, uint64_t offset) MUST_CHECK;

/* Buffers that grow to the greatest parcel's size, and zlib's state. Zeroed to begin with. */
struct spool_codec {
	uint8_t *disk; /* room for a segment's header, then a record */
	size_t disk_room;
	char *lines;
	size_t lines_room;
	z_stream deflate, inflate;
	bool deflate_ready, inflate_ready;
};

void spool_codec_free(struct spool_codec *c);

/* Put the parcel's lines where they belong in c->disk, behind both headers; sets flags, disk,
 * lines, points and crc. 0, -EINVAL (not so many whole lines), -EFBIG or -ENOMEM. */
int spool_pack(struct spool_codec *c, const struct parcel *p, struct spool_head *h) MUST_CHECK;

/* Write headers and trailer around them: h is complete now, before is of the segment. */
void spool_pack_finish(struct spool_codec *c, const struct spool_head *h);

/* Read a record's lines into c->lines and check all of it. 0; FL_EMALFORMED: damaged; or -errno. */
int spool_unpack(struct spool_codec *c, int fd, const struct spool_head *h) MUST_CHECK;

#endif
