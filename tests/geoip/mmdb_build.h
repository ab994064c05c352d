/* mmdb_build.h - makes small MaxMind DB files for tests, from networks and records written as JSON.
 *
 * https://maxmind.github.io/MaxMind-DB/ 2.0. JSON as usual, and: 1.5 is a double, 1.5f a float,
 * 7h a uint16, 7q a uint64, other numbers are uint32. No escapes in strings. A string that was
 * written before becomes a pointer to it, as real writers do.
 *
 *	struct mmdb_build b;
 *
 *	mmdb_begin(&b, 6, 28, "Test-City");
 *	mmdb_add(&b, "8.8.8.0/24", "{\"country\":{\"iso_code\":\"US\"}}");
 *	mmdb_write(&b, path);
 */
#ifndef TESTS_GEOIP_MMDB_BUILD_H
#define TESTS_GEOIP_MMDB_BUILD_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"

enum { MMDB_NODES_MAX = 8192, MMDB_DATA_MAX = 65536, MMDB_STRINGS_MAX = 512 };

#define MMDB_EMPTY UINT32_MAX
#define MMDB_LEAF  0x80000000u /* the rest is the record's offset in data */

struct mmdb_build {
	unsigned int ip_version, record_bits;
	const char *type;
	uint32_t nodes[MMDB_NODES_MAX][2];
	uint32_t n;
	uint8_t data[MMDB_DATA_MAX];
	size_t size;
	size_t strings[MMDB_STRINGS_MAX]; /* offsets of their control bytes */
	size_t nstrings;
	bool plain; /* no pointers */
};

static inline void mmdb_byte(struct mmdb_build *b, unsigned int byte)
{
	if (b->size == MMDB_DATA_MAX)
		abort();
	b->data[b->size++] = (uint8_t)byte;
}

static inline void mmdb_be(struct mmdb_build *b, uint64_t n, unsigned int bytes)
{
	while (bytes--)
		mmdb_byte(b, (unsigned int)(n >> 8 * bytes));
}

static inline void mmdb_control(struct mmdb_build *b, unsigned int type, size_t size)
{
	unsigned int small = size < 29 ? (unsigned int)size : size < 285 ? 29 : 30;

	mmdb_byte(b, (type < 8 ? type << 5 : 0) | small);
	if (type >= 8)
		mmdb_byte(b, type - 7);
	if (small == 29)
		mmdb_byte(b, (unsigned int)size - 29);
	if (small == 30)
		mmdb_be(b, size - 285, 2);
}

static inline void mmdb_string(struct mmdb_build *b, const char *s, size_t len)
{
	size_t i, start = b->size;

	mmdb_control(b, 2, len);
	for (i = 0; i < len; i++)
		mmdb_byte(b, (uint8_t)s[i]);
	for (i = 0; i < b->nstrings && !b->plain && len > 3; i++) {
		size_t at = b->strings[i];

		if (memcmp(b->data + at, b->data + start, b->size - start) != 0)
			continue;
		b->size = start; /* a pointer of 11 bits, or of 19 and more */
		if (at < 2048) {
			mmdb_byte(b, 1 << 5 | (unsigned int)(at >> 8));
			mmdb_byte(b, at & 255);
		} else {
			mmdb_byte(b, 1 << 5 | 1 << 3);
			mmdb_be(b, at - 2048, 2);
		}
		return;
	}
	if (b->nstrings < MMDB_STRINGS_MAX)
		b->strings[b->nstrings++] = start;
}

static inline const char *mmdb_number(struct mmdb_build *b, const char *at)
{
	char *end;
	double x = strtod(at, &end);
	float f = (float)x;
	uint64_t bits;
	uint32_t bits32;

	if (*end == 'f') {
		memcpy(&bits32, &f, 4);
		mmdb_control(b, 15, 4);
		mmdb_be(b, bits32, 4);
		return end + 1;
	}
	if (*end == 'h' || *end == 'q') {
		mmdb_control(b, *end == 'h' ? 5 : 9, *end == 'h' ? 2 : 8);
		mmdb_be(b, (uint64_t)x, *end == 'h' ? 2 : 8);
		return end + 1;
	}
	if (memchr(at, '.', (size_t)(end - at))) {
		memcpy(&bits, &x, 8);
		mmdb_control(b, 3, 8);
		mmdb_be(b, bits, 8);
	} else {
		mmdb_control(b, 6, 4);
		mmdb_be(b, (uint64_t)x, 4);
	}
	return end;
}

static inline const char *mmdb_value(struct mmdb_build *b, const char *at);

/* A map or array: its size is known only at the end, and fits into the control byte (below 29). */
static inline const char *mmdb_container(struct mmdb_build *b, const char *at)
{
	bool map = *at == '{';
	size_t control = b->size, n = 0;

	mmdb_control(b, map ? 7 : 11, 0);
	for (at++; *at != '}' && *at != ']'; n++) {
		at += *at == ',';
		at = mmdb_value(b, at);
		if (map)
			at = mmdb_value(b, at + (*at == ':'));
	}
	if (n >= 29)
		abort();
	b->data[control] = (uint8_t)(b->data[control] | n);
	return at + 1;
}

