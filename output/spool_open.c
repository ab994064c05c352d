/* spool_open.c - what a spool finds when it is opened: the lock, the segments, and what a crash, a
 * full disk or a power cut has left of them.
 */
#include "output/spool_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DIR_MODE = 0750,
	LOCK_MODE = 0640,
	LAST_HEADS = 16, /* records whose lines are checked at once, if need be */
};

/* --- The directory and its lock --------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int make_directory(const char *dir)
{
	char path[SPOOL_PATH_SIZE];
	size_t len = strlen(dir), i;
	int err;

	if (is_directory(dir))
		return 0;
	memcpy(path, dir, len + 1); /* spool_open() has looked at its length */
	for (i = 1; i <= len; i++) {
		if (path[i] && path[i] != '/')
			continue;
		path[i] = 0;
		err = mkdir(path, DIR_MODE) ? errno : 0;
		if (err && err != EEXIST && !is_directory(path))
			return -err;
		path[i] = dir[i];
	}
	return is_directory(dir) ? 0 : -ENOTDIR;
}

/* Who holds the lock wrote its process number there. */
static long read_owner(int fd)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long who;

	if (n <= 0)
		return 0;
	text[n] = 0;
	who = strtol(text, NULL, 10);
	return who > 0 ? who : 0;
}

static void write_owner(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	/* Only for people: a full disk does not matter. */
	if (ftruncate(fd, 0) || spool_pwrite(fd, text, (size_t)n, 0))
		return;
}

int spool_lock(struct spool *s, long *who)
{
	char path[SPOOL_PATH_SIZE];
	int err = make_directory(s->dir), fd;

	*who = 0;
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/lock", s->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, LOCK_MODE);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EINTR)
			continue;
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		*who = read_owner(fd);
		close(fd);
		return err;
	}
	write_owner(fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = fd;
	return 0;
}

/* --- A segment that is found ------------------------------------------------------------------ */

struct scan {
	struct spool *s;
	uint64_t *numbers;
	size_t count, room;
	/* the segment before this one */
	uint64_t number, end; /* end: points up to its end; number 0: there is none */
	bool tail;            /* it was cut there ... */
	uint64_t tail_points; /* ... and lost so many points, as far as its header tells */
	/* to be told */
	bool at_least; /* more points are lost than could be counted */
	uint64_t foreign, foreign_first;
	uint64_t unreadable, unreadable_first;
	int unreadable_err;
};

/* A segment on its way in. */
struct load {
	struct spool_segment *seg;
	struct spool_walk walk;
	bool writable;
	uint64_t start; /* points before its first record */
	size_t heads;   /* that wait, of the last ones: */
	struct spool_head last[LAST_HEADS];
};

/* Note at the end of a segment that so many points are missing there: they are counted once. */
static void note_missing(struct spool *s, struct spool_segment *seg, uint64_t before,
			 uint64_t points)
{
	struct spool_head h = {.flags = SPOOL_GAP, .segment = seg->number, .offset = seg->bytes};
	uint8_t record[SPOOL_RECORD_HEADER + SPOOL_RECORD_TRAILER];
	bool writable;
	int fd;

	if (points > UINT32_MAX)
		return;
	h.points = (uint32_t)points;
	h.before = before;
	h.done = true;
	spool_head_put(record, &h);
	spool_trailer_put(record + SPOOL_RECORD_HEADER, &h);
	fd = spool_open_segment(s, seg->number, &writable);
	if (fd < 0)
		return;
	if (!spool_pwrite(fd, record, sizeof(record), seg->bytes)) {
		seg->bytes += sizeof(record);
		s->stats.bytes += sizeof(record);
	}
	close(fd);
}

/* What the end of the segment before has lost: this one, if it followed at once, knows; else as far
 * as a torn record's header tells. */
static void settle_tail(struct scan *scan, uint64_t number, const uint64_t *start)
{
	struct spool *s = scan->s;
	struct spool_segment *seg = s->count ? &s->segments[s->count - 1] : NULL;

	if (start && scan->number && number == scan->number + 1 && *start >= scan->end) {
		scan->tail_points = *start - scan->end;
		if (scan->tail_points && seg && seg->number == scan->number)
			note_missing(s, seg, scan->end, scan->tail_points);
		if (scan->tail_points && !scan->tail)
			s->stats.tails_cut++;
		scan->tail = true;
	}
	if (scan->tail)
		s->stats.points_lost += scan->tail_points;
	scan->tail = false;
}

