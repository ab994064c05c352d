/* spool.c - a spool at work: append, next, done, and its limits. spool_open.c reads what is found.
 *
 * Files of the directory: `lock`, which the collector holds with flock(2) and whose text is its
 * process number, and segments 0000000000000001.seg, ... with ascending decimal numbers. A segment
 * is a header and then records without space between them. Integers are little endian, CRC is
 * zlib's CRC-32 over the bytes before it from the beginning of the same part.
 *
 *	header of a segment                         header of a record
 *	 0  8  "FLSPOOL\n"                            0  4  f1 52 ec 0d
 *	 8  4  version: 1                             4  4  flags: 1 compressed (zlib), 2 gap
 *	12  4  0                                      8  4  bytes stored behind this header
 *	16  8  number, as in the file's name         12  4  bytes of the lines (compressed: more)
 *	24  8  points appended before it             16  4  points: lines, each with its newline
 *	32  4  0                                     20  4  CRC of what is stored
 *	36  4  CRC                                   24  8  points appended before it
 *	40 24  0                                     32  8  when it was appended: ns since the epoch
 *	                                             40  8  number of the segment
 *	trailer of a record                          48  8  offset of this header in the file
 *	 0  4  f1 54 ec 0d                           56  4  CRC
 *	 4  8  number of the segment                 60  1  'D': done; else it waits ('W')
 *	12  8  offset of the record's header         61  3  0
 *	20  8  points appended, with the record's
 *	28  4  CRC
 *
 * A record is a header, the stored bytes and a trailer. Only the state is ever written again. A gap
 * is a header that was written over a damaged stretch whose points are counted as lost; its stored
 * bytes and trailer mean nothing. A header that is not at its own offset in its own segment is
 * none: so old blocks of the disk that a crash brought back, or bytes inside of lines, are never
 * taken for one. Other versions keep bytes 0 to 39 of the segment's header.
 */
#include "output/spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A segment is at most this part of max_bytes, for it goes as a whole. */
enum { SEGMENTS_LEAST = 8, SEGMENT_MODE = 0640, NEW_TRIES = 100 };

/* --- Segments --------------------------------------------------------------------------------- */

void spool_path(const struct spool *s, uint64_t number, char path[SPOOL_PATH_SIZE])
{
	snprintf(path, SPOOL_PATH_SIZE, "%s/%016" PRIu64 ".seg", s->dir, number);
}

int spool_open_segment(const struct spool *s, uint64_t number, bool *writable)
{
	/* O_NONBLOCK: somebody may have put a pipe there */
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	char path[SPOOL_PATH_SIZE];
	int fd;

	spool_path(s, number, path);
	*writable = true;
	fd = open(path, O_RDWR | flags);
	if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		*writable = false;
		fd = open(path, O_RDONLY | flags);
	}
	return fd < 0 ? -errno : fd;
}

static struct spool_segment *last_segment(const struct spool *s)
{
	return s->count ? &s->segments[s->count - 1] : NULL;
}

struct spool_segment *spool_add_segment(struct spool *s, uint64_t number)
{
	struct spool_segment *seg;

	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;

		seg = realloc(s->segments, room * sizeof(*seg));
		if (!seg)
			return NULL;
		s->segments = seg;
		s->room = room;
	}
	seg = &s->segments[s->count++];
	memset(seg, 0, sizeof(*seg));
	seg->number = number;
	return seg;
}

static void close_read(struct spool *s)
{
	if (s->read_fd >= 0)
		close(s->read_fd);
	s->read_fd = -1;
	s->read_number = 0;
	s->at_head = false;
	s->loaded = false;
}

static void close_write(struct spool *s)
{
	struct spool_segment *seg = last_segment(s);

	if (s->write_fd < 0)
		return;
	close(s->write_fd);
	s->write_fd = -1;
	seg->closed = true;
}