static inline const char *mmdb_value(struct mmdb_build *b, const char *at)
{
	const char *end;

	if (*at == '{' || *at == '[')
		return mmdb_container(b, at);
	if (*at == 't' || *at == 'f') {
		mmdb_control(b, 14, *at == 't');
		return at + (*at == 't' ? 4 : 5);
	}
	if (*at != '"')
		return mmdb_number(b, at);
	end = strchr(++at, '"');
	if (!end)
		abort();
	mmdb_string(b, at, (size_t)(end - at));
	return end + 1;
}

static inline uint32_t mmdb_node(struct mmdb_build *b)
{
	if (b->n == MMDB_NODES_MAX)
		abort();
	b->nodes[b->n][0] = b->nodes[b->n][1] = MMDB_EMPTY;
	return b->n++;
}

static inline void mmdb_begin(struct mmdb_build *b, unsigned int ip_version,
			      unsigned int record_bits, const char *type)
{
	memset(b, 0, sizeof(*b));
	b->ip_version = ip_version;
	b->record_bits = record_bits;
	b->type = type;
	mmdb_node(b);
}

/* IPv4 networks are at ::/96 in a tree for both. Networks must not overlap. */
static inline void mmdb_add(struct mmdb_build *b, const char *network, const char *json)
{
	uint32_t node = 0, leaf = MMDB_LEAF | (uint32_t)b->size;
	unsigned int i, first;
	struct ip_net net;

	if (net_parse(&net, network))
		abort();
	if (addr_is_v4(&net.addr))
		memset(net.addr.b, 0, 12);
	first = b->ip_version == 4 ? 96 : 0;
	for (i = first; i < net.bits; i++) {
		unsigned int side = net.addr.b[i / 8] >> (7 - i % 8) & 1;

		if (i + 1u == net.bits) {
			b->nodes[node][side] = leaf;
		} else {
			if (b->nodes[node][side] == MMDB_EMPTY)
				b->nodes[node][side] = mmdb_node(b);
			node = b->nodes[node][side];
		}
	}
	mmdb_value(b, json);
}

static inline size_t mmdb_put_node(const struct mmdb_build *b, const uint32_t pair[2], uint8_t *out)
{
	uint32_t r[2];
	size_t i, k, n = 0, bytes = b->record_bits / 8;

	for (i = 0; i < 2; i++)
		r[i] = pair[i] == MMDB_EMPTY ? b->n
		       : pair[i] & MMDB_LEAF ? b->n + 16 + (pair[i] & ~MMDB_LEAF)
					     : pair[i];
	for (i = 0; i < 2; i++) {
		for (k = bytes; k--;)
			out[n++] = (uint8_t)(r[i] >> 8 * k);
		if (b->record_bits == 28 && !i) /* the upper 4 bits of both */
			out[n++] = (uint8_t)((r[0] >> 24 & 15) << 4 | (r[1] >> 24 & 15));
	}
	return n;
}

/* The file's bytes, for the caller to free. */
static inline uint8_t *mmdb_bytes(struct mmdb_build *b, size_t *size)
{
	static const char marker[] = "\xab\xcd\xefMaxMind.com";
	uint8_t *out = malloc(MMDB_NODES_MAX * 8 + MMDB_DATA_MAX * 2);
	struct mmdb_build *meta = malloc(sizeof(*meta));
	char json[512];
	size_t i, n = 0;

	if (!out || !meta)
		abort();
	for (i = 0; i < b->n; i++)
		n += mmdb_put_node(b, b->nodes[i], out + n);
	memset(out + n, 0, 16);
	n += 16;
	memcpy(out + n, b->data, b->size);
	n += b->size;
	memcpy(out + n, marker, sizeof(marker) - 1);
	n += sizeof(marker) - 1;
	snprintf(json, sizeof(json),
		 "{\"binary_format_major_version\":2h,\"binary_format_minor_version\":0h,"
		 "\"build_epoch\":1700000000q,\"database_type\":\"%s\",\"description\":{},\"ip_"
		 "version\":%uh,"
		 "\"languages\":[\"en\"],\"node_count\":%u,\"record_size\":%uh}",
		 b->type, b->ip_version, b->n, b->record_bits);
	memset(meta, 0, sizeof(*meta));
	meta->plain = true;
	mmdb_value(meta, json);
	memcpy(out + n, meta->data, meta->size);
	*size = n + meta->size;
	free(meta);
	return out;
}

/* Written in place: truncated first, as cp does. */
static inline void mmdb_write_bytes(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd))
		abort();
}

static inline void mmdb_write(struct mmdb_build *b, const char *path)
{
	size_t size;
	uint8_t *bytes = mmdb_bytes(b, &size);

	mmdb_write_bytes(path, bytes, size);
	free(bytes);
}

#endif
