/* classic_exclude.c - see classic_exclude.h.
 *
 * Classic BPF jumps only forward, and conditionally no further than 255 instructions
 * (net/core/filter.c, bpf_check_classic()). So a block is made from its end: every place to jump to
 * is known by then, and one that is too far gets a long jump in between.
 *
 * Networks and ports become prefixes of words, of which those inside others are dropped: the rest
 * are disjoint, and found by halving. 32 networks cost six comparisons for an address and not 32.
 *
 * A packet is left out only where the headers are plain: IPv4 without options, no fragment, IPv6
 * without extension headers, and nothing that user space looks into for another packet. User space
 * has the same rules for the rest.
 */
#include "filters/classic_exclude.h"

#include <stdlib.h>
#include <string.h>

#include "common/addr.h"

enum {
	PREFIXES_MAX = 1024, /* of a set; more do not fit as instructions either */
	REACH = 250, /* of a conditional jump, with room for the two that may come between */
	LONG_JUMPS = 4,
	ONWARD = -1, /* the label behind the block's last instruction */
};

/* An address's or a port's (word 3) leading bits. */
struct prefix {
	uint32_t word[4];
	unsigned int bits;
};

struct prefixes {
	struct prefix v[PREFIXES_MAX];
	size_t n;
};

/* A block under way. Instructions are written backwards; a label is the number of an instruction,
 * counted from the end. */
struct block {
	struct filter_insn *out;
	size_t max;
	int n;
	bool full;
	const struct exclude_place *place;
	struct {
		int target, at;
	} far[LONG_JUMPS]; /* the last long jumps, to be used again */
	unsigned int next_far;
	int drop; /* the last "return 0"; ONWARD: none */
	struct prefixes nets, ports;
};

/* What a search compares: a field of the packet with the prefixes of a set. */
struct search {
	struct block *b;
	const struct prefixes *set;
	uint16_t size;   /* BPF_W, BPF_H */
	uint32_t offset; /* of word `first` from the IP header */
	int first;
	const char *load; /* comments */
	int hit, miss;
};

/* --- instructions
 * ----------------------------------------------------------------------------------- */

static int emit(struct block *b, uint16_t code, uint32_t k, const char *comment)
{
	struct filter_insn *f;

	if ((size_t)b->n >= b->max) {
		b->full = true;
		return b->n - 1;
	}
	f = &b->out[b->n];
	memset(f, 0, sizeof(*f));
	f->insn.code = code;
	f->insn.k = k;
	f->comment = comment;
	return b->n++;
}

/* A label that the next instruction can reach, and jumps on to the target. */
static int within_reach(struct block *b, int target)
{
	unsigned int i;
	int at;

	if (b->n - target < REACH)
		return target;
	if (target >= 0 &&
	    b->out[target].insn.code == (BPF_RET | BPF_K)) { /* another does as well */
		if (b->n - b->drop >= REACH)
			b->drop = emit(b, BPF_RET | BPF_K, 0, "left out");
		return b->drop;
	}
	for (i = 0; i < LONG_JUMPS; i++)
		if (b->far[i].target == target && b->far[i].at >= 0 && b->n - b->far[i].at < REACH)
			return b->far[i].at;
	at = emit(b, BPF_JMP | BPF_JA, (uint32_t)(b->n - target - 1), "");
	b->far[b->next_far].target = target;
	b->far[b->next_far].at = at;
	b->next_far = (b->next_far + 1) % LONG_JUMPS;
	return at;
}

static int emit_jump(struct block *b, uint16_t op, uint32_t k, int yes, int no, const char *comment)
{
	int at;

	yes = within_reach(b, yes);
	no = within_reach(b, no);
	at = emit(b, BPF_JMP | BPF_K | op, k, comment);
	if (b->full)
		return at;
	b->out[at].insn.jt = (uint8_t)(at - yes - 1);
	b->out[at].insn.jf = (uint8_t)(at - no - 1);
	return at;
}

/* What has no jump goes on with the instruction behind it: make that one `next`. */
static void emit_before(struct block *b, int next)
{
	if (next != b->n - 1)
		emit(b, BPF_JMP | BPF_JA, (uint32_t)(b->n - next - 1), "");
}

static int emit_load(struct block *b, uint16_t size, uint32_t offset, int next, const char *comment)
{
	uint16_t code = (uint16_t)(BPF_LD | size | (b->place->at_x ? BPF_IND : BPF_ABS));

	emit_before(b, next);
	return emit(b, code, b->place->base + offset, comment);
}

