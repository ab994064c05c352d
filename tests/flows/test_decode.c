/* test_decode.c - flows/decode.c: each link, tunnel and header that is looked into, as a table;
 * then every frame cut at every byte, and lengths that lie.
 *
 * Layers are a string, outermost first: e Ethernet, v VLAN, q 802.1ad, p PPPoE, m MPLS (two
 * labels), w MPLS with a control word and Ethernet, l LLC/SNAP, 1 cooked v1, 2 cooked v2, n null
 * (little endian), N null and loop (big endian), 4 IPv4, o IPv4 with options, 6 IPv6, h IPv6 with
 * extension headers, a IPv6 with an atomic fragment header, A AH, g GRE, k GRE with key and
 * sequence number, b GRE with Ethernet inside, x VXLAN, G Geneve; t TCP, u UDP, i ICMP, s SCTP.
 */
#include "flows/decode.h"

#include "flows/fragment.h"
#include "tests/flows/build.h"
#include "tests/test.h"

#define SRC IP4(10, 0, 0, 1)
#define DST IP4(10, 0, 0, 2)

static struct decoder decoder;

/* What a layer is called in the one around it. */
static uint16_t ethertype_of(char layer)
{
	switch (layer) {
	case '4':
	case 'o':
		return 0x0800;
	case 'v':
		return 0x8100;
	case 'q':
		return 0x88a8;
	case 'p':
		return 0x8864;
	case 'm':
	case 'w':
		return 0x8847;
	case 'e':
		return 0x6558;
	case 'r':
		return 0x0806;
	default:
		return 0x86dd;
	}
}

static uint8_t proto_of(char layer)
{
	static const char layers[] = "tuis4o6haAgkbxG";
	static const uint8_t protos[] = {6, 17, 1, 132, 4, 4, 41, 41, 41, 51, 47, 47, 47, 17, 17};
	const char *at = strchr(layers, layer);

	return layer && at ? protos[at - layers] : 59;
}

static void add_options(struct build *b, uint8_t proto)
{
	uint8_t *p = build_prepend(b, 4);

	memset(p, 1, 4);
	build_ipv4(b, SRC, DST, proto);
	memmove(build_at(b, 0), build_at(b, 0), 20);
	build_at(b, 0)[0] = 0x46;
}

/* Layers of links. */
static bool add_link(struct build *b, char layer, char inner)
{
	uint8_t *p;

	switch (layer) {
	case 'e':
		build_ethernet(b, inner == 'l' ? (uint16_t)build_len(b) : ethertype_of(inner));
		return true;
	case 'l':
		build_typed(b, 8, ethertype_of(inner));
		memcpy(build_at(b, 0), "\xaa\xaa\x03", 3);
		return true;
	case 'v':
	case 'q':
		build_vlan(b, ethertype_of(inner));
		return true;
	case 'p':
		p = build_prepend(b, 8);
		p[0] = 0x11;
		put_be16(p + 4, build_len(b) - 6);
		p[7] = inner == '4' ? 0x21 : 0x57;
		return true;
	case 'w':
		build_prepend(b, 4);
		/* fall through */
	case 'm':
		build_prepend(b, 8)[6] = 1;
		return true;
	case '1':
		build_typed(b, 16, ethertype_of(inner));
		return true;
	case '2':
		put_be16(build_prepend(b, 20), ethertype_of(inner));
		return true;
	case 'n':
		build_prepend(b, 4)[0] = inner == '4' ? 2 : 30;
		return true;
	case 'N':
		build_prepend(b, 4)[3] = inner == '4' ? 2 : 24;
		return true;
	default:
		return false;
	}
}

static void add_tunnel(struct build *b, char layer, char inner)
{
	uint8_t *p;

	switch (layer) {
	case 'g':
		put_be16(build_prepend(b, 4) + 2, ethertype_of(inner));
		break;
	case 'k':
		p = build_prepend(b, 12);
		p[0] = 0x30;
		put_be16(p + 2, ethertype_of(inner));
		break;
	case 'b':
		put_be16(build_prepend(b, 4) + 2, 0x6558);
		break;
	case 'x':
		build_prepend(b, 8)[0] = 8;
		build_udp(b, 55555, 4789);
		break;
	case 'G':
		p = build_prepend(b, 12);
		p[0] = 1;
		put_be16(p + 2, ethertype_of(inner));
		build_udp(b, 55555, 6081);
		break;
	default:
		abort();
	}
}

