/* tags.h - the tags of a kind of point, sorted once into a program: constant text
 * ("netflow,direction="), a slot to fill (the direction), constant text (",dst_ip="), a slot ...
 *
 * Constant tags (host, source, custom ones) are part of the constant text, wherever their place in
 * the order is. Part of the line encoder (line.h).
 */
#ifndef OUTPUT_TAGS_H
#define OUTPUT_TAGS_H

#include "output/line.h"

/* What is filled in for each point: enum point_tag, and these. */
enum { TAG_SELF_WORKER = POINT_TAGS, TAG_SELF_SOURCE, TAG_SELF_OUTPUT, TAG_CONSTANT, TAG_SLOTS };

enum { TAG_COPY_STEP = 16 }; /* constant text is copied in whole steps, and padded for that */

struct tag_piece {
	const char *text; /* constant, in tag_program.text, padded to TAG_COPY_STEP */
	uint32_t len;
	uint32_t key_len; /* its end: the slot's ",key=", taken back where the slot stays empty */
	int slot;
};

struct tag_program {
	char *text;
	struct tag_piece pieces[TAG_SLOTS + 1];
	size_t n;
};

/* What only an enriched point has. */
enum {
	TAGS_PROCESS = 1, /* pid, names */
	TAGS_SRC_PLACE = 2,
	TAGS_DST_PLACE = 4,
	TAGS_AS = 8,     /* of these places, which a city database lacks */
	TAGS_EXTRAS = 16 /* sets of them */
};

/* The program for points of this kind, with the tags of extras (bits). *len: bytes of all constant
 * text. 0 or -ENOMEM; give it back with tag_program_free(). */
int tag_program_make(struct tag_program *prog, const struct line_config *c, enum point_kind kind,
		     unsigned int extras, size_t *len) MUST_CHECK;
void tag_program_free(struct tag_program *prog);

#endif
