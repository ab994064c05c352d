/* test_spool_open.c - output/spool_open.c: cut and damaged at every offset, killed at any moment;
 * only whole parcels come out, and what is missing is counted. */
#include "output/spool_internal.h"

#include <signal.h>
#include <sys/time.h>

#include "tests/output/spool_make.h"

enum { RECORDS = 7, FILE_MOST = 16 * 1024, ROUNDS = 60 };

struct record {
	size_t from, to; /* in its file */
	unsigned int segment;
	uint32_t points;
	bool done;
};

static struct record records[RECORDS];
static uint8_t files[3][FILE_MOST]; /* by segment number */
static size_t sizes[3];
static uint32_t waiting; /* points */

static const unsigned int lines_of[RECORDS] = {3, 1, 4, 1, 5, 2, 6};

static void read_segment(unsigned int number)
{
	FILE *f = fopen(make_segment(number), "rb");

	sizes[number] = f ? fread(files[number], 1, FILE_MOST, f) : 0;
	if (f)
		fclose(f);
}

static void write_segment(unsigned int number, const uint8_t *bytes, size_t size)
{
	FILE *f = fopen(make_segment(number), "wb");

	if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
		abort();
}

/* Records in one segment or two (the second begins with record 4), some of them done. */
static void build(bool two, unsigned int done)
{
	struct spool_mark mark[RECORDS];
	struct spool *s;
	unsigned int i;

	make_empty();
	waiting = 0;
	s = make_open();
	for (i = 0; i < RECORDS; i++) {
		if (two && i == 4) {
			spool_close(s);
			s = make_open_limits(64 << 20, 0, 1);
		}
		if (two && i == 5) {
			spool_close(s);
			s = make_open();
		}
		mark[i] = make_append(s, i, lines_of[i]);
		records[i].segment = (unsigned int)mark[i].segment;
		records[i].from = mark[i].offset;
		records[i].points = lines_of[i];
		records[i].done = done >> i & 1;
	}
	for (i = 0; i < RECORDS; i++) {
		bool last = i + 1 == RECORDS || records[i + 1].segment != records[i].segment;

		if (records[i].done)
			spool_done(s, &mark[i], lines_of[i], 0);
		else
			waiting += lines_of[i];
		read_segment(records[i].segment);
		records[i].to = last ? sizes[records[i].segment] : records[i + 1].from;
	}
	spool_close(s);
	read_segment(1);
	read_segment(2);
}

static void restore(void)
{
	make_empty();
	write_segment(1, files[1], sizes[1]);
	if (sizes[2])
		write_segment(2, files[2], sizes[2]);
}

/* What came out of a damaged spool. */
struct outcome {
	bool given[RECORDS], wrong, unbalanced;
	uint64_t found, points, lost;
};

/* Open it, close it, open it again and take out all: what is damaged is counted once. */
static struct outcome take_out(void)
{
	struct outcome out;
	struct spool *s = make_open();
	uint64_t left, lost;
	long id, before = -1;

	memset(&out, 0, sizeof(out));
	out.found = spool_stats(s)->points_found;
	out.unbalanced = !make_balanced(s);
	lost = spool_stats(s)->points_lost;
	left = spool_stats(s)->points;
	spool_close(s);
	s = make_open();
	out.wrong = spool_stats(s)->points_found != left || spool_stats(s)->points_lost;
	while ((id = make_deliver(s)) != -1) {
		out.unbalanced |= !make_balanced(s);
		if (id <= before || id >= RECORDS) {
			out.wrong = true;
			break;
		}
		out.given[id] = true;
		out.points += lines_of[id];
		before = id;
	}
	out.unbalanced |= !make_balanced(s) || spool_stats(s)->points;
	out.lost = lost + spool_stats(s)->points_lost;
	spool_close(s);
	return out;
}

/* Bytes from..to of segment `number` were damaged. */
static bool is_right(const struct outcome *out, unsigned int number, size_t from, size_t to)
{
	uint64_t back = 0;
	unsigned int i;

	for (i = 0; i < RECORDS; i++) {
		const struct record *r = &records[i];
		bool touched = r->segment == number && r->from < to && from < r->to;

		if (!touched && out->given[i] == r->done)
			return false;
		if (touched && r->done)
			back += r->points; /* its state may be damaged: it waits again */
	}
	if (out->wrong || out->unbalanced || out->found != out->points + out->lost)
		return false;
	return out->found >= waiting && out->found <= waiting + back;
}