/* Take segment i out of the list; the file is another matter. */
static void forget(struct spool *s, size_t i)
{
	struct spool_segment *seg = &s->segments[i];

	if (i + 1 == s->count)
		close_write(s);
	if (s->read_number == seg->number)
		close_read(s);
	s->stats.bytes -= seg->bytes;
	s->count--;
	memmove(seg, seg + 1, (s->count - i) * sizeof(*seg));
}

int spool_drop(struct spool *s, size_t i)
{
	char path[SPOOL_PATH_SIZE];
	int err;

	spool_path(s, s->segments[i].number, path);
	if (unlink(path) && errno != ENOENT && errno != ENOTDIR) {
		err = -errno;
		s->stats.errors++;
		s->segments[i].closed = true;
		if (i + 1 == s->count)
			close_write(s);
		if (s->read_number == s->segments[i].number)
			close_read(s);
		return err;
	}
	forget(s, i);
	return 0;
}

/* --- Counting --------------------------------------------------------------------------------- */

/* All that is left of seg is lost. */
static void lose_rest(struct spool *s, struct spool_segment *seg)
{
	s->stats.points_lost += seg->points;
	s->stats.points -= seg->points;
	s->stats.records -= seg->records;
	seg->points = 0;
	seg->records = 0;
}

/* One record of seg is over, with so many points; gives how many of these the segment had. Where
 * damage made the two differ, what spool_open() and spool_append() counted stands. */
static uint64_t take(struct spool *s, struct spool_segment *seg, uint64_t points)
{
	if (points > seg->points)
		points = seg->points;
	seg->points -= points;
	s->stats.points -= points;
	if (seg->records) {
		seg->records--;
		s->stats.records--;
	}
	if (!seg->records)
		lose_rest(s, seg);
	return points;
}

static void lose_damaged(struct spool *s, struct spool_segment *seg, uint64_t points)
{
	s->stats.points_lost += take(s, seg, points);
	s->stats.records_damaged++;
}

/* --- Limits ----------------------------------------------------------------------------------- */

static int expire_segment(struct spool *s, size_t i)
{
	s->stats.points_expired += s->segments[i].points;
	lose_rest(s, &s->segments[i]);
	return spool_drop(s, i);
}

int spool_trim(struct spool *s, uint64_t need)
{
	int err = 0;

	while (s->count && !err && s->stats.bytes + need > s->max_bytes)
		err = expire_segment(s, 0);
	return err;
}

static bool too_old(const struct spool *s, const struct spool_segment *seg, uint64_t now_ns)
{
	return s->max_age_ns && now_ns > seg->newest_ns && now_ns - seg->newest_ns > s->max_age_ns;
}

void spool_expire(struct spool *s, uint64_t now_ns)
{
	size_t i = 0;

	while (i < s->count) {
		struct spool_segment *seg = &s->segments[i];
		bool gone = false;

		if (!seg->records)
			gone = !spool_drop(s, i);
		else if (too_old(s, seg, now_ns))
			gone = !expire_segment(s, i);
		if (!gone)
			i++;
	}
	(void)spool_settle(s);
}

void spool_change(struct spool *s, uint64_t max_bytes, uint64_t max_age_ns)
{
	s->max_bytes = max_bytes;
	s->max_age_ns = max_age_ns;
	if (!spool_trim(s, 0))
		(void)spool_settle(s);
}

/* --- Appending -------------------------------------------------------------------------------- */

static uint64_t segment_most(const struct spool *s)
{
	uint64_t most = s->max_bytes / SEGMENTS_LEAST;

	return most < s->segment_bytes ? most : s->segment_bytes;
}

/* Is the file behind fd still the segment's, and as long as it was left? */
static bool is_whole(int fd, const struct spool_segment *seg)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_nlink && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == seg->bytes;
}