/* Cut a segment off. Where that does not go, nothing is ever appended to it. */
static bool cut(struct scan *scan, struct load *l, uint64_t at)
{
	if (l->writable && !ftruncate(l->walk.fd, (off_t)at))
		return true;
	l->seg->closed = true;
	scan->s->stats.errors++;
	return false;
}

static void found_record(struct load *l, const struct spool_head *h)
{
	struct spool_segment *seg = l->seg;

	if (h->appended_ns > seg->newest_ns)
		seg->newest_ns = h->appended_ns;
	if (h->done)
		return;
	seg->records++;
	seg->points += h->points;
	l->last[l->heads++ % LAST_HEADS] = *h;
}

static void found_damage(struct scan *scan, struct load *l, const struct spool_item *item,
			 bool known)
{
	if (!item->done) {
		scan->s->stats.records_damaged++;
		scan->s->stats.points_lost += item->points;
		scan->at_least |= !known;
	}
	if (!l->writable || !spool_mend(&l->walk, item))
		l->seg->unmended = true;
}

/* All headers of a segment. */
static void walk(struct scan *scan, struct load *l)
{
	enum spool_found found;
	struct spool_item item;
	bool known, first = true;

	do {
		known = l->walk.before_known;
		found = spool_walk_next(&l->walk, &item);
		if (first && found == SPOOL_FOUND_RECORD)
			l->start = item.head.before;
		else if (first)
			l->start = item.before;
		first = false;
		if (found == SPOOL_FOUND_RECORD) {
			found_record(l, &item.head);
		} else if (found == SPOOL_FOUND_DAMAGED) {
			found_damage(scan, l, &item, known);
		} else if (found == SPOOL_FOUND_TAIL) {
			scan->tail = true;
			scan->tail_points = item.done ? 0 : item.points;
			scan->s->stats.tails_cut++;
			l->seg->bytes = item.from;
			(void)cut(scan, l, item.from);
		} else if (found == SPOOL_FOUND_ERROR) {
			scan->s->stats.errors++;
			scan->s->stats.records_damaged++;
			scan->at_least = true;
			l->seg->bytes = l->walk.at;
			l->seg->closed = true;
		}
	} while (found == SPOOL_FOUND_RECORD || found == SPOOL_FOUND_DAMAGED);
}

/* After a power cut the last records may have a header, but not their lines: as a torn tail. */
static void check_last(struct scan *scan, struct load *l)
{
	struct spool_segment *seg = l->seg;
	const struct spool_head *h;
	size_t n;

	for (n = 0; l->heads && n < LAST_HEADS; n++) {
		h = &l->last[--l->heads % LAST_HEADS];
		if (spool_head_end(h) != seg->bytes ||
		    spool_unpack(&scan->s->codec, l->walk.fd, h) != FL_EMALFORMED ||
		    !cut(scan, l, h->offset))
			return; /* spool_next() passes over what is damaged */
		scan->s->stats.tails_cut++;
		seg->bytes = h->offset;
		seg->records--;
		seg->points -= h->points;
		scan->s->stats.points_lost += h->points;
		l->walk.before = h->before;
	}
}

static void load_records(struct scan *scan, struct load *l, bool last, bool head_damaged)
{
	struct spool *s = scan->s;
	uint8_t header[SPOOL_SEGMENT_HEADER];
	uint64_t end;

	walk(scan, l);
	if (last)
		check_last(scan, l);
	end = l->walk.before;
	if (head_damaged && l->writable && l->walk.before_known) {
		spool_segment_put(header, l->seg->number, l->start);
		if (spool_pwrite(l->walk.fd, header, sizeof(header), 0))
			s->stats.errors++;
	}
	if (end > s->next_before)
		s->next_before = end;
	scan->number = l->walk.before_known ? l->seg->number : 0;
	scan->end = end;
	s->stats.bytes += l->seg->bytes;
	s->stats.points += l->seg->points;
	s->stats.records += l->seg->records;
	if (!l->seg->records)
		(void)spool_drop(s, s->count - 1);
}

/* Its writer was stopped in the middle of its first write. */
static void remove_stump(struct spool *s, uint64_t number)
{
	char path[SPOOL_PATH_SIZE];

	s->stats.tails_cut++;
	spool_path(s, number, path);
	if (unlink(path))
		s->stats.errors++;
}

