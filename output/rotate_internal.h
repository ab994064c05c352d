/* rotate_internal.h - what rotate.c (moving the file) and rotate_tidy.c (the moved ones) share. */
#ifndef OUTPUT_ROTATE_INTERNAL_H
#define OUTPUT_ROTATE_INTERNAL_H

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

#include "output/rotate.h"

enum {
	ROTATE_TIME = 16,      /* bytes of YYYYMMDDTHHMMSSZ */
	ROTATE_NAME_MORE = 48, /* behind the file's name: "-", time, "-", number, ".gz.tmp" */
	ROTATE_MODE = 0640,
	/* Non-blocking for the sake of a pipe or a terminal in a file's place. */
	ROTATE_OPEN_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
};

struct rotate {
	char *path, *dir;
	const char *base; /* in path, behind the last slash */
	uint64_t max_bytes, max_age_ns;
	unsigned int keep;
	bool compress;
	uint64_t begun_ns;    /* 0: not known yet */
	uint64_t next_try_ns; /* monotonic clock */
	bool told_move;

	pthread_t helper;
	bool joinable; /* there is a helper, perhaps ended */
	int stop;      /* __atomic: end early */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	bool running, again; /* again: there is more to do since it began */
	bool told_tidy;      /* the helper's only */
	char note[SINK_WHY_SIZE];
};

/* Leave a note, unless there is one that nobody has read yet. Any thread. */
void rotate_say(struct rotate *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* End the helper: it has a second. */
void rotate_stop(struct rotate *r);

#endif