/* Go on in the last segment, where it has room for so many bytes more. */
static void use_last(struct spool *s, uint64_t need)
{
	struct spool_segment *seg = last_segment(s);
	bool writable;

	if (!seg || seg->closed)
		return;
	if (seg->bytes + need > segment_most(s)) {
		close_write(s);
		seg->closed = true;
		return;
	}
	if (s->write_fd < 0) {
		s->write_fd = spool_open_segment(s, seg->number, &writable);
		if (s->write_fd < 0 || !writable)
			seg->closed = true;
	}
	/* removed or cut under us: what is appended to it would be lost */
	if (s->write_fd >= 0 && (seg->closed || !is_whole(s->write_fd, seg)))
		close_write(s);
}

/* The directory may have been removed, with the lock: then both are made anew. */
static int check_lock(struct spool *s)
{
	struct stat st;
	long who;

	if (s->lock_fd >= 0 && !fstat(s->lock_fd, &st) && st.st_nlink)
		return 0;
	return spool_lock(s, &who);
}

/* A file for the next segment. The descriptor, or -errno. */
static int create_segment(struct spool *s, char path[SPOOL_PATH_SIZE])
{
	int fd, tries;

	for (tries = 0; tries < NEW_TRIES; tries++) {
		if (s->next_number > SPOOL_NUMBER_MOST)
			return -EOVERFLOW;
		spool_path(s, s->next_number, path);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, SEGMENT_MODE);
		if (fd >= 0)
			return fd;
		if (errno == EEXIST)
			s->next_number++; /* not ours */
		else if (errno != EINTR)
			return -errno;
	}
	return -EEXIST;
}

/* A new segment; nothing is written to it yet. */
static int begin_segment(struct spool *s)
{
	struct spool_segment *seg;
	char path[SPOOL_PATH_SIZE];
	int err = check_lock(s), fd;
	long who;

	if (err)
		return err;
	fd = create_segment(s, path);
	if (fd == -ENOENT) {
		/* the directory was moved away, with the lock */
		err = spool_lock(s, &who);
		fd = err ? err : create_segment(s, path);
	}
	if (fd < 0)
		return fd;
	seg = spool_add_segment(s, s->next_number);
	if (!seg) {
		unlink(path);
		close(fd);
		return -ENOMEM;
	}
	seg->start = s->next_before;
	seg->start_known = true;
	s->next_number++;
	s->write_fd = fd;
	return 0;
}

/* What was packed, to the end of the last segment, in one write. */
static int write_record(struct spool *s, struct spool_head *h)
{
	struct spool_segment *seg = last_segment(s);
	const uint8_t *from = s->codec.disk;
	uint64_t at = seg->bytes, size = spool_record_size(h->disk);
	int err;

	h->segment = seg->number;
	h->offset = at ? at : SPOOL_SEGMENT_HEADER;
	h->before = s->next_before;
	spool_pack_finish(&s->codec, h);
	if (at)
		from += SPOOL_SEGMENT_HEADER;
	else
		size += SPOOL_SEGMENT_HEADER;
	err = spool_pwrite(s->write_fd, from, (size_t)size, at);
	if (!err) {
		seg->bytes += size;
		s->stats.bytes += size;
	} else if (!at) {
		(void)spool_drop(s, s->count - 1);
	} else if (ftruncate(s->write_fd, (off_t)at)) {
		/* a torn record stays: nothing can follow it */
		close_write(s);
	}
	return err;
}

/* This file takes no more, but another one may: a limit on its size, a bad place of the disk. */
static bool another_file_helps(int err)
{
	return err == -EFBIG || err == -EIO;
}

static int append(struct spool *s, const struct parcel *p, struct spool_head *h)
{
	uint64_t need;
	bool fresh;
	int err = spool_pack(&s->codec, p, h);

	if (err)
		return err;
	need = spool_record_size(h->disk);
	if (SPOOL_SEGMENT_HEADER + need > s->max_bytes)
		return -EFBIG;
	err = spool_trim(s, SPOOL_SEGMENT_HEADER + need);
	if (err)
		return err;
	use_last(s, need);
	do {
		fresh = s->write_fd < 0;
		if (fresh)
			err = begin_segment(s);
		if (err)
			return err;
		err = write_record(s, h);
		if (another_file_helps(err))
			close_write(s);
	} while (!fresh && another_file_helps(err));
	return err;
}