static int drop_label(struct block *b)
{
	if (b->drop == ONWARD || b->n - b->drop >= REACH / 2)
		b->drop = emit(b, BPF_RET | BPF_K, 0, "left out");
	return b->drop;
}

/* --- sets of prefixes
 * --------------------------------------------------------------------------------- */

static uint32_t mask_of(const struct prefix *p, int word)
{
	unsigned int bits =
	    p->bits > 32U * (unsigned int)word ? p->bits - 32U * (unsigned int)word : 0;

	return bits >= 32 ? 0xffffffffu : ~(0xffffffffu >> bits);
}

static bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	int w;

	for (w = 0; w < 4; w++)
		if ((outer->word[w] ^ inner->word[w]) & mask_of(outer, w))
			return false;
	return outer->bits <= inner->bits;
}

static int prefix_order(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;
	int w;

	for (w = 0; w < 4; w++)
		if (a->word[w] != b->word[w])
			return a->word[w] < b->word[w] ? -1 : 1;
	return a->bits < b->bits ? -1 : a->bits > b->bits;
}

/* In order, and disjoint: what is inside another follows it. */
static void prefixes_settle(struct prefixes *s)
{
	size_t i, n = 0;

	qsort(s->v, s->n, sizeof(s->v[0]), prefix_order);
	for (i = 0; i < s->n; i++)
		if (!n || !prefix_contains(&s->v[n - 1], &s->v[i]))
			s->v[n++] = s->v[i];
	s->n = n;
}

/* Of settled ones: two halves of a network become that. A server with a range of addresses, each on
 * its own, would find no room for them. */
static void prefixes_merge(struct prefixes *s)
{
	struct prefix whole;
	size_t i, n = 0;
	int w;

	for (i = 0; i < s->n; i++) {
		s->v[n++] = s->v[i];
		while (n > 1 && s->v[n - 1].bits == s->v[n - 2].bits) {
			whole = s->v[n - 2];
			whole.bits--;
			for (w = 0; w < 4; w++)
				whole.word[w] &= mask_of(&whole, w);
			if (!prefix_contains(&whole, &s->v[n - 1]))
				break;
			s->v[--n - 1] = whole;
		}
	}
	s->n = n;
}

static struct prefix *prefixes_add(struct block *b, struct prefixes *s)
{
	if (s->n == PREFIXES_MAX) {
		b->full = true;
		return NULL;
	}
	memset(&s->v[s->n], 0, sizeof(s->v[0]));
	return &s->v[s->n++];
}

/* Networks that IPv4 (IPv6) packets can be in. A v4-mapped address in an IPv6 header is left to
 * user space. */
static void add_nets(struct block *b, const struct filter_exclude *x)
{
	struct prefix *p, net, v4 = {{0, 0, 0xffff, 0}, 96};
	size_t i;
	int w;

	for (i = 0; i < x->nnets; i++) {
		const uint8_t *a = x->nets[i].addr.b;

		net.bits = x->nets[i].bits;
		for (w = 0; w < 4; w++)
			net.word[w] = (uint32_t)a[4 * w] << 24 | (uint32_t)a[4 * w + 1] << 16 |
				      (uint32_t)a[4 * w + 2] << 8 | a[4 * w + 3];
		for (w = 0; w < 4; w++)
			net.word[w] &= mask_of(&net, w);
		if (prefix_contains(&net, &v4)) { /* ::/0 is every IPv4 address too */
			if (!b->place->ip6)
				net = v4;
		} else if (prefix_contains(&v4, &net) == b->place->ip6) {
			continue;
		}
		if (prefix_contains(&net, &v4) && net.bits == 96 && b->place->ip6)
			continue;
		p = prefixes_add(b, &b->nets);
		if (p)
			*p = net;
	}
}

static void add_ports(struct block *b, const struct filter_exclude *x)
{
	struct prefix *p;
	size_t i;

	for (i = 0; i < x->nports; i++) {
		p = prefixes_add(b, &b->ports);
		if (!p)
			return;
		p->word[3] = x->ports[i];
		p->bits = 128;
	}
}

/* --- searches
 * ---------------------------------------------------------------------------------------- */

static bool ends_in(const struct prefix *p, int word)
{
	return p->bits <= 32U * (unsigned int)(word + 1);
}

/* Prefixes [from, item_end) cannot be told apart by this word: one that ends here, or those that go
 * on with the next word. */
