/* suggest.c - see suggest.h.
 *
 * Edit distance with neighbours swapped: optimal string alignment, Damerau (1964), CACM 7(3).
 */
#include "conf/suggest.h"

#include <string.h>

enum { WORD_MOST = 32 };

/* Given up beyond WORD_MOST bytes. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_MOST + 1];
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la > WORD_MOST || lb > WORD_MOST)
		return WORD_MOST;
	for (j = 0; j <= lb; j++)
		rows[0][j] = (unsigned int)j;
	for (i = 1; i <= la; i++) {
		unsigned int *row = rows[i % 3], *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (j = 1; j <= lb; j++) {
			unsigned int best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upup[j - 2] + 1 < best)
				best = upup[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[la % 3][lb];
}

const char *did_you_mean(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word), i;
	unsigned int most = len < 3 ? 1 : (unsigned int)(len / 3 + 1), best = most + 1;
	const char *meant = NULL, *part;

	for (i = 0; i < n; i++) {
		unsigned int d = distance(word, words[i]);

		if (d < best && d < strlen(words[i])) {
			best = d;
			meant = words[i];
		}
	}
	if (meant || len < 4)
		return meant;
	for (i = 0; i < n; i++) {
		for (part = strpbrk(words[i], "_."); part; part = strpbrk(part + 1, "_.")) {
			unsigned int d = distance(word, part + 1);

			if (d <= len / 4 && d < best) {
				best = d;
				meant = words[i];
			}
		}
	}
	return meant;
}
