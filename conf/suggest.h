/* suggest.h - "did you mean": the word that a mistyped one stands for. */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

#include <stddef.h>

/* The word of words[0..n) that a mistyped word may have meant, or NULL. Words of several parts
 * (tcp_idle_timeout) are found by their last parts, too (idle_timout). */
const char *did_you_mean(const char *word, const char *const *words, size_t n);

#endif