static size_t item_end(const struct prefixes *set, size_t from, size_t to, int word)
{
	size_t i = from + 1;

	if (ends_in(&set->v[from], word))
		return i;
	while (i < to && set->v[i].word[word] == set->v[from].word[word])
		i++;
	return i;
}

static int search_word(struct search *s, size_t from, size_t to, int word, bool known);

static int search_load(struct search *s, size_t from, size_t to, int word)
{
	int next = search_word(s, from, to, word, false);

	return emit_load(s->b, s->size, s->offset + 4U * (uint32_t)(word - s->first), next,
			 s->load);
}

/* One item. known: A is not below it. */
static int search_item(struct search *s, size_t from, size_t to, int word, bool known)
{
	const struct prefix *p = &s->set->v[from];
	uint32_t mask = mask_of(p, word), low = p->word[word], high = low | ~mask;
	int hit = ends_in(p, word) ? s->hit : search_load(s, from, to, word + 1);
	const char *what = ends_in(p, word) ? "" : "its first bits";

	known = known || !low;
	if (low == high)
		return emit_jump(s->b, BPF_JEQ, low, hit, s->miss, what);
	if (high == 0xffffffffu)
		return known ? hit : emit_jump(s->b, BPF_JGE, low, hit, s->miss, what);
	hit = emit_jump(s->b, BPF_JGT, high, s->miss, hit, what);
	return known ? hit : emit_jump(s->b, BPF_JGE, low, hit, s->miss, what);
}

/* Which of the prefixes [from, to) is it, by this word in A? Returns the label. */
static int search_word(struct search *s, size_t from, size_t to, int word, bool known)
{
	size_t mid = from, next;
	int left, right;

	if (s->b->full || item_end(s->set, from, to, word) == to)
		return search_item(s, from, to, word, known);
	for (next = item_end(s->set, from, to, word); next < to && mid < (from + to) / 2;
	     next = item_end(s->set, next, to, word))
		mid = next;
	right = search_word(s, mid, to, word, true);
	left = search_word(s, from, mid, word, known);
	return emit_jump(s->b, BPF_JGE, s->set->v[mid].word[word], right, left, "upper half");
}

/* Is either address in one of b->nets? Returns the label. */
static int search_nets(struct block *b, int hit, int miss)
{
	bool ip6 = b->place->ip6;
	int first = ip6 ? 0 : 3;
	struct search dst = {b,   &b->nets, BPF_W, ip6 ? 24 : 16, first, "destination address",
			     hit, miss};
	struct search src = {b, &b->nets, BPF_W, ip6 ? 8 : 12, first, "source address", hit, 0};

	src.miss = search_load(&dst, 0, b->nets.n, first);
	return search_load(&src, 0, b->nets.n, first);
}

/* Is either port one of b->ports? */
static int search_ports(struct block *b, int hit, int miss)
{
	uint32_t at = b->place->ip6 ? 40 : 20;
	struct search dst = {b, &b->ports, BPF_H, at + 2, 3, "destination port", hit, miss};
	struct search src = {b, &b->ports, BPF_H, at, 3, "source port", hit, 0};

	src.miss = search_load(&dst, 0, b->ports.n, 3);
	return search_load(&src, 0, b->ports.n, 3);
}

/* --- rules
 * ------------------------------------------------------------------------------------------- */

static int one_rule(struct block *b, const struct filter_exclude *x, int miss)
{
	b->nets.n = b->ports.n = 0;
	add_nets(b, x);
	add_ports(b, x);
	prefixes_settle(&b->nets);
	prefixes_settle(&b->ports);
	if (!b->nets.n || b->full)
		return miss; /* of the other version of IP */
	return search_nets(b, search_ports(b, drop_label(b), miss), miss);
}

/* Rules of networks alone and of ports alone are one set each. */
static int all_rules(struct block *b, const struct filter_config *config, uint64_t rules)
{
	size_t n =
	    config->nexcludes < FILTER_EXCLUDES_MAX ? config->nexcludes : FILTER_EXCLUDES_MAX;
	int next = ONWARD;
	size_t i;

	for (i = n; i-- > 0;)
		if (rules >> i & 1 && config->excludes[i].nnets && config->excludes[i].nports)
			next = one_rule(b, &config->excludes[i], next);
	b->nets.n = b->ports.n = 0;
	for (i = 0; i < n; i++) {
		if (!(rules >> i & 1))
			continue;
		if (!config->excludes[i].nports)
			add_nets(b, &config->excludes[i]);
		if (!config->excludes[i].nnets)
			add_ports(b, &config->excludes[i]);
	}
	prefixes_settle(&b->nets);
	prefixes_settle(&b->ports);
	if (b->nets.n)
		next = search_nets(b, drop_label(b), next);
	if (b->ports.n)
		next = search_ports(b, drop_label(b), next);
	return next;
}