static void add_layer(struct build *b, char layer, char inner)
{
	static const struct build_segment tcp = {
	    .sport = 40000, .dport = 80, .seq = 7, .ack = 9, .flags = TCP_ACK, .window = 100};

	if (add_link(b, layer, inner))
		return;
	switch (layer) {
	case 't':
		build_tcp(b, &tcp);
		break;
	case 'u':
		build_udp(b, 40000, 53);
		break;
	case 'i':
	case 's':
	case 'r':
		build_prepend(b, 12);
		break;
	case '4':
		build_ipv4(b, SRC, DST, proto_of(inner));
		break;
	case 'o':
		add_options(b, proto_of(inner));
		break;
	case '6':
		build_ipv6(b, 1, 2, proto_of(inner));
		break;
	case 'h': /* hop-by-hop, destination options, routing, destination options */
		build_ipv6_extension(b, proto_of(inner));
		build_ipv6_extension(b, 60);
		build_ipv6_extension(b, 43);
		build_ipv6_extension(b, 60);
		build_ipv6(b, 1, 2, 0);
		break;
	case 'a':
		build_ipv6_fragment(b, proto_of(inner), 77, 0);
		build_ipv6(b, 1, 2, 44);
		break;
	case 'A':
		build_prepend(b, 24)[0] = proto_of(inner);
		build_at(b, 0)[1] = 4;
		break;
	default:
		add_tunnel(b, layer, inner);
	}
}

static void build_layers(struct build *b, const char *layers)
{
	size_t i = strlen(layers);

	build_payload(b, "0123456789", 10);
	while (i--)
		add_layer(b, layers[i], layers[i + 1]);
}

static enum link_type link_of(const char *layers)
{
	static const char first[] = "e12nN46oha";
	static const enum link_type links[] = {LINK_ETHERNET, LINK_SLL, LINK_SLL2, LINK_NULL,
					       LINK_LOOP,     LINK_RAW, LINK_RAW,  LINK_RAW,
					       LINK_RAW,      LINK_RAW};

	return links[strchr(first, layers[0]) - first];
}

struct layers_case {
	const char *layers;
	enum decode_result want, want_inner; /* without and with tunnels_inner */
	uint16_t dport;                      /* without tunnels_inner, of a packet */
};

#define PKT DECODE_PACKET

static const struct layers_case layers_cases[] = {
    {"e4t", PKT, PKT, 80},
    {"e4u", PKT, PKT, 53},
    {"e6t", PKT, PKT, 80},
    {"e6u", PKT, PKT, 53},
    {"eot", PKT, PKT, 80},
    {"ehu", PKT, PKT, 53},
    {"eat", PKT, PKT, 80},
    {"ev4t", PKT, PKT, 80},
    {"eqv6u", PKT, PKT, 53},
    {"evvvvvvv4t", PKT, PKT, 80},
    {"ep4t", PKT, PKT, 80},
    {"ep6u", PKT, PKT, 53},
    {"evp4u", PKT, PKT, 53},
    {"em4t", PKT, PKT, 80},
    {"em6t", PKT, PKT, 80},
    {"ewe4t", PKT, PKT, 80},
    {"el4u", PKT, PKT, 53},
    {"14t", PKT, PKT, 80},
    {"1v6t", PKT, PKT, 80},
    {"24u", PKT, PKT, 53},
    {"26t", PKT, PKT, 80},
    {"n4t", PKT, PKT, 80},
    {"n6u", PKT, PKT, 53},
    {"N4u", PKT, PKT, 53},
    {"N6t", PKT, PKT, 80},
    {"4t", PKT, PKT, 80},
    {"6u", PKT, PKT, 53},
    {"ot", PKT, PKT, 80},
    {"ht", PKT, PKT, 80},
    {"au", PKT, PKT, 53},
    {"e44t", PKT, PKT, 80},
    {"e46t", PKT, PKT, 80},
    {"e64u", PKT, PKT, 53},
    {"e66t", PKT, PKT, 80},
    {"e4g4t", PKT, PKT, 80},
    {"e4g6u", PKT, PKT, 53},
    {"e4k4t", PKT, PKT, 80},
    {"e6be4t", PKT, PKT, 80},
    {"e4gv4t", PKT, PKT, 80},
    {"e4At", PKT, PKT, 80},
    {"e6Au", PKT, PKT, 53},
    {"e4xe4t", PKT, PKT, 4789},
    {"e6xe6t", PKT, PKT, 4789},
    {"e4Ge4t", PKT, PKT, 6081},
    {"e4G6u", PKT, PKT, 6081},
    {"e4i", DECODE_SKIPPED, DECODE_SKIPPED, 0},
    {"e4s", DECODE_SKIPPED, DECODE_SKIPPED, 0},
    {"er", DECODE_SKIPPED, DECODE_SKIPPED, 0},
    {"evvvvvvvvv4t", DECODE_UNKNOWN, DECODE_UNKNOWN, 0},
    {"e4444444444t", DECODE_UNKNOWN, DECODE_UNKNOWN, 0},
};