static int load_open(struct scan *scan, uint64_t number, int fd, bool writable, bool last)
{
	struct load l = {.writable = writable};
	uint8_t header[SPOOL_SEGMENT_HEADER];
	enum spool_segment_kind kind = SPOOL_SEGMENT_FOREIGN;
	uint64_t start = 0;
	struct stat st;
	bool adjacent;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_size < SPOOL_SEGMENT_HEADER) {
		remove_stump(scan->s, number);
		return 0;
	}
	if (S_ISREG(st.st_mode)) {
		err = spool_pread(fd, header, sizeof(header), 0);
		if (err)
			return err;
		kind = spool_segment_get(header, number, &start);
	}
	if (kind == SPOOL_SEGMENT_FOREIGN) {
		if (!scan->foreign++)
			scan->foreign_first = number;
		return 0;
	}
	adjacent = scan->number && scan->number + 1 == number && !scan->tail;
	settle_tail(scan, number, kind == SPOOL_SEGMENT_GOOD ? &start : NULL);
	l.seg = spool_add_segment(scan->s, number);
	if (!l.seg)
		return -ENOMEM;
	l.seg->bytes = (uint64_t)st.st_size;
	l.seg->closed = !writable;
	l.seg->start = kind == SPOOL_SEGMENT_GOOD ? start : scan->end;
	l.seg->start_known = kind == SPOOL_SEGMENT_GOOD || adjacent;
	spool_walk_begin(&l.walk, fd, number, l.seg->bytes);
	l.walk.before = l.seg->start;
	l.walk.before_known = l.seg->start_known;
	load_records(scan, &l, last, kind == SPOOL_SEGMENT_DAMAGED);
	return 0;
}

/* 0, or -errno where the spool cannot be opened now; a segment that cannot be read is left alone.
 */
static int load_segment(struct scan *scan, uint64_t number, bool last)
{
	bool writable;
	int fd = spool_open_segment(scan->s, number, &writable), err = fd;

	if (fd >= 0) {
		err = load_open(scan, number, fd, writable, last);
		close(fd);
	}
	if (!err || err == -ENOENT)
		return 0;
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM)
		return err;
	scan->s->stats.errors++;
	if (!scan->unreadable++) {
		scan->unreadable_first = number;
		scan->unreadable_err = err;
	}
	return 0;
}

/* --- All segments ----------------------------------------------------------------------------- */

