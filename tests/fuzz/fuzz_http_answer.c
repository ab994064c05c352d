/* fuzz_http_answer.c - any answer of a backend: bounds, a verdict that can be, text for people.
 *
 * Input: two bytes of status, a byte of points, the line of Retry-After and that of
 * X-Influxdb-Error (each may be empty), the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "output/escape.h"
#include "output/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* A line of the input, as a string of its own; NULL: empty. */
static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size;
	char *line = len ? calloc(1, len + 1) : NULL; /* strndup(3) of a sanitizer reads on */

	if (line)
		memcpy(line, *data, len);
	*data += end ? len + 1 : len;
	*size -= end ? len + 1 : len;
	return line;
}

/* Printable and valid UTF-8, which is what a log takes. */
static void require_text(const char *s)
{
	while (*s) {
		size_t n = utf8_length(s, strlen(s));

		require(n > 0 && (unsigned char)*s >= ' ' && *s != 0x7f);
		s += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t hour_ns = 3600ULL * 1000000000;
	struct http_answer a;
	struct sink_result r;
	uint32_t points;
	char *retry_after, *error, *body;

	if (size < 3)
		return 0;
	memset(&a, 0, sizeof(a));
	memset(&r, 0xee, sizeof(r));
	a.status = (data[0] << 8 | data[1]) % 1000;
	points = 1 + data[2];
	data += 3;
	size -= 3;
	retry_after = take_line(&data, &size);
	error = take_line(&data, &size);
	body = malloc(size + 1); /* of the exact size but for one, for the sanitizer */
	require(body != NULL);
	memcpy(body, data, size);
	a.retry_after = retry_after;
	a.error = error;
	a.body = size ? body : NULL;
	a.body_size = size;
	http_answer_read(&a, points, 1700000000, points & 1 ? "db" : NULL, points & 2 ? "b" : NULL,
			 &r);
	require(r.verdict <= SINK_SPLIT && r.lost <= points && r.wait_ns <= hour_ns);
	require(r.verdict == SINK_DELIVERED || !r.lost);
	require(r.verdict == SINK_RETRY || !r.wait_ns);
	require(r.verdict == SINK_DELIVERED || *r.why);
	require(!r.lost || *r.why);
	require(memchr(r.why, 0, sizeof(r.why)) != NULL);
	require_text(r.why);
	free(retry_after);
	free(error);
	free(body);
	return 0;
}