enum { NLAYERS = sizeof(layers_cases) / sizeof(layers_cases[0]) };

static uint16_t packet_port(const struct packet *pkt, int end)
{
	return flow_key_port(&pkt->key, end);
}

static void check_packet(const struct layers_case *t, const struct packet *pkt, bool inner)
{
	bool outer = !inner && t->dport > 1000;
	char last = t->layers[strlen(t->layers) - 1];

	CHECK_MSG(packet_port(pkt, 1 - pkt->end) == (outer         ? t->dport
						     : last == 't' ? 80
								   : 53),
		  "%s", t->layers);
	CHECK_MSG(packet_port(pkt, pkt->end) == (outer ? 55555 : 40000), "%s", t->layers);
	if (outer)
		return;
	CHECK_MSG(pkt->payload_len == 10 && pkt->payload_cap == 10 &&
		      !memcmp(pkt->payload, "0123456789", 10),
		  "%s", t->layers);
	if (last == 't')
		CHECK_MSG(pkt->seq == 7 && pkt->ack == 9 && pkt->tcp_flags == TCP_ACK, "%s",
			  t->layers);
}

static void test_layers(void)
{
	static struct build b;
	struct packet pkt;
	int i, inner;

	for (i = 0; i < NLAYERS; i++)
		for (inner = 0; inner < 2; inner++) {
			const struct layers_case *t = &layers_cases[i];
			struct frame f;
			enum decode_result r;

			build_layers(&b, t->layers);
			f = build_frame(&b, link_of(t->layers), 1);
			decoder.tunnels_inner = inner;
			r = decode_frame(&decoder, &f, &pkt);
			CHECK_MSG(r == (inner ? t->want_inner : t->want), "%s: got %d", t->layers,
				  r);
			if (r == DECODE_PACKET)
				check_packet(t, &pkt, inner);
		}
}

/* Cut by the snaplen: truncated, until enough is there, and from then on the same ends and length.
 * Cut on the wire: never anything but truncated, malformed or a packet that stays within what is
 * there. */
static void test_cut(void)
{
	static struct build b;
	struct packet pkt;
	uint32_t len;
	int i;

	decoder.tunnels_inner = false;
	for (i = 0; i < NLAYERS; i++) {
		const struct layers_case *t = &layers_cases[i];
		bool packet = false;

		build_layers(&b, t->layers);
		for (len = 0; len <= build_len(&b); len++) {
			struct frame f = build_frame(&b, link_of(t->layers), 1);
			uint8_t *copy = malloc(len + 1);
			enum decode_result r;

			if (!copy)
				abort();
			memcpy(copy, f.data, len);
			f.data = copy;
			f.caplen = len;
			r = decode_frame(&decoder, &f, &pkt);
			if (t->want == DECODE_PACKET)
				CHECK_MSG(packet ? r == PKT
						 : r == PKT || r == DECODE_TRUNCATED ||
						       r == DECODE_SKIPPED,
					  "%s cut at %u: %d", t->layers, len, r);
			packet = r == PKT;
			if (packet)
				CHECK(pkt.payload_cap <= pkt.payload_len &&
				      pkt.payload + pkt.payload_cap <= copy + len);
			f.wirelen = len;
			r = decode_frame(&decoder, &f, &pkt);
			if (r == PKT)
				CHECK(pkt.payload + pkt.payload_cap <= copy + len);
			free(copy);
		}
	}
}

