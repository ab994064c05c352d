/* rotate.h - a file that is moved away when it is big or old enough, and what becomes of the moved
 * ones: compressed with gzip (RFC 1952), the oldest removed.
 *
 * Names:   PATH-YYYYMMDDTHHMMSSZ, when it was moved (UTC), with -2, -3 ... behind it for further
 * ones of the same second, and .gz once it is compressed. A name never changes but for that, so
 *          that a reader does not lose its place. Only files whose names fit this exactly are
 *          touched.
 * Age:     since the first write. It is kept in the file's extended attribute "user.flowline.begun"
 *          (xattr(7); ns since the epoch, decimal), which a restart finds again. Where the file
 *          system has none, a file that is found counts from its last change: it is moved later
 * than wanted, never earlier. Helper:  a thread of low priority compresses and removes. It works to
 * a temporary name
 *          (....gz.tmp), and the original goes only when the compressed file is on the disk. What a
 *          crash leaves behind is done anew by the next rotate_tidy().
 * Threads: all functions are the one's that writes the file.
 */
#ifndef OUTPUT_ROTATE_H
#define OUTPUT_ROTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "output/sink.h"

struct rotate_config {
	const char *path;    /* of the file itself, no symbolic link; copied */
	uint64_t max_bytes;  /* 0: no limit */
	uint64_t max_age_ns; /* 0: no limit */
	unsigned int keep;   /* moved files that stay */
	bool compress;       /* moved files */
};

struct rotate;

/* NULL with errno set. */
struct rotate *rotate_new(const struct rotate_config *c) MUST_CHECK;

/* The helper has a second to end its work; then it is stopped, and the next run begins that file
 * anew. NULL is fine. */
void rotate_free(struct rotate *r);

/* The file is about to be written to, now_ns after the epoch (more: so many bytes; 0: it only is
 * looked at): is it to be moved away before? An empty one never is, so bytes that are more than
 * max_bytes alone get a file of their own. */
bool rotate_due(struct rotate *r, int fd, size_t more, uint64_t now_ns);

/* Move the file away and make a new one. Returns the new one's descriptor, close-on-exec, to append
 * to; the old one is the caller's to close, and rotate_tidy() is to be called then. Or negative:
 * all stays as it was, and it is tried again in a minute; rotate_note() says why. */
int rotate_move(struct rotate *r, int fd, uint64_t now_ns) MUST_CHECK;

/* The file at the path is another one now: begun when it says it was. */
void rotate_other_file(struct rotate *r);

/* Have the helper remove and compress what is there. */
void rotate_tidy(struct rotate *r);

/* Wait for the helper. False: it has not ended by then. */
bool rotate_wait(struct rotate *r, unsigned int timeout_ms);

/* What went wrong since the last call, each of it once until it works again: a sentence that names
 * the file and the mend. False: nothing did. */
bool rotate_note(struct rotate *r, char note[SINK_WHY_SIZE]);

#endif
