/* tree.h - a YAML text as a tree of scalars, lists and maps with their places, bounded in every
 * way.
 *
 * Aliases share the node of their anchor, so that a tree is never bigger than its text; an alias
 * inside its own anchor does not exist yet, so that there are no circles.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/errors.h"

enum { TREE_DEPTH_MOST = 16, TREE_NODES_MOST = 65536, TREE_ANCHORS_MOST = 64 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	unsigned int line, column; /* from 1 */
	bool null;                 /* a scalar without a value: nothing, ~ or null */
	char *text;                /* of a scalar; 0-terminated, no 0 inside */
	struct node **items;       /* of a map: key, value, key, value ... */
	size_t n, room;
	struct node *next; /* all nodes of the tree */
};

struct tree {
	struct node *root; /* NULL: an empty text */
	struct node *all;
	size_t nodes;
	struct {
		char *name;
		struct node *node;
	} anchors[TREE_ANCHORS_MOST];
	size_t nanchors;
};

/* 0; or FL_EUSAGE, complained of at most once. Needs tree_free() in every case. */
int tree_parse(struct tree *t, const char *text, size_t len,
	       const struct conf_place *place) MUST_CHECK;
void tree_free(struct tree *t);

#endif