int spool_append(struct spool *s, const struct parcel *p, uint64_t now_ns, struct spool_mark *mark)
{
	struct spool_head h = {.appended_ns = now_ns};
	struct spool_segment *seg;
	int err = append(s, p, &h);

	memset(mark, 0, sizeof(*mark));
	if (err) {
		s->stats.errors++;
		(void)spool_settle(s); /* what was trimmed for it may have been the oldest */
		return err;
	}
	seg = last_segment(s);
	seg->points += h.points;
	seg->records++;
	seg->unsynced = true;
	if (now_ns > seg->newest_ns)
		seg->newest_ns = now_ns;
	s->next_before += h.points;
	s->stats.points += h.points;
	s->stats.points_appended += h.points;
	if (!s->stats.records++)
		s->stats.oldest_ns = now_ns;
	else if (!s->at_head)
		(void)spool_settle(s);
	mark->segment = h.segment;
	mark->offset = h.offset;
	return 0;
}

int spool_sync(struct spool *s)
{
	int err = 0, fd;
	bool writable;
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct spool_segment *seg = &s->segments[i];
		bool last = i + 1 == s->count && s->write_fd >= 0;

		if (!seg->unsynced)
			continue;
		fd = last ? s->write_fd : spool_open_segment(s, seg->number, &writable);
		seg->unsynced = fd < 0 || fdatasync(fd);
		if (seg->unsynced) {
			err = fd < 0 ? fd : -errno;
			s->stats.errors++;
		}
		if (fd >= 0 && !last)
			close(fd);
	}
	return err;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Not the segment's fault: another time it can be opened or read. */
static bool passes(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EINTR;
}

/* Open the oldest segment that has records. 0; 1: it is lost; or -errno. */
static int open_read(struct spool *s, size_t i)
{
	struct spool_segment *seg = &s->segments[i];
	bool writable;
	int fd;

	if (s->read_number == seg->number) {
		s->walk.size = seg->bytes; /* more may have been appended */
		return 0;
	}
	close_read(s);
	fd = spool_open_segment(s, seg->number, &writable);
	if (fd < 0) {
		s->stats.errors++;
		if (passes(fd))
			return fd;
		s->stats.records_damaged += seg->records;
		lose_rest(s, seg);
		forget(s, i); /* whoever may read it again finds it there */
		return 1;
	}
	s->read_fd = fd;
	s->read_number = seg->number;
	spool_walk_begin(&s->walk, fd, seg->number, seg->bytes);
	s->walk.before = seg->start;
	s->walk.before_known = seg->start_known;
	return 0;
}

/* One step in segment i. */
static void step(struct spool *s, size_t i)
{
	struct spool_segment *seg = &s->segments[i];
	struct spool_item item;

	switch (spool_walk_next(&s->walk, &item)) {
	case SPOOL_FOUND_RECORD:
		if (item.head.done)
			return;
		s->head = item.head;
		s->at_head = true;
		s->loaded = false;
		s->stats.oldest_ns = item.head.appended_ns;
		return;
	case SPOOL_FOUND_DAMAGED:
		if (!item.done && !seg->unmended)
			lose_damaged(s, seg, item.points);
		(void)spool_mend(&s->walk, &item);
		break;
	case SPOOL_FOUND_ERROR:
		s->stats.errors++;
		/* fall through */
	default:
		s->stats.records_damaged += seg->records;
		lose_rest(s, seg);
		break;
	}
	if (!seg->records)
		(void)spool_drop(s, i);
}

int spool_settle(struct spool *s)
{
	size_t i;
	int err;

	while (!s->at_head) {
		for (i = 0; i < s->count && !s->segments[i].records; i++)
			;
		if (i == s->count) {
			s->stats.oldest_ns = 0;
			return 0;
		}
		err = open_read(s, i);
		if (err < 0)
			return err;
		if (!err)
			step(s, i);
	}
	return 0;
}