struct damage {
	size_t bytes;
	uint8_t mask, set; /* byte = byte & mask ^ set */
	const char *what;
};

static const struct damage damages[] = {
    {1, 0xff, 0xff, "inverted"}, {1, 0xff, 0x01, "last bit"},  {1, 0xff, 0x40, "bit 6"},
    {16, 0, 0, "16 zeros"},      {16, 0, 0xff, "16 times ff"},
};

static void check_damage(unsigned int number)
{
	size_t d, at, n, to;

	for (d = 0; d < sizeof(damages) / sizeof(damages[0]); d++) {
		unsigned int failed = 0;

		for (at = 0; at < sizes[number] && failed < 3; at++) {
			uint8_t bytes[FILE_MOST];
			struct outcome out;

			restore();
			memcpy(bytes, files[number], sizes[number]);
			to = at + damages[d].bytes;
			if (to > sizes[number])
				to = sizes[number];
			for (n = at; n < to; n++)
				bytes[n] = (bytes[n] & damages[d].mask) ^ damages[d].set;
			write_segment(number, bytes, sizes[number]);
			out = take_out();
			if (is_right(&out, number, at, to))
				continue;
			failed++;
			printf(
			    "    segment %u, %s at %zu: found %ju of %u, given %ju, lost %ju%s%s\n",
			    number, damages[d].what, at, (uintmax_t)out.found, waiting,
			    (uintmax_t)out.points, (uintmax_t)out.lost, out.wrong ? ", wrong" : "",
			    out.unbalanced ? ", unbalanced" : "");
		}
		CHECK_INT(failed, 0);
	}
}

static void test_damage(void)
{
	static const unsigned int done[] = {0, 1 << 0, 1 << 2 | 1 << 5};
	size_t i;

	for (i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		build(false, done[i]);
		CHECK_INT(sizes[2], 0);
		check_damage(1);
	}
	build(true, 1 << 1);
	CHECK(sizes[2] > 0);
	check_damage(1);
	check_damage(2);
	make_remove();
}

/* Cut segment `number` to each length. */
static void check_cut(unsigned int number, bool next_tells)
{
	unsigned int failed = 0, i;
	size_t at;

	for (at = 0; at <= sizes[number] && failed < 3; at++) {
		uint64_t kept = 0, lost = 0;
		struct outcome out;
		bool right;

		restore();
		write_segment(number, files[number], at);
		out = take_out();
		right = !out.wrong && !out.unbalanced && out.found == out.points + out.lost;
		for (i = 0; i < RECORDS; i++) {
			const struct record *r = &records[i];
			bool whole = r->segment != number || r->to <= at;

			right &= out.given[i] == (whole && !r->done);
			if (r->done)
				continue;
			kept += whole ? r->points : 0;
			/* of the record that is cut its header tells, of those behind it nothing */
			if (!whole && (next_tells || at >= r->from + SPOOL_RECORD_HEADER) &&
			    (next_tells || at < r->to))
				lost += r->points;
		}
		/* where the header of the segment is cut, too, the file tells nothing at all */
		if (next_tells && at < SPOOL_SEGMENT_HEADER)
			lost = 0;
		if (right && out.points == kept && out.lost == lost)
			continue;
		failed++;
		printf("    segment %u cut at %zu: given %ju of %ju, lost %ju of %ju%s%s\n", number,
		       at, (uintmax_t)out.points, (uintmax_t)kept, (uintmax_t)out.lost,
		       (uintmax_t)lost, out.wrong ? ", wrong" : "",
		       out.unbalanced ? ", unbalanced" : "");
	}
	CHECK_INT(failed, 0);
}

static void test_cut(void)
{
	build(false, 0);
	check_cut(1, false);
	build(false, 1 << 0 | 1 << 3);
	check_cut(1, false);
	build(true, 0);
	check_cut(1, true);
	check_cut(2, false);
	make_remove();
}

