/* places.c - see places.h. */
#include "geoip/places.h"

#include <errno.h>
#include <string.h>

#include "common/memory.h"

enum {
	TEXT_MOST = 128, /* a longer one is not written */
	GROWTH_MOST = 5, /* of a byte, written */
};

int places_init(struct places *p, size_t most, size_t kept, uint32_t key_words)
{
	int err;

	memset(p, 0, sizeof(*p));
	if (most >= PLACE_NONE / 4 || kept >= PLACE_NONE / 4)
		return -EINVAL;
	most += kept + 1;
	p->most = (uint32_t)most;
	p->kept = (uint32_t)kept;
	p->key_words = key_words;
	siphash_key_random(&p->key);
	p->v = mem_map(most, sizeof(*p->v));
	p->keys = mem_map(most, key_words * sizeof(*p->keys));
	err = p->v && p->keys ? index_init(&p->index, most) : -ENOMEM;
	if (err)
		places_destroy(p);
	return err;
}

void places_destroy(struct places *p)
{
	if (p->v)
		mem_unmap(p->v, p->most, sizeof(*p->v));
	if (p->keys)
		mem_unmap(p->keys, p->most, p->key_words * sizeof(*p->keys));
	p->v = NULL;
	p->keys = NULL;
	index_destroy(&p->index);
}

void places_clear(struct places *p)
{
	index_clear(&p->index);
	p->used = p->nfree = p->first_free = p->last_free = 0;
}

static uint32_t *key_of(const struct places *p, uint32_t place)
{
	return p->keys + (size_t)place * p->key_words;
}

uint32_t places_hash(const struct places *p, const uint32_t *key)
{
	uint64_t words[PLACE_KEY_WORDS_MAX / 2];

	memcpy(words, key, p->key_words * sizeof(*key));
	return (uint32_t)siphash_words(&p->key, words, p->key_words / 2);
}

bool places_prefetch(const struct places *p, uint32_t hash)
{
	uint32_t at, place;

	INDEX_FIND(&p->index, hash, at, place)
	{
		__builtin_prefetch(key_of(p, place));
		__builtin_prefetch(&p->v[place].users, 1);
		return true;
	}
	return false;
}

uint32_t places_find(struct places *p, const uint32_t *key, uint32_t hash)
{
	uint32_t at, place;

	INDEX_FIND(&p->index, hash, at, place)
	{
		if (memcmp(key_of(p, place), key, p->key_words * sizeof(*key)))
			continue;
		p->v[place].users++;
		return place;
	}
	return PLACE_NONE;
}

static void text_set(struct text *t, const char *s, size_t len)
{
	t->s = s;
	t->len = (uint32_t)len;
}

static size_t format_asn(char *out, uint32_t asn)
{
	char reversed[10];
	size_t n = 0, i;

	do
		reversed[n++] = (char)('0' + asn % 10);
	while (asn /= 10);
	for (i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	return n;
}

static void fill(struct place *place, const struct geo_record *r)
{
	struct geo_info *info = &place->info;

	memset(info, 0, sizeof(*info));
	if (r->has & 1u << GEO_COUNTRY) {
		memcpy(place->country, r->country, sizeof(r->country));
		text_set(&info->country, place->country, sizeof(r->country));
	}
	if (r->has & 1u << GEO_PROVINCE)
		info->province = r->texts[GEO_PROVINCE];
	if (r->has & 1u << GEO_CITY)
		info->city = r->texts[GEO_CITY];
	if (r->has & 1u << GEO_ISP)
		info->isp = r->texts[GEO_ISP];
	if (r->has & 1u << GEO_ASN)
		text_set(&info->asn, place->asn, format_asn(place->asn, r->asn));
	if (r->has & 1u << GEO_LAT) {
		info->has_coordinates = true;
		info->lat = r->lat;
		info->lon = r->lon;
	}
}

/* Where one does not fit, none is written: the output does what it does without. */
static void write_texts(struct place *place, size_t (*write)(char *, const char *, size_t))
{
	const struct geo_info *g = &place->info;
	const struct text *const texts[GEO_TEXTS] = {&g->country, &g->province, &g->city, &g->isp,
						     &g->asn};
	char written[GROWTH_MOST * TEXT_MOST];
	size_t at = 0, len, i;

	for (i = 0; i < GEO_TEXTS; i++) {
		if (texts[i]->len > TEXT_MOST)
			return;
		len = texts[i]->len ? write(written, texts[i]->s, texts[i]->len) : 0;
		if (at + len > GEO_WRITTEN_BYTES)
			return;
		memcpy(place->written.bytes + at, written, len);
		place->written.at[i] = (uint8_t)at;
		place->written.len[i] = (uint8_t)len;
		at += len;
	}
	place->info.written = &place->written;
}

static uint32_t take_free(struct places *p)
{
	uint32_t number;

	if (p->nfree <= p->kept)
		return p->used++;
	number = p->first_free - 1;
	p->first_free = p->v[number].next;
	p->nfree--;
	return number;
}

uint32_t places_add(struct places *p, const uint32_t *key, uint32_t hash,
		    const struct geo_record *r)
{
	uint32_t number = take_free(p);
	struct place *place = &p->v[number];

	place->hash = hash;
	place->users = 1;
	memcpy(key_of(p, number), key, p->key_words * sizeof(*key));
	fill(place, r);
	if (p->write)
		write_texts(place, p->write);
	index_insert(&p->index, place->hash, number);
	return number;
}

void places_drop(struct places *p, uint32_t number)
{
	struct place *place;

	if (number == PLACE_NONE)
		return;
	place = &p->v[number];
	if (--place->users)
		return;
	index_remove(&p->index, place->hash, number);
	place->next = 0;
	if (p->nfree++)
		p->v[p->last_free - 1].next = number + 1;
	else
		p->first_free = number + 1;
	p->last_free = number + 1;
}