static size_t find_segment(const struct spool *s, uint64_t number)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->segments[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->segments[low].number == number ? low : s->count;
}

/* The record that the spool stands at is damaged. */
static void pass_over(struct spool *s)
{
	size_t i = find_segment(s, s->read_number);
	struct spool_segment *seg = &s->segments[i];

	lose_damaged(s, seg, s->head.points);
	if (spool_mark_done(s->read_fd, s->head.offset))
		s->stats.errors++; /* it is counted again in the next run */
	s->at_head = false;
	if (!seg->records)
		(void)spool_drop(s, i);
}

int spool_next(struct spool *s, uint64_t now_ns, struct spool_record *r)
{
	int err;

	memset(r, 0, sizeof(*r));
	while (s->count && s->segments[0].records && too_old(s, &s->segments[0], now_ns) &&
	       !expire_segment(s, 0))
		;
	while (!spool_settle(s) && s->at_head) {
		err = s->loaded ? 0 : spool_unpack(&s->codec, s->read_fd, &s->head);
		if (!err) {
			s->loaded = true;
			r->mark.segment = s->head.segment;
			r->mark.offset = s->head.offset;
			r->parcel.bytes = s->codec.lines;
			r->parcel.size = s->head.lines;
			r->parcel.points = s->head.points;
			r->appended_ns = s->head.appended_ns;
			return 1;
		}
		if (err != FL_EMALFORMED)
			s->stats.errors++;
		if (passes(err))
			return 0;
		pass_over(s);
	}
	return 0;
}

/* The header of a record that is not the oldest and not done, and a descriptor of its segment. */
static int open_mark(struct spool *s, size_t i, const struct spool_mark *mark, bool *own,
		     struct spool_head *h)
{
	const struct spool_segment *seg = &s->segments[i];
	uint8_t header[SPOOL_RECORD_HEADER];
	bool reading = s->read_number == seg->number, writable;
	int fd;

	*own = false;
	/* what the way has passed is done, even if that could not be written */
	if (reading && mark->offset < (s->at_head ? s->head.offset : s->walk.at))
		return -ENOENT;
	if (reading)
		fd = s->read_fd;
	else if (i + 1 == s->count && s->write_fd >= 0)
		fd = s->write_fd;
	else
		fd = spool_open_segment(s, seg->number, &writable);
	*own = fd >= 0 && fd != s->read_fd && fd != s->write_fd;
	if (fd >= 0 && (spool_pread(fd, header, sizeof(header), mark->offset) ||
			!spool_head_get(header, mark->segment, mark->offset, h) || h->done)) {
		if (*own)
			close(fd);
		return -ENOENT;
	}
	return fd;
}

void spool_done(struct spool *s, const struct spool_mark *mark, uint32_t delivered, uint32_t lost)
{
	size_t i = find_segment(s, mark->segment);
	struct spool_head h = s->head;
	bool own = false, oldest;
	int fd = s->read_fd;
	uint64_t points;

	(void)lost; /* what is not delivered */
	if (i == s->count || !s->segments[i].records)
		return;
	oldest = s->at_head && h.segment == mark->segment && h.offset == mark->offset;
	if (!oldest)
		fd = open_mark(s, i, mark, &own, &h);
	if (fd < 0)
		return;
	if (spool_mark_done(fd, h.offset)) {
		s->stats.errors++;
		/* The oldest is behind the way then. Another one waits on, and is given out once
		 * more: a backend takes the same lines twice. */
		if (!oldest)
			goto out;
	}
	points = take(s, &s->segments[i], h.points);
	if (delivered > points)
		delivered = (uint32_t)points;
	s->stats.points_delivered += delivered;
	s->stats.points_lost += points - delivered;
	if (oldest)
		s->at_head = false;
	if (!s->segments[i].records)
		(void)spool_drop(s, i);
	(void)spool_settle(s);
out:
	if (own)
		close(fd);
}

const struct spool_stats *spool_stats(const struct spool *s)
{
	return &s->stats;
}