/* "0000000000000001.seg", and nothing else. */
static bool is_segment(const char *name, uint64_t *number)
{
	int i;

	*number = 0;
	for (i = 0; i < 16; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(name[i] - '0');
	}
	return *number && !strcmp(name + 16, ".seg");
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int add_number(struct scan *scan, uint64_t number)
{
	if (scan->count == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 64;
		uint64_t *numbers = realloc(scan->numbers, room * sizeof(*numbers));

		if (!numbers)
			return -ENOMEM;
		scan->numbers = numbers;
		scan->room = room;
	}
	scan->numbers[scan->count++] = number;
	return 0;
}

static int list_segments(struct scan *scan)
{
	DIR *d = opendir(scan->s->dir);
	struct dirent *e;
	uint64_t number;
	int err = 0;

	if (!d)
		return -errno;
	errno = 0;
	while (!err && (e = readdir(d)) != NULL)
		if (is_segment(e->d_name, &number))
			err = add_number(scan, number);
	if (!err)
		err = -errno;
	closedir(d);
	if (scan->count)
		qsort(scan->numbers, scan->count, sizeof(*scan->numbers), compare_numbers);
	return err;
}

static int load(struct scan *scan)
{
	struct spool *s = scan->s;
	int err = list_segments(scan);
	size_t i;

	s->next_number = 1;
	for (i = 0; i < scan->count && !err; i++) {
		err = load_segment(scan, scan->numbers[i], i + 1 == scan->count);
		s->next_number = scan->numbers[i] + 1;
	}
	settle_tail(scan, 0, NULL);
	s->stats.points_found = s->stats.points + s->stats.points_lost;
	return err;
}

/* --- Messages --------------------------------------------------------------------------------- */

static void say(char why[SINK_WHY_SIZE], const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(char why[SINK_WHY_SIZE], const char *fmt, ...)
{
	size_t used = strlen(why);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why + used, SINK_WHY_SIZE - used, fmt, ap);
	va_end(ap);
}

static void say_refusal(const struct spool_config *c, int err, long who, char why[SINK_WHY_SIZE])
{
	why[0] = 0;
	say(why, "%.300s: ", c->dir && *c->dir ? c->dir : "the spool's directory has no name");
	switch (err) {
	case -EBUSY:
		say(why, "another flowline uses it");
		if (who)
			say(why, " (process %ld)", who);
		say(why, ": stop that one, or give this one a directory of its own");
		break;
	case -EACCES:
	case -EPERM:
		say(why,
		    "%s: user %ld, who runs flowline, must own it: "
		    "install -d -o %ld -m 0750 DIRECTORY",
		    fl_strerror(err), (long)geteuid(), (long)geteuid());
		break;
	case -EROFS:
		say(why, "%s: mount it for writing, or name a directory on another disk",
		    fl_strerror(err));
		break;
	case -ENOSPC:
	case -EDQUOT:
		say(why, "%s: make room, or name a directory on another disk", fl_strerror(err));
		break;
	case -ENOLCK:
	case -ENOSYS:
	case -EOPNOTSUPP:
		say(why, "%s: it cannot be locked: name a directory on a local disk",
		    fl_strerror(err));
		break;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		say(why, "%s: raise the limit (LimitNOFILE=, MemoryMax=)", fl_strerror(err));
		break;
	default:
		say(why, "%s: name a directory that can be made, or move away what is in its place",
		    fl_strerror(err));
	}
}

static void say_found(const struct scan *scan, char why[SINK_WHY_SIZE])
{
	const struct spool_stats *st = &scan->s->stats;
	uint64_t damaged = st->records_damaged, lost = st->points_lost - st->points_expired;
	const char *sep = ": ";

	why[0] = 0;
	if (!damaged && !st->tails_cut && !scan->foreign && !scan->unreadable)
		return;
	say(why, "%.200s", scan->s->dir);
	if (damaged || st->tails_cut) {
		say(why,
		    "%s%" PRIu64 " damaged records and %" PRIu64
		    " torn ends were left out, with %s%" PRIu64 " points",
		    sep, damaged, st->tails_cut, scan->at_least ? "at least " : "", lost);
		sep = "; ";
	}
	if (scan->foreign) {
		say(why,
		    "%s%" PRIu64 " segments are of another version of flowline, or renamed, and "
		    "left alone (%016" PRIu64 ".seg)",
		    sep, scan->foreign, scan->foreign_first);
		sep = "; ";
	}
	if (scan->unreadable)
		say(why,
		    "%s%" PRIu64 " segments cannot be read and are left alone (%016" PRIu64
		    ".seg: %s)",
		    sep, scan->unreadable, scan->unreadable_first,
		    fl_strerror(scan->unreadable_err));
}

/* --- Opening and closing ---------------------------------------------------------------------- */

static struct spool *new_spool(const struct spool_config *c)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->max_bytes = c->max_bytes;
	s->max_age_ns = c->max_age_ns;
	s->segment_bytes = c->segment_bytes;
	s->lock_fd = s->read_fd = s->write_fd = -1;
	s->dir = strdup(c->dir);
	if (s->dir)
		return s;
	free(s);
	return NULL;
}

int spool_open(struct spool **spool, const struct spool_config *c, uint64_t now_ns,
	       char why[SINK_WHY_SIZE])
{
	struct scan scan = {.s = NULL};
	struct spool *s = NULL;
	long who = 0;
	int err = 0;

	*spool = NULL;
	if (!c->dir || !*c->dir)
		err = -ENOENT;
	else if (strlen(c->dir) + 32 > SPOOL_PATH_SIZE)
		err = -ENAMETOOLONG;
	else if (!(s = new_spool(c)))
		err = -ENOMEM;
	if (!err)
		err = spool_lock(s, &who);
	if (!err) {
		scan.s = s;
		err = load(&scan);
	}
	free(scan.numbers);
	if (err) {
		say_refusal(c, err, who, why);
		spool_close(s);
		return err;
	}
	say_found(&scan, why);
	if (spool_trim(s, 0))
		s->stats.errors++;
	spool_expire(s, now_ns);
	*spool = s;
	return 0;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	if (s->write_fd >= 0)
		close(s->write_fd);
	if (s->read_fd >= 0)
		close(s->read_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	spool_codec_free(&s->codec);
	free(s->segments);
	free(s->dir);
	free(s);
}
