/* log.c - messages for people; one write per message, so that lines of threads never mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum log_level log_most = LOG_LEVEL_INFO;

void log_set_level(enum log_level most)
{
	log_most = most;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	static const char priority[] = {'3', '4', '6', '7'};
	char buf[1024];
	va_list ap;
	int n, m;

	if (level > log_most)
		return;
	if (getenv("JOURNAL_STREAM"))
		n = snprintf(buf, sizeof(buf), "<%c>", priority[level]);
	else
		n = snprintf(buf, sizeof(buf), "flowline: %s",
			     level == LOG_LEVEL_WARN ? "warning: " : "");
	va_start(ap, fmt);
	m = vsnprintf(buf + n, sizeof(buf) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m < (int)sizeof(buf) - n - 1 ? m : (int)sizeof(buf) - n - 2;
	buf[n++] = '\n';
	if (write(STDERR_FILENO, buf, (size_t)n) < 0)
		return; /* nobody is left to tell */
}
