/* spool_record.c - records of a spool: bytes to headers and back, lines to what is stored and back.
 *
 * Sources: zlib.h (1.2.7) for deflate(), inflate() and crc32().
 */
#include "output/spool_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STATE_WAITING = 'W',
	STATE_DONE = 'D',
	STATE_AT = 60,
	HEAD_CRC_AT = 56,
	TRAILER_CRC_AT = 28,
	SEGMENT_CRC_AT = 36,
	ROOM_LEAST = 64 * 1024,
};

static const uint8_t segment_magic[8] = "FLSPOOL\n";
static const uint8_t record_magic[4] = {SPOOL_MAGIC, 'R', 0xec, 0x0d};
static const uint8_t trailer_magic[4] = {SPOOL_MAGIC, 'T', 0xec, 0x0d};

/* --- Integers --------------------------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p + 4) << 32 | get32(p);
}

static uint32_t checksum(const void *p, size_t size)
{
	return (uint32_t)crc32(0, p, (uInt)size);
}

/* --- Headers ---------------------------------------------------------------------------------- */

void spool_head_put(uint8_t to[SPOOL_RECORD_HEADER], const struct spool_head *h)
{
	memset(to, 0, SPOOL_RECORD_HEADER);
	memcpy(to, record_magic, sizeof(record_magic));
	put32(to + 4, h->flags);
	put32(to + 8, h->disk);
	put32(to + 12, h->lines);
	put32(to + 16, h->points);
	put32(to + 20, h->crc);
	put64(to + 24, h->before);
	put64(to + 32, h->appended_ns);
	put64(to + 40, h->segment);
	put64(to + 48, h->offset);
	put32(to + HEAD_CRC_AT, checksum(to, HEAD_CRC_AT));
	to[STATE_AT] = h->done ? STATE_DONE : STATE_WAITING;
}

/* Lengths that spool_pack() may have made. The checksum alone would let a well-made file ask for
 * any amount of memory. */
static bool head_makes_sense(const struct spool_head *h)
{
	if (h->flags == SPOOL_GAP)
		return true;
	if (h->flags & ~(uint32_t)SPOOL_DEFLATED || !h->points || h->points > h->lines ||
	    h->lines > SPOOL_LINES_MOST)
		return false;
	return h->flags ? h->disk && h->disk < h->lines : h->disk == h->lines;
}

bool spool_head_done(const uint8_t from[SPOOL_RECORD_HEADER])
{
	return from[STATE_AT] == STATE_DONE;
}

bool spool_head_get(const uint8_t from[SPOOL_RECORD_HEADER], uint64_t segment, uint64_t offset,
		    struct spool_head *h)
{
	if (memcmp(from, record_magic, sizeof(record_magic)) != 0)
		return false;
	h->flags = get32(from + 4);
	h->disk = get32(from + 8);
	h->lines = get32(from + 12);
	h->points = get32(from + 16);
	h->crc = get32(from + 20);
	h->before = get64(from + 24);
	h->appended_ns = get64(from + 32);
	h->segment = get64(from + 40);
	h->offset = get64(from + 48);
	h->done = spool_head_done(from) || h->flags & SPOOL_GAP;
	return h->segment == segment && h->offset == offset && head_makes_sense(h) &&
	       get32(from + HEAD_CRC_AT) == checksum(from, HEAD_CRC_AT);
}

void spool_trailer_put(uint8_t to[SPOOL_RECORD_TRAILER], const struct spool_head *h)
{
	memcpy(to, trailer_magic, sizeof(trailer_magic));
	put64(to + 4, h->segment);
	put64(to + 12, h->offset);
	put64(to + 20, h->before + h->points);
	put32(to + TRAILER_CRC_AT, checksum(to, TRAILER_CRC_AT));
}

bool spool_trailer_get(const uint8_t from[SPOOL_RECORD_TRAILER], uint64_t segment, uint64_t *record,
		       uint64_t *after)
{
	if (memcmp(from, trailer_magic, sizeof(trailer_magic)) != 0)
		return false;
	*record = get64(from + 12);
	*after = get64(from + 20);
	return get64(from + 4) == segment &&
	       get32(from + TRAILER_CRC_AT) == checksum(from, TRAILER_CRC_AT);
}

void spool_segment_put(uint8_t to[SPOOL_SEGMENT_HEADER], uint64_t number, uint64_t before)
{
	memset(to, 0, SPOOL_SEGMENT_HEADER);
	memcpy(to, segment_magic, sizeof(segment_magic));
	put32(to + 8, SPOOL_VERSION);
	put64(to + 16, number);
	put64(to + 24, before);
	put32(to + SEGMENT_CRC_AT, checksum(to, SEGMENT_CRC_AT));
}

enum spool_segment_kind spool_segment_get(const uint8_t from[SPOOL_SEGMENT_HEADER], uint64_t number,
					  uint64_t *before)
{
	*before = 0;
	if (memcmp(from, segment_magic, sizeof(segment_magic)) != 0 ||
	    get32(from + SEGMENT_CRC_AT) != checksum(from, SEGMENT_CRC_AT))
		return SPOOL_SEGMENT_DAMAGED;
	if (get32(from + 8) != SPOOL_VERSION || get64(from + 16) != number)
		return SPOOL_SEGMENT_FOREIGN;
	*before = get64(from + 24);
	return SPOOL_SEGMENT_GOOD;
}

/* --- Files ------------------------------------------------------------------------------------ */

