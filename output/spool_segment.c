/* spool_segment.c - see spool_segment.h. */
#include "output/spool_segment.h"

#include <errno.h>
#include <string.h>

enum { SEARCH_BYTES = 16 * 1024 };

void spool_walk_begin(struct spool_walk *w, int fd, uint64_t number, uint64_t size)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	w->number = number;
	w->size = size;
	w->at = SPOOL_SEGMENT_HEADER;
}

/* What a search came upon. */
struct sight {
	bool header; /* else a trailer */
	uint64_t at; /* the next record begins here */
	uint64_t before;
	uint64_t record; /* trailer: where its record began */
};

/* Numbers only grow: what says less is older than the walk. */
static bool plausible(const struct spool_walk *w, uint64_t before)
{
	return !w->before_known || before >= w->before;
}

static bool look(const struct spool_walk *w, const uint8_t *p, size_t left, uint64_t at,
		 struct sight *sight)
{
	struct spool_head h;

	if (left >= SPOOL_RECORD_HEADER && spool_head_get(p, w->number, at, &h)) {
		sight->header = true;
		sight->at = at;
		sight->before = h.before;
		return plausible(w, h.before);
	}
	if (left < SPOOL_RECORD_TRAILER ||
	    !spool_trailer_get(p, w->number, &sight->record, &sight->before))
		return false;
	sight->header = false;
	sight->at = at + SPOOL_RECORD_TRAILER;
	return sight->record >= w->at && sight->record < at && plausible(w, sight->before);
}

/* The next header or trailer behind w->at. 1, 0, or -errno. */
static int search(const struct spool_walk *w, struct sight *sight)
{
	const size_t most = SPOOL_RECORD_HEADER; /* the longer one of both */
	uint8_t buf[SEARCH_BYTES];
	uint64_t at = w->at;
	size_t got, i;
	bool last;
	int err;

	do {
		last = w->size - at <= sizeof(buf);
		got = last ? (size_t)(w->size - at) : sizeof(buf);
		err = spool_pread(w->fd, buf, got, at);
		if (err)
			return err;
		/* near its end the buffer holds the beginning only: those are looked at next */
		for (i = 0; i < (last ? got : got - most + 1); i++) {
			const uint8_t *p = memchr(buf + i, SPOOL_MAGIC, got - i);

			if (!p)
				break;
			i = (size_t)(p - buf);
			if (i + most > got && !last)
				break;
			if (look(w, p, got - i, at + i, sight))
				return 1;
		}
		at += got - most + 1;
	} while (!last);
	return 0;
}

/* No header where one should be: the stretch up to the next sign of a record. */
static enum spool_found damaged(struct spool_walk *w, struct spool_item *item)
{
	uint8_t header[SPOOL_RECORD_HEADER];
	struct sight sight;
	int found = search(w, &sight);

	item->from = w->at;
	item->to = w->size;
	item->before = w->before;
	if (found < 0)
		return SPOOL_FOUND_ERROR;
	if (!found)
		return SPOOL_FOUND_TAIL;
	item->to = sight.at;
	if (w->before_known)
		item->points = sight.before - w->before;
	else
		item->before = sight.before;
	/* The damage is in the header of one record, which may have been delivered: then nothing is
	 * lost. Its state is believed although the header is not. */
	if (!sight.header && sight.record == w->at &&
	    !spool_pread(w->fd, header, sizeof(header), w->at))
		item->done = spool_head_done(header);
	w->at = sight.at;
	w->before = sight.before;
	w->before_known = true;
	return SPOOL_FOUND_DAMAGED;
}

enum spool_found spool_walk_next(struct spool_walk *w, struct spool_item *item)
{
	uint8_t header[SPOOL_RECORD_HEADER];
	struct spool_head *h = &item->head;
	int err;

	memset(item, 0, sizeof(*item));
	item->from = w->at;
	item->to = w->size;
	item->before = w->before;
	if (w->at >= w->size)
		return SPOOL_FOUND_END;
	if (w->size - w->at < sizeof(header))
		return SPOOL_FOUND_TAIL;
	err = spool_pread(w->fd, header, sizeof(header), w->at);
	if (err)
		return err == -ENODATA ? SPOOL_FOUND_TAIL : SPOOL_FOUND_ERROR;
	if (!spool_head_get(header, w->number, w->at, h))
		return damaged(w, item);
	if (spool_head_end(h) > w->size) {
		item->points = h->points;
		item->done = h->done;
		return SPOOL_FOUND_TAIL;
	}
	w->at = spool_head_end(h);
	w->before = h->before + h->points;
	w->before_known = true;
	return SPOOL_FOUND_RECORD;
}

bool spool_mend(const struct spool_walk *w, const struct spool_item *item)
{
	struct spool_head h = {.flags = SPOOL_GAP, .segment = w->number, .offset = item->from};
	uint8_t header[SPOOL_RECORD_HEADER];
	uint64_t size = item->to - item->from;

	if (size < spool_record_size(0) || size - spool_record_size(0) > UINT32_MAX ||
	    item->points > UINT32_MAX)
		return false;
	h.disk = (uint32_t)(size - spool_record_size(0));
	h.points = (uint32_t)item->points;
	h.before = item->before;
	h.done = true;
	spool_head_put(header, &h);
	return !spool_pwrite(w->fd, header, sizeof(header), item->from);
}