/* What a spool says about it, and that it works on behind it. */
static void test_told(void)
{
	static const struct {
		size_t at;
		uint8_t size_less; /* cut */
		const char *why;
	} cases[] = {
	    {64 + 5, 0, "1 damaged records and 0 torn ends were left out, with 3 points"},
	    {0, 1, "0 damaged records and 1 torn ends were left out, with 6 points"},
	    {64 + 5, 1, "1 damaged records and 1 torn ends were left out, with 9 points"},
	};
	struct spool *s;
	size_t i;
	long id;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(false, 0);
		files[1][cases[i].at] ^= 1;
		write_segment(1, files[1], sizes[1] - cases[i].size_less);
		s = make_open();
		CHECK_MSG(strstr(make_why, cases[i].why) != NULL, "%s", make_why);
		CHECK(!strncmp(make_why, make_dir(), strlen(make_dir())));
		make_append(s, 8, 9);
		CHECK_INT(make_count(), 1);
		spool_close(s);
		s = make_open();
		CHECK_STR(make_why, "");
		CHECK_INT(spool_stats(s)->points_lost, 0);
		while ((id = make_deliver(s)) >= 0 && id != 8)
			;
		CHECK_INT(id, 8);
		CHECK(make_balanced(s));
		CHECK_INT(make_count(), 0);
		spool_close(s);
	}
	make_remove();
}

