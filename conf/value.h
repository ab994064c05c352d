/* value.h - single values and lists of them: parsing, copying, giving back, writing as text.
 *
 * at points to where the schema's row says the value is stored; its memory is owned by whoever owns
 * the struct around it.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdio.h>

#include "conf/schema.h"

/* How all lists of conf.h lie in memory. */
struct conf_list {
	void *v;
	size_t n;
};

/* Number and unit: "500ms", "10s", "5m", "24h", "7d"; "4M", "512k", "1G". False: neither. */
bool conf_parse_duration(const char *text, uint64_t *ns);
bool conf_parse_size(const char *text, uint64_t *bytes);
enum { CONF_UNIT_SIZE = 32 };
void conf_format_duration(uint64_t ns, char out[CONF_UNIT_SIZE]);
void conf_format_size(uint64_t bytes, char out[CONF_UNIT_SIZE]);

/* Is its value (of a list: an item) a char * of its own? */
bool conf_is_text(const struct conf_setting *s);

/* Bytes that one value takes (of a list: one item). */
size_t conf_item_size(const struct conf_setting *s);

/* Read one value (of a list: one item) into to, which holds nothing. 0, or FL_EUSAGE, complained
 * of, and to holds nothing. */
int conf_item_parse(const struct conf_setting *s, const char *text, void *to,
		    const struct conf_place *place) MUST_CHECK;
void conf_item_free(const struct conf_setting *s, void *at);
int conf_item_copy(const struct conf_setting *s, void *to, const void *from) MUST_CHECK;

/* Append an item; the list takes it over. FL_EUSAGE, complained of: no room, or a tag or port that
 * is there already (an equal port, network or text is not added and no mistake). The item is given
 * back then. */
int conf_list_add(const struct conf_setting *s, struct conf_list *l, void *item,
		  const struct conf_place *place) MUST_CHECK;

/* The same for a whole setting, list or not. */
void conf_value_free(const struct conf_setting *s, void *at);
int conf_value_copy(const struct conf_setting *s, void *to, const void *from) MUST_CHECK;

/* Set from text: a scalar; of a list a comma list or YAML in [] or {}. append: a list's items are
 * added to those that are there; a tag's value is replaced. one: text is one item, whatever commas
 * it has. What was there before is given back. 0, or FL_EUSAGE and nothing is changed. */
struct conf_how {
	bool append, one;
};
int conf_value_set(const struct conf_setting *s, void *at, const char *text, struct conf_how how,
		   const struct conf_place *place) MUST_CHECK;

/* As YAML in one line. */
void conf_value_print(FILE *out, const struct conf_setting *s, const void *at, bool secrets);

/* What a value should be: "a duration: 1s to 24h", for manuals. */
void conf_range_print(FILE *out, const struct conf_setting *s);

/* output.c: an output of this kind with its defaults; what it must have is "" still. 0, or -ENOMEM
 * with nothing in it. */
int conf_output_init(struct conf_output *o, enum conf_output_kind kind) MUST_CHECK;

/* output.c: as -o has it; o holds nothing. 0, or FL_EUSAGE, complained of, and it holds nothing. */
int conf_output_parse(const char *text, struct conf_output *o,
		      const struct conf_place *place) MUST_CHECK;

/* output.c: rules between the settings of an output. */
struct conf_output_rule {
	enum conf_output_kind kind;
	const char *setting; /* whose place is shown; NULL at the end */
	bool (*broken)(const struct conf_output *o);
	const char *text;
};

extern const struct conf_output_rule conf_output_rules[];

/* output.c: what is wrong with an output's own name, with a header; NULL: nothing. */
const char *conf_label_mistake(const char *text);
const char *conf_header_mistake(const char *text);

/* conf.c: call for each pair of settings that do not go together, with the paths of both
 * ("outputs[2].http.batch_size"). Returns how many. */
size_t conf_each_clash(const struct conf *c,
		       void (*tell)(void *ctx, const char *path, const char *other,
				    const char *text),
		       void *ctx);

/* load.c: set from the YAML in text, as conf_value_set. */
int conf_value_set_yaml(const struct conf_setting *s, void *at, const char *text,
			const struct conf_place *place) MUST_CHECK;

/* load.c: a whole file with any schema, into the struct at base. */
int conf_load_group(const struct conf_group *g, void *base, const char *path, const char *text,
		    size_t len, struct conf_errors *errors) MUST_CHECK;

/* load.c: the secret in a file, without the line ends behind it, as a setting's value. */
int conf_secret_load(const struct conf_setting *s, void *at, const char *file,
		     const struct conf_place *place) MUST_CHECK;

/* conf.c: all of a group. */
void conf_group_free(const struct conf_group *g, void *base);
int conf_group_copy(const struct conf_group *g, void *to, const void *from) MUST_CHECK;

static inline void *conf_at(const struct conf_setting *s, const void *base)
{
	return (char *)base + s->offset;
}

#endif
