/* local.c - see local.h. */
#include "flows/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int local_init(struct local *l)
{
	memset(l, 0, sizeof(*l));
	siphash_key_random(&l->key);
	l->hosts = calloc(LOCAL_NETS_MOST, sizeof(*l->hosts));
	l->nets = calloc(LOCAL_NETS_MOST, sizeof(*l->nets));
	if (!l->hosts || !l->nets || index_init(&l->index, LOCAL_NETS_MOST)) {
		local_destroy(l);
		return -ENOMEM;
	}
	return 0;
}

void local_destroy(struct local *l)
{
	index_destroy(&l->index);
	free(l->hosts);
	free(l->nets);
	memset(l, 0, sizeof(*l));
}

static uint32_t hash_of(const struct local *l, const struct ip_addr *a)
{
	return (uint32_t)siphash_1_3(&l->key, a->b, sizeof(a->b));
}

static bool has_host(const struct local *l, const struct ip_addr *a)
{
	uint32_t at, n;

	INDEX_FIND(&l->index, hash_of(l, a), at, n)
	if (addr_equal(&l->hosts[n], a))
		return true;
	return false;
}

int local_set(struct local *l, const struct ip_net *nets, size_t n)
{
	size_t i;

	if (n > LOCAL_NETS_MOST)
		return FL_EFULL;
	index_clear(&l->index);
	l->nnets = l->nhosts = 0;
	for (i = 0; i < n; i++) {
		if (nets[i].bits < 128) {
			l->nets[l->nnets++] = nets[i];
		} else if (!has_host(l, &nets[i].addr)) {
			l->hosts[l->nhosts] = nets[i].addr;
			index_insert(&l->index, hash_of(l, &nets[i].addr), (uint32_t)l->nhosts++);
		}
	}
	return 0;
}

bool local_has(const struct local *l, const struct ip_addr *a)
{
	size_t i;

	for (i = 0; i < l->nnets; i++)
		if (net_contains(&l->nets[i], a))
			return true;
	return l->nhosts && has_host(l, a);
}