/* A datagram that is looked into has its addresses inside. */
static int udp_rules(struct block *b, const struct filter_config *config, int rules)
{
	uint32_t at = b->place->ip6 ? 40 : 20;
	int next = rules;

	if (!config->tunnels_inner)
		return rules;
	next = emit_jump(b, BPF_JEQ, 6081, ONWARD, next, "Geneve");
	next = emit_jump(b, BPF_JEQ, 8472, ONWARD, next, "VXLAN, Linux's first port");
	next = emit_jump(b, BPF_JEQ, 4789, ONWARD, next, "VXLAN");
	return emit_load(b, BPF_H, at + 2, next, "destination port");
}

/* TCP or UDP in plain headers, of which so many bytes behind IP's are there? */
static void prelude(struct block *b, uint32_t bytes, int tcp, int udp, int other)
{
	uint32_t need = (b->place->ip6 ? 40 : 20) + bytes;
	int next = other;

	if (udp != other)
		next = emit_jump(b, BPF_JEQ, 17, udp, other, "UDP");
	next = emit_jump(b, BPF_JEQ, 6, tcp, next, "TCP");
	if (b->place->ip6) {
		next = emit_load(b, BPF_B, 6, next, "next header");
	} else {
		emit_before(b, next);
		next = emit(b, BPF_ALU | BPF_AND | BPF_K, 0x3fff00ff, "but the TTL");
		next = emit_load(b, BPF_W, 6, next, "fragment, TTL, protocol");
		next = emit_jump(b, BPF_JEQ, 0x45, next, other, "no options");
		next = emit_load(b, BPF_B, 0, next, "version and header length");
	}
	next = emit_jump(b, BPF_JGE, b->place->at_x ? need : b->place->base + need, next, other,
			 bytes < 20 ? "the ports are there" : "the headers are there");
	emit_before(b, next);
	if (b->place->at_x)
		emit(b, BPF_ALU | BPF_SUB | BPF_X, 0, "from IP on");
	emit(b, BPF_LD | BPF_W | BPF_LEN, 0, "length of the frame");
}

static void block_begin(struct block *b, struct filter_insn *out, size_t max,
			const struct exclude_place *place)
{
	int i;

	b->out = out;
	b->max = max;
	b->n = 0;
	b->full = false;
	b->place = place;
	for (i = 0; i < LONG_JUMPS; i++)
		b->far[i].target = b->far[i].at = ONWARD;
	b->next_far = 0;
	b->drop = ONWARD;
	b->nets.n = b->ports.n = 0;
}

/* Turn it the right way round. Returns how many instructions. */
static int block_end(struct block *b)
{
	int i;

	if (b->full)
		return FL_EFULL;
	for (i = 0; i < b->n / 2; i++) {
		struct filter_insn f = b->out[i];

		b->out[i] = b->out[b->n - 1 - i];
		b->out[b->n - 1 - i] = f;
	}
	b->out[0].section = b->place->section;
	return b->n;
}

int classic_narrow_block(struct filter_insn *out, size_t max, const struct filter_config *config,
			 const struct exclude_place *place)
{
	struct filter_exclude own = {config->narrow, config->nnarrow, NULL, 0};
	struct block b;
	int past;

	block_begin(&b, out, max, place);
	add_nets(&b, &own);
	prefixes_settle(&b.nets);
	prefixes_merge(&b.nets);
	if (!b.nets.n && !b.full)
		return 0;
	past = emit(&b, BPF_JMP | BPF_JA, 0, "as ever");
	prelude(&b, 20, search_nets(&b, ONWARD, past), past, past);
	return block_end(&b);
}

int classic_exclude_block(struct filter_insn *out, size_t max, const struct filter_config *config,
			  uint64_t rules, const struct exclude_place *place)
{
	struct block b;
	int next;

	block_begin(&b, out, max, place);
	next = all_rules(&b, config, rules);
	if (b.full)
		return FL_EFULL;
	if (next == ONWARD)
		return 0;
	prelude(&b, 4, next, udp_rules(&b, config, next), ONWARD);
	return block_end(&b);
}
