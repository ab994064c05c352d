/* mmdb_data.c - see mmdb_data.h. */
#include "geoip/mmdb_data.h"

#include <string.h>

#include "common/wire.h"

/* Values in one record. The largest real ones (Enterprise, names in eight languages) have about
 * 200. */
enum { VALUES_MAX = 4096 };

static uint64_t read_be(struct wire *w, unsigned int bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | wire_u8(w);
	return n;
}

static uint32_t payload_size(struct wire *w, uint8_t control)
{
	uint32_t size = control & 31;

	if (size == 29)
		return 29 + (uint32_t)read_be(w, 1);
	if (size == 30)
		return 285 + (uint32_t)read_be(w, 2);
	if (size == 31)
		return 65821 + (uint32_t)read_be(w, 3);
	return size;
}

/* Nearly all that there is: pointers, short texts, numbers and small maps. False: it is something
 * else, or too near the end. */
static inline bool read_quick(const struct mmdb_data *d, size_t at, struct mmdb_value *v)
{
	const uint8_t *p = d->bytes + at;
	unsigned int bytes, size;

	if (d->size - at < MMDB_QUICK_BYTES || p[0] < 1 << 5)
		return false;
	size = p[0] & 31;
	v->type = p[0] >> 5;
	v->size = 0;
	v->p = NULL;
	v->inside = v->next = 0;
	if (v->type == MMDB_TYPE_POINTER) {
		v->inside = mmdb_pointer(p, &bytes);
		v->next = at + bytes;
		return true;
	}
	if (size >= 29 || (v->type == MMDB_TYPE_DOUBLE && size != 8))
		return false;
	v->size = size;
	if (v->type == MMDB_TYPE_MAP) {
		v->inside = at + 1;
		return true;
	}
	v->p = p + 1;
	v->next = at + 1 + size;
	return true;
}

/* A pointer, also in the last bytes. */
static int read_pointer(const struct mmdb_data *d, size_t at, struct mmdb_value *v)
{
	uint8_t copy[5] = {0};
	size_t left = d->size - at;
	unsigned int bytes;

	memcpy(copy, d->bytes + at, left < sizeof(copy) ? left : sizeof(copy));
	v->inside = mmdb_pointer(copy, &bytes);
	v->next = at + bytes;
	return bytes > left ? FL_EMALFORMED : 0;
}

static int read_any(const struct mmdb_data *d, size_t at, struct mmdb_value *v)
{
	struct wire w;
	uint8_t control;

	wire_init(&w, d->bytes + at, d->size - at);
	control = wire_u8(&w);
	v->type = control >> 5;
	v->size = 0;
	v->p = NULL;
	v->inside = 0;
	v->next = 0;
	if (v->type == MMDB_TYPE_POINTER) {
		return read_pointer(d, at, v);
	}
	if (!v->type)
		v->type = 7 + wire_u8(&w);
	v->size = payload_size(&w, control);
	if (v->type == MMDB_TYPE_MAP || v->type == MMDB_TYPE_ARRAY) {
		v->inside = (size_t)(w.p - d->bytes);
		return w.bad ? FL_EMALFORMED : 0;
	}
	/* 12 and 13 are the container and end marker, which no data section has */
	if (v->type > MMDB_TYPE_FLOAT || v->type == 12 || v->type == 13)
		return FL_EMALFORMED;
	if ((v->type == MMDB_TYPE_DOUBLE && v->size != 8) ||
	    (v->type == MMDB_TYPE_FLOAT && v->size != 4))
		return FL_EMALFORMED;
	/* a boolean's size is its value */
	v->p = wire_bytes(&w, v->type == MMDB_TYPE_BOOLEAN ? 0 : v->size);
	v->next = (size_t)(w.p - d->bytes);
	return w.bad ? FL_EMALFORMED : 0;
}

/* One value where it stands. A pointer's target goes to v->inside. */
static inline int read_raw(const struct mmdb_data *d, size_t at, struct mmdb_value *v)
{
	if (at >= d->size)
		return FL_EMALFORMED;
	return read_quick(d, at, v) ? 0 : read_any(d, at, v);
}

int mmdb_value_read(const struct mmdb_data *d, size_t at, struct mmdb_value *v)
{
	size_t next;
	int err = read_raw(d, at, v);

	if (err || v->type != MMDB_TYPE_POINTER)
		return err;
	next = v->next;
	err = read_raw(d, v->inside, v);
	v->next = next;
	/* the format forbids pointers to pointers */
	return err ? err : v->type == MMDB_TYPE_POINTER ? FL_EMALFORMED : 0;
}

int mmdb_values_skip(const struct mmdb_data *d, size_t *at, uint64_t n)
{
	struct mmdb_value v;
	unsigned int seen = 0;
	int err;

	while (n) {
		if (++seen > VALUES_MAX)
			return FL_EMALFORMED;
		err = read_raw(d, *at, &v);
		if (err)
			return err;
		n--;
		*at = v.next;
		if (v.type == MMDB_TYPE_MAP || v.type == MMDB_TYPE_ARRAY) {
			n += v.type == MMDB_TYPE_MAP ? 2 * (uint64_t)v.size : v.size;
			*at = v.inside;
		}
	}
	return 0;
}

bool mmdb_value_uint(const struct mmdb_value *v, uint64_t *n)
{
	struct wire w;

	switch (v->type) {
	case MMDB_TYPE_UINT16:
	case MMDB_TYPE_UINT32:
	case MMDB_TYPE_UINT64:
	case MMDB_TYPE_INT32:
		if (v->size > 8)
			return false;
		wire_init(&w, v->p, v->size);
		*n = read_be(&w, v->size);
		return v->type != MMDB_TYPE_INT32 || *n < 0x80000000u;
	default:
		return false;
	}
}

bool mmdb_value_real(const struct mmdb_value *v, double *x)
{
	struct wire w;
	uint64_t bits;
	uint32_t bits32;
	float f;

	if (v->type == MMDB_TYPE_DOUBLE) {
		wire_init(&w, v->p, 8);
		bits = read_be(&w, 8);
		memcpy(x, &bits, sizeof(bits));
		return true;
	}
	if (v->type == MMDB_TYPE_FLOAT) {
		bits32 = load_be32(v->p);
		memcpy(&f, &bits32, sizeof(f));
		*x = (double)f;
		return true;
	}
	return false;
}