int spool_pread(int fd, void *to, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));
		if (n > 0)
			done += (size_t)n;
		else if (!n)
			return -ENODATA;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int spool_pwrite(int fd, const void *from, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	/* After a short write the next one says why. */
	while (done < size) {
		n = pwrite(fd, (const char *)from + done, size - done, (off_t)(offset + done));
		if (n > 0)
			done += (size_t)n;
		else if (!n)
			return -EIO;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int spool_mark_done(int fd, uint64_t offset)
{
	static const uint8_t done = STATE_DONE;

	return spool_pwrite(fd, &done, 1, offset + STATE_AT);
}

/* --- Lines ------------------------------------------------------------------------------------ */

void spool_codec_free(struct spool_codec *c)
{
	if (c->deflate_ready)
		deflateEnd(&c->deflate);
	if (c->inflate_ready)
		inflateEnd(&c->inflate);
	free(c->disk);
	free(c->lines);
	memset(c, 0, sizeof(*c));
}

/* A buffer of at least so many bytes; what was in it is gone. NULL: no memory, none is left. */
static void *grow(void *buffer, size_t *room, size_t need)
{
	if (need <= *room)
		return buffer;
	free(buffer);
	*room = need < ROOM_LEAST ? ROOM_LEAST : need;
	buffer = malloc(*room);
	if (!buffer)
		*room = 0;
	return buffer;
}

static bool are_lines(const char *p, size_t size, uint32_t points)
{
	const char *end = p + size;
	uint32_t n = 0;

	if (!size || end[-1] != '\n')
		return false;
	for (; p < end; p++, n++)
		p = memchr(p, '\n', (size_t)(end - p));
	return n == points;
}

/* To less than its size; false where that does not go: it is stored as it is then. */
static bool compress_lines(struct spool_codec *c, const struct parcel *p, uint8_t *to,
			   uint32_t *size)
{
	z_stream *z = &c->deflate;

	if (c->deflate_ready)
		c->deflate_ready = deflateReset(z) == Z_OK;
	else
		c->deflate_ready = deflateInit(z, Z_BEST_SPEED) == Z_OK;
	if (!c->deflate_ready)
		return false;
	z->next_in = (Bytef *)(uintptr_t)p->bytes; /* older zlibs have no const */
	z->avail_in = (uInt)p->size;
	z->next_out = to;
	z->avail_out = (uInt)p->size - 1;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return false;
	*size = (uint32_t)z->total_out;
	return true;
}

int spool_pack(struct spool_codec *c, const struct parcel *p, struct spool_head *h)
{
	uint8_t *to;

	if (p->size > SPOOL_LINES_MOST)
		return -EFBIG;
	if (!are_lines(p->bytes, p->size, p->points))
		return -EINVAL;
	c->disk =
	    grow(c->disk, &c->disk_room, SPOOL_SEGMENT_HEADER + (size_t)spool_record_size(p->size));
	if (!c->disk)
		return -ENOMEM;
	to = c->disk + SPOOL_SEGMENT_HEADER + SPOOL_RECORD_HEADER;
	h->lines = (uint32_t)p->size;
	h->points = p->points;
	if (compress_lines(c, p, to, &h->disk)) {
		h->flags = SPOOL_DEFLATED;
	} else {
		h->flags = 0;
		h->disk = h->lines;
		memcpy(to, p->bytes, p->size);
	}
	h->crc = checksum(to, h->disk);
	return 0;
}

void spool_pack_finish(struct spool_codec *c, const struct spool_head *h)
{
	uint8_t *record = c->disk + SPOOL_SEGMENT_HEADER;

	spool_segment_put(c->disk, h->segment, h->before);
	spool_head_put(record, h);
	spool_trailer_put(record + SPOOL_RECORD_HEADER + h->disk, h);
}

/* Into c->lines, which has room for just the lines. */
static bool inflate_lines(struct spool_codec *c, const struct spool_head *h)
{
	z_stream *z = &c->inflate;

	z->next_in = c->disk;
	z->avail_in = h->disk;
	z->next_out = (Bytef *)c->lines;
	z->avail_out = h->lines;
	return inflate(z, Z_FINISH) == Z_STREAM_END && !z->avail_in && !z->avail_out;
}

int spool_unpack(struct spool_codec *c, int fd, const struct spool_head *h)
{
	uint8_t *stored;
	int err;

	c->lines = grow(c->lines, &c->lines_room, h->lines);
	if (!c->lines)
		return -ENOMEM;
	stored = (uint8_t *)c->lines;
	if (h->flags & SPOOL_DEFLATED) {
		if (c->inflate_ready)
			c->inflate_ready = inflateReset(&c->inflate) == Z_OK;
		else
			c->inflate_ready = inflateInit(&c->inflate) == Z_OK;
		c->disk = grow(c->disk, &c->disk_room, h->disk);
		if (!c->disk || !c->inflate_ready)
			return -ENOMEM;
		stored = c->disk;
	}
	err = spool_pread(fd, stored, h->disk, h->offset + SPOOL_RECORD_HEADER);
	if (err)
		return err == -ENODATA ? FL_EMALFORMED : err;
	if (checksum(stored, h->disk) != h->crc ||
	    (h->flags & SPOOL_DEFLATED && !inflate_lines(c, h)) ||
	    !are_lines(c->lines, h->lines, h->points))
		return FL_EMALFORMED;
	return 0;
}
