/* fuzz_http_template.c - any bytes as a path: bounds, the same slashes, and a template that needs
 * no other.
 *
 * Input: a byte for the room, one of switches, the path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flows/http_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static size_t count_slashes(const char *s, size_t len)
{
	size_t n = 0, i;

	for (i = 0; i < len; i++)
		n += s[i] == '/';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room, len, cut_len;
	char *path, *whole, *out;
	bool full, cut;

	if (size < 2)
		return 0;
	room = data[0];
	cut = data[1] & 1;
	data += 2;
	size -= 2;
	path = malloc(size + 1); /* of the exact size but for one, for the sanitizer */
	whole = malloc(8 * size + 8);
	out = malloc(room + 1);
	require(path && whole && out);
	memcpy(path, data, size);
	len = http_template(path, size, cut, whole, 8 * size + 8, &full);
	require(!full && count_slashes(whole, len) == count_slashes(path, size));
	cut_len = http_template(path, size, cut, out, room, &full);
	require(cut_len <= room && full == (len > room) && !memcmp(out, whole, cut_len));
	free(path);
	free(whole);
	free(out);
	return 0;
}