/* Files that are not its own, and segments that it does not understand, stay as they are. */
static void test_left_alone(void)
{
	static const char *const names[] = {"notes.txt", "1.seg", "0000000000000009.seg.bak",
					    "000000000000000x.seg", "0000000000000000.seg"};
	uint8_t other[SPOOL_SEGMENT_HEADER];
	struct spool *s;
	size_t i;

	build(false, 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		close(open(make_path(names[i]), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	write_segment(3, files[1], sizes[1]); /* a copy with another name */
	spool_segment_put(other, 5, 0);
	other[8] = 2; /* a version to come, with its own checksum */
	other[36] = other[37] = other[38] = other[39] = 0;
	for (i = 0; i < 4; i++)
		other[36 + i] = (uint8_t)(crc32(0, other, 36) >> 8 * i);
	write_segment(5, other, sizeof(other));
	CHECK(!symlink("/etc/passwd", make_segment(7)));
	CHECK(!mkfifo(make_segment(8), 0600));
	s = make_open_limits(64 << 20, 0, 1);
	CHECK_MSG(strstr(make_why, ": 3 segments are of another version of flowline, or renamed, "
				   "and left alone (0000000000000003.seg); 1 segments cannot be "
				   "read and are left alone (0000000000000007.seg: ") != NULL,
		  "%s", make_why);
	CHECK_INT(spool_stats(s)->points, waiting);
	make_append(s, RECORDS, 1); /* behind all of them */
	CHECK(!access(make_segment(9), F_OK));
	while (make_deliver(s) >= 0)
		;
	CHECK(make_balanced(s));
	spool_close(s);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(!access(make_path(names[i]), F_OK));
	CHECK(!access(make_segment(3), F_OK) && !access(make_segment(5), F_OK));
	CHECK(access(make_segment(1), F_OK));
	make_remove();
}

/* After a power cut a file may have its length, but zeros for bytes. */
static void test_zeros(void)
{
	static uint8_t bytes[FILE_MOST];
	struct spool *s;
	size_t at;

	build(true, 0);
	memset(bytes, 0, sizeof(bytes));
	write_segment(2, bytes, sizes[2]);
	s = make_open();
	CHECK_INT(spool_stats(s)->points, 3 + 1 + 4 + 1);
	CHECK_INT(spool_stats(s)->tails_cut, 1);
	CHECK_INT(make_count(), 1);
	spool_close(s);
	/* the header is there, and the lines are not: cut at once */
	build(false, 0);
	at = records[RECORDS - 2].from + SPOOL_RECORD_HEADER;
	memset(files[1] + at, 0, records[RECORDS - 2].to - at - SPOOL_RECORD_TRAILER);
	at = records[RECORDS - 1].from + SPOOL_RECORD_HEADER;
	memset(files[1] + at, 0, sizes[1] - at);
	restore();
	s = make_open();
	CHECK_INT(spool_stats(s)->points, waiting - 6 - 2);
	CHECK_INT(spool_stats(s)->points_lost, 6 + 2);
	CHECK_INT(spool_stats(s)->tails_cut, 2);
	CHECK(make_balanced(s));
	spool_close(s);
	make_remove();
}

/* --- kill -9 ---------------------------------------------------------------------------------- */

struct note {
	char what; /* 'A': append() returned 0; 'D': done is about to be called */
	unsigned int id;
};

static void tell(int fd, char what, unsigned int id)
{
	struct note note;

	memset(&note, 0, sizeof(note));
	note.what = what;
	note.id = id;
	if (write(fd, &note, sizeof(note)) != sizeof(note))
		_exit(1);
}

static void work_until_killed(int fd, unsigned int id)
{
	struct spool *s = make_open_limits(UINT64_C(1) << 30, 0, 100000);
	struct spool_record r;
	struct spool_mark mark;
	uint32_t x = id * 2654435761U + 1;

	tell(fd, 'S', 0);
	for (;; id++) {
		struct parcel p;

		x = x * 1103515245 + 12345;
		p = make_parcel(id, 1 + (x >> 16) % 3000);
		if (spool_append(s, &p, NOW, &mark))
			_exit(1);
		tell(fd, 'A', id);
		if (x >> 10 & 1 && spool_stats(s)->records > 5) {
			long next = make_next(s, &r);

			if (next < 0)
				_exit(1);
			tell(fd, 'D', (unsigned int)next);
			spool_done(s, &r.mark, r.parcel.points, 0);
		}
	}
}

enum { IDS = 200000 };

static uint8_t must[IDS], may[IDS];

/* One child from start to kill; the ids that it told. The greatest id. */
static unsigned int one_life(unsigned int first, unsigned int round)
{
	unsigned int most = first;
	struct note note;
	int fds[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(fds) || (pid = fork()) < 0)
		abort();
	if (!pid) {
		close(fds[0]);
		work_until_killed(fds[1], first);
	}
	close(fds[1]);
	CHECK(read(fds[0], &note, sizeof(note)) == sizeof(note) && note.what == 'S');
	usleep(round * 7919 % 15000);
	kill(pid, SIGKILL);
	while (read(fds[0], &note, sizeof(note)) == sizeof(note)) {
		if (note.id >= IDS)
			abort();
		must[note.id] = note.what == 'A';
		may[note.id] = 1;
		if (note.id >= most)
			most = note.id + 1;
	}
	may[most] = 1; /* it may have been appended just before */
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return most + 1;
}

/* Go through all segments without changing them, as spool_next() does. */
static void look_through(struct spool *s, unsigned int ids)
{
	static uint8_t seen[IDS];
	unsigned int i, missing = 0, strange = 0;
	long id, before = -1;
	struct spool_item item;
	struct spool_walk w;
	bool writable;
	size_t n;
	int fd;

	memset(seen, 0, sizeof(seen));
	for (n = 0; n < s->count; n++) {
		fd = spool_open_segment(s, s->segments[n].number, &writable);
		spool_walk_begin(&w, fd, s->segments[n].number, s->segments[n].bytes);
		while (fd >= 0 && spool_walk_next(&w, &item) == SPOOL_FOUND_RECORD) {
			struct parcel p;

			if (item.head.done)
				continue;
			if (spool_unpack(&s->codec, fd, &item.head)) {
				strange++;
				continue;
			}
			p.bytes = s->codec.lines;
			p.size = item.head.lines;
			p.points = item.head.points;
			id = make_known(&p);
			strange += id <= before || id >= (long)ids || !may[id];
			before = id;
			if (id >= 0)
				seen[id] = 1;
		}
		if (fd >= 0)
			close(fd);
	}
	for (i = 0; i < ids; i++) {
		missing += must[i] && !seen[i];
		must[i] = may[i] = seen[i];
	}
	CHECK_INT(missing, 0);
	CHECK_INT(strange, 0);
}

static void test_killed(void)
{
	unsigned int round, ids = 0, torn = 0;
	struct spool *s;

	for (round = 0; round < ROUNDS; round++) {
		ids = one_life(ids, round);
		s = make_open_limits(UINT64_C(1) << 30, 0, 100000);
		torn += spool_stats(s)->tails_cut != 0;
		CHECK_INT(spool_stats(s)->records_damaged, 0);
		CHECK(make_balanced(s));
		look_through(s, ids);
		spool_close(s);
	}
	printf("    %u parcels in %d lives, %u torn tails\n", ids, ROUNDS, torn);
	s = make_open_limits(UINT64_C(1) << 30, 0, 100000);
	while (make_deliver(s) >= 0)
		;
	CHECK(make_balanced(s));
	CHECK_INT(spool_stats(s)->points + spool_stats(s)->points_lost, 0);
	spool_close(s);
	make_end();
}

TEST_MAIN({"damage", test_damage}, {"cut", test_cut}, {"told", test_told},
	  {"left alone", test_left_alone}, {"zeros", test_zeros}, {"killed", test_killed})