struct patch_case {
	const char *name, *layers;
	uint32_t at;
	uint8_t value;
	enum decode_result want;
	uint32_t want_len;
};

static void test_lengths(void)
{
	static const struct patch_case cases[] = {
	    {"IPv4 version 5", "e4t", 14, 0x55, DECODE_MALFORMED, 0},
	    {"IPv4 header of 16 bytes", "e4t", 14, 0x44, DECODE_MALFORMED, 0},
	    {"IPv4 header beyond the total length", "e4t", 14, 0x4f, DECODE_MALFORMED, 0},
	    {"IPv4 total length below the header", "e4t", 17, 19, DECODE_MALFORMED, 0},
	    {"IPv4 total length 0: segmented by the card", "e4t", 17, 0, PKT, 10},
	    {"IPv4 total length less than the frame: padding", "e4t", 17, 44, PKT, 4},
	    {"IPv4 total length more than the frame", "e4t", 16, 1, PKT, 266},
	    {"IPv6 length 0", "e6t", 19, 0, PKT, 10},
	    {"TCP header of 16 bytes", "e4t", 46, 0x40, DECODE_MALFORMED, 0},
	    {"TCP header beyond the datagram", "e4t", 46, 0xf0, DECODE_MALFORMED, 0},
	    {"UDP length below its header", "e4u", 39, 7, DECODE_MALFORMED, 0},
	    {"UDP length 0", "e4u", 39, 0, PKT, 10},
	    {"UDP length less than the datagram", "e4u", 39, 12, PKT, 4},
	    {"UDP length more than the datagram", "e4u", 39, 200, PKT, 10},
	    {"PPPoE version 2", "ep4t", 14, 0x21, DECODE_MALFORMED, 0},
	    {"PPPoE of LCP", "ep4t", 20, 0xc0, DECODE_SKIPPED, 0},
	    {"GRE with source routing", "e4g4t", 34, 0x40, DECODE_UNKNOWN, 0},
	    {"GRE version 2", "e4g4t", 35, 2, DECODE_UNKNOWN, 0},
	    {"unknown Ethernet type", "e4t", 12, 0x77, DECODE_UNKNOWN, 0},
	    {"null: unknown family", "n4t", 0, 99, DECODE_UNKNOWN, 0},
	};
	static struct build b;
	struct packet pkt;
	size_t i;

	decoder.tunnels_inner = false;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f;
		enum decode_result r;

		build_layers(&b, cases[i].layers);
		build_at(&b, 0)[cases[i].at] = cases[i].value;
		f = build_frame(&b, link_of(cases[i].layers), 1);
		r = decode_frame(&decoder, &f, &pkt);
		CHECK_MSG(r == cases[i].want, "%s: got %d", cases[i].name, r);
		if (r == PKT)
			CHECK_MSG(pkt.payload_len == cases[i].want_len, "%s: got %u", cases[i].name,
				  pkt.payload_len);
	}
}

/* Both directions have one key and one hash. */
static void test_key(void)
{
	static struct build b;
	struct packet there, back;
	struct frame f;

	build_payload(&b, NULL, 1);
	build_udp(&b, 5000, 6000);
	build_ipv4(&b, SRC, DST, PROTO_UDP);
	f = build_frame(&b, LINK_RAW, 1);
	CHECK_INT(decode_frame(&decoder, &f, &there), PKT);
	build_payload(&b, NULL, 1);
	build_udp(&b, 6000, 5000);
	build_ipv4(&b, DST, SRC, PROTO_UDP);
	f = build_frame(&b, LINK_RAW, 1);
	CHECK_INT(decode_frame(&decoder, &f, &back), PKT);
	CHECK(flow_key_equal(&there.key, &back.key));
	CHECK(there.hash == back.hash && there.end != back.end);
}

