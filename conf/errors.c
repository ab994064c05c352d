/* errors.c - see errors.h. */
#include "conf/errors.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf/url.h"

void conf_errors_init(struct conf_errors *e)
{
	e->text[0] = '\0';
	e->len = e->n = e->left_out = 0;
}

static void add(struct conf_errors *e, const char *before, const char *fmt, va_list ap)
{
	size_t room = sizeof(e->text) - e->len, len = strlen(before);
	int n;

	e->n++;
	if (len < room) {
		memcpy(e->text + e->len, before, len);
		n = vsnprintf(e->text + e->len + len, room - len, fmt, ap);
		if (n >= 0 && len + (size_t)n + 2 <= room) {
			e->len += len + (size_t)n;
			e->text[e->len++] = '\n';
			e->text[e->len] = '\0';
			return;
		}
	}
	e->text[e->len] = '\0'; /* the first mistakes will do */
	e->left_out++;
}

void conf_errors_add(struct conf_errors *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(e, "", fmt, ap);
	va_end(ap);
}

void conf_complain(const struct conf_place *at, const char *fmt, ...)
{
	char before[4096 + 256], place[32] = "";
	va_list ap;

	if (at->file && at->line)
		snprintf(place, sizeof(place), ":%u:%u", at->line, at->column);
	snprintf(before, sizeof(before), "%.3800s%s%s%.200s%s", at->file ? at->file : "", place,
		 at->file ? ": " : "", at->path ? at->path : "", at->path ? ": " : "");
	va_start(ap, fmt);
	add(at->errors, before, fmt, ap);
	va_end(ap);
}

const char *conf_shown(const char *text, char out[CONF_SHOWN_SIZE])
{
	size_t most = CONF_SHOWN_SIZE - 4, len, i;
	char clean[4 * CONF_SHOWN_SIZE];
	bool cut;

	url_redact(text, clean, sizeof(clean));
	text = clean;
	len = strlen(text);
	cut = len > most;
	if (cut)
		for (len = most; len && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
			;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		out[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
	memcpy(out + len, cut ? "..." : "", cut ? 4 : 1);
	return out;
}