static void test_tcp_options(void)
{
	static const struct {
		const char *bytes;
		uint8_t len;
		bool has_ts;
	} cases[] = {
	    {"\1\1\10\12\0\0\0\1\0\0\0\2", 12, true},
	    {"\10\12\0\0\0\1\0\0\0\2\1\1", 12, true},
	    {"\2\4\5\264\4\2\10\12\0\0\0\1\0\0\0\2\1\3\3\7", 20, true},
	    {"\0\0\10\12\0\0\0\1\0\0\0\2", 12, false}, /* behind the end of the list */
	    {"\2\0\10\12\0\0\0\1\0\0\0\2", 12, false}, /* an option of length 0 */
	    {"\1\1\1\1\1\1\1\1\1\1\1\10", 12, false},  /* no room for its length */
	    {"\1\1\1\1\10\12\0\0\0\1\0\0", 12, false}, /* nor for its value */
	    {"\10\11\0\0\0\1\0\0\0\2\1\1", 12, false}, /* a wrong length */
	};
	static struct build b;
	struct packet pkt;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct build_segment s = {.sport = 1,
					  .dport = 2,
					  .flags = TCP_ACK,
					  .options = (const uint8_t *)cases[i].bytes,
					  .options_len = cases[i].len};
		struct frame f;

		build_payload(&b, NULL, 3);
		build_tcp(&b, &s);
		build_ipv4(&b, SRC, DST, PROTO_TCP);
		f = build_frame(&b, LINK_RAW, 1);
		CHECK_INT(decode_frame(&decoder, &f, &pkt), PKT);
		CHECK_MSG(pkt.has_ts == cases[i].has_ts, "case %d", (int)i);
		if (pkt.has_ts)
			CHECK(pkt.tsval == 1 && pkt.tsecr == 2);
	}
}

/* A datagram made of fragments that has an atomic fragment inside: 6in4. */
static void test_atomic_inside_fragments(void)
{
	static struct build b, part;
	struct decoder d = decoder;
	struct packet pkt;
	struct frame f;

	d.fragments = fragments_new();
	build_layers(&b, "at");
	build_payload(&part, build_at(&b, 0), 48);
	build_ipv4_fragment(&part, SRC, DST, 41, 5, 0x2000);
	f = build_frame(&part, LINK_RAW, 1);
	CHECK_INT(decode_frame(&d, &f, &pkt), DECODE_HELD);
	build_payload(&part, build_at(&b, 48), build_len(&b) - 48);
	build_ipv4_fragment(&part, SRC, DST, 41, 5, 6);
	memset(&pkt, 0, sizeof(pkt));
	f = build_frame(&part, LINK_RAW, 1);
	CHECK_INT(decode_frame(&d, &f, &pkt), PKT);
	CHECK_INT(packet_port(&pkt, 1 - pkt.end), 80);
	CHECK_INT(pkt.packets, 2);
	CHECK_INT(pkt.payload_len, 10);
	fragments_free(d.fragments);
}

/* A capture file's word for the frame's length is anybody's: total length 0 takes it over. */
static void test_giant_fragment(void)
{
	static struct build b;
	struct decoder d = decoder;
	struct packet pkt;
	uint32_t wirelen;

	d.fragments = fragments_new();
	for (wirelen = 0xffffff00; wirelen; wirelen++) {
		struct frame f;

		build_payload(&b, NULL, 64);
		build_ipv4_fragment(&b, SRC, DST, 17, 5, 0x1fff);
		put_be16(build_at(&b, 2), 0);
		f = build_frame(&b, LINK_RAW, 1);
		f.wirelen = wirelen;
		CHECK_INT(decode_frame(&d, &f, &pkt), DECODE_MALFORMED);
	}
	fragments_free(d.fragments);
}

TEST_MAIN({"links, tunnels, headers", test_layers}, {"cut at every byte", test_cut},
	  {"lengths that lie", test_lengths}, {"one key for both directions", test_key},
	  {"TCP timestamps among options", test_tcp_options},
	  {"an atomic fragment inside of fragments", test_atomic_inside_fragments},
	  {"a fragment as long as 32 bits can say", test_giant_fragment})
