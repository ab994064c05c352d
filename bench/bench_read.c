/* bench_read.c - what a packet costs: decoding, the flow table, and the whole of `flowline read`,
 * beside a libpcap loop that does nothing.
 *
 * usage: bench_read [FILE.pcap]
 * Without a file one is made: a million packets of 50,000 flows, TCP with HTTP requests, DNS and
 * UDP. CPU time per packet, the median of interleaved rounds: the machine's speed may drift, the
 * ratios stay.
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/null_output.h"
#include "collector/source.h"
#include "flows/decode.h"
#include "flows/engine.h"
#include "flows/flow_table.h"
#include "flows/fragment.h"
#include "geoip/address_class.h"
#include "output/line.h"
#include "output/sink_file.h"
#include "output/writer.h"

enum { ROUNDS = 5, PACKETS = 1000000, FLOWS = 50000, KINDS = 4, FRAME_MOST = 1514 };

static const char *const kind_names[KINDS] = {"libpcap doing nothing", "decode",
					      "decode and flow table", "read: points to /dev/null"};

/* --- a capture of its own
 * --------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static struct made_flow {
	uint32_t client, server, seq[2], packets;
	uint16_t port;
	uint8_t kind; /* of ten: 0 to 5 TCP, 6 HTTP, 7 DNS, 8 and 9 UDP */
} made[FLOWS];

/* The payload of the flow's next packet; returns its length. */
static size_t make_payload(const struct made_flow *f, bool reply, uint8_t *p)
{
	static const char request[] =
	    "GET /api/v1/items?id=7 HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
	static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	static const uint8_t dns[] = {0,   0,   1,   0,   0,   1,   0,   0,   0,   0,   0,
				      0,   3,   'w', 'w', 'w', 7,   'e', 'x', 'a', 'm', 'p',
				      'l', 'e', 3,   'c', 'o', 'm', 0,   0,   1,   0,   1};

	if (f->kind == 6) {
		memcpy(p, reply ? response : request,
		       reply ? sizeof(response) - 1 : sizeof(request) - 1);
		return reply ? sizeof(response) - 1 : sizeof(request) - 1;
	}
	if (f->kind == 7) {
		memcpy(p, dns, sizeof(dns));
		put16(p, f->packets / 2);
		p[2] |= reply ? 0x80 : 0;
		return sizeof(dns);
	}
	return reply ? 200 + rnd(1200) : 20 + rnd(200);
}

static size_t make_frame(struct made_flow *f, uint8_t *frame)
{
	static const uint16_t ports[10] = {443, 443, 443, 22, 5432, 8443, 80, 53, 443, 123};
	bool reply = f->packets & 1, tcp = f->kind < 7;
	size_t head = 14 + 20 + (tcp ? 20 : 8), len;
	uint8_t *ip = frame + 14, *l4 = ip + 20;

	memset(frame, 0, head);
	len = tcp && f->packets < 3 ? 0 : make_payload(f, reply, frame + head);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(head - 14 + len));
	ip[9] = tcp ? 6 : 17;
	put32(ip + 12, reply ? f->server : f->client);
	put32(ip + 16, reply ? f->client : f->server);
	put16(l4, reply ? ports[f->kind] : f->port);
	put16(l4 + 2, reply ? f->port : ports[f->kind]);
	if (tcp) {
		put32(l4 + 4, f->seq[reply]);
		put32(l4 + 8, f->seq[!reply]);
		l4[12] = 0x50;
		l4[13] = f->packets == 0 ? 0x02 : f->packets == 1 ? 0x12 : 0x10;
		f->seq[reply] += (uint32_t)len + (f->packets < 2 ? 1 : 0);
	} else {
		put16(l4 + 4, (uint32_t)len + 8);
	}
	f->packets++;
	return head + len;
}

static void make_capture(const char *path)
{
	static const uint32_t magic[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	static uint8_t frame[FRAME_MOST + 1500];
	FILE *f = fopen(path, "wb");
	uint32_t i, record[4];

	if (!f || fwrite(magic, sizeof(magic), 1, f) != 1) {
		perror(path);
		exit(1);
	}
	for (i = 0; i < FLOWS; i++) {
		made[i].kind = (uint8_t)rnd(10);
		made[i].client = 10U << 24 | rnd(4096);
		made[i].server = 0x5db80000U | rnd(20000);
		made[i].port = (uint16_t)(32768 + rnd(28000));
	}
	for (i = 0; i < PACKETS; i++) {
		/* few flows have most packets */
		uint32_t pick = rnd(4) ? rnd(FLOWS / 50) : rnd(FLOWS);
		size_t n = make_frame(&made[pick], frame);

		record[0] = 1700000000 + i / 10000;
		record[1] = i % 10000 * 100;
		record[2] = record[3] = (uint32_t)n;
		if (fwrite(record, sizeof(record), 1, f) != 1 || fwrite(frame, n, 1, f) != 1) {
			perror(path);
			exit(1);
		}
	}
	if (fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* --- what is measured
 * ------------------------------------------------------------------------------- */

static struct decoder decoder;
static struct flow_table table;
static uint64_t packets;

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void just_decode(void *ctx, const struct frame *frames, size_t n)
{
	struct packet pkt;
	size_t i;

	(void)ctx;
	for (i = 0; i < n; i++)
		packets += decode_frame(&decoder, &frames[i], &pkt) == DECODE_PACKET;
}

static void decode_and_find(void *ctx, const struct frame *frames, size_t n)
{
	struct packet pkt[64];
	bool created;
	size_t i, m = 0;

	(void)ctx;
	for (i = 0; i < n; i++) {
		if (decode_frame(&decoder, &frames[i], &pkt[m]) != DECODE_PACKET)
			continue;
		flow_table_prefetch(&table, pkt[m++].hash);
	}
	for (i = 0; i < m; i++)
		flow_table_prefetch_record(&table, pkt[i].hash);
	for (i = 0; i < m; i++) {
		uint32_t f = flow_table_get(&table, &pkt[i], FLOW_NONE, &created);

		table.flows[f].packets[pkt[i].end]++;
		table.flows[f].bytes[pkt[i].end] += pkt[i].payload_len;
		table.flows[f].state |= FLOW_SEEN;
	}
	packets += m;
}

static void to_engine(void *ctx, const struct frame *frames, size_t n)
{
	engine_frames(ctx, frames, n);
}

static void read_all(const char *path, void (*frames)(void *ctx, const struct frame *f, size_t n),
		     void *ctx)
{
	struct file_config c = {.path = path};
	struct frame_sink sink = {frames, ctx};
	struct source *s;
	char why[256] = "";

	if (source_file.open(&s, &c, why, sizeof(why))) {
		fprintf(stderr, "bench_read: %s: %s\n", path, why);
		exit(1);
	}
	while (source_file.poll(s, &sink, why, sizeof(why)) > 0)
		;
	source_file.close(s);
}

static uint64_t run_libpcap(const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, why);
	struct pcap_pkthdr *h;
	const u_char *bytes;
	uint64_t n = 0;

	if (!p) {
		fprintf(stderr, "bench_read: %s: %s\n", path, why);
		exit(1);
	}
	while (pcap_next_ex(p, &h, &bytes) == 1)
		n++;
	pcap_close(p);
	return n;
}

static void no_end(void *ctx, uint32_t n, enum flow_end_reason reason)
{
	(void)ctx;
	(void)n;
	(void)reason;
}

static void run_table(const char *path)
{
	struct flow_table_config c = {.max_flows = 1 << 20, .end = no_end};

	c.timeout_ns[FLOW_AGE_TCP] = c.timeout_ns[FLOW_AGE_UDP] = 3600000000000ULL;
	if (flow_table_init(&table, &c))
		exit(1);
	read_all(path, decode_and_find, NULL);
	flow_table_destroy(&table);
}

static const char *class_text(const struct ip_addr *a)
{
	return addr_class_names[addr_class_of(a)];
}

static void run_whole(const char *path)
{
	struct line_config lc = {.host = "bench", .address_class = class_text};
	struct line_encoder *encoder = line_encoder_new(&lc);
	struct engine_config c;
	struct outputs *outputs = null_outputs();
	struct line_writer *writer;
	struct engine *engine;

	if (!encoder)
		exit(1);
	writer = line_writer_new(encoder, outputs);
	if (!writer)
		exit(1);
	engine_config_default(&c);
	c.max_flows = 1 << 20;
	c.sink = line_writer_sink(writer);
	engine = engine_new(&c);
	if (!engine)
		exit(1);
	read_all(path, to_engine, engine);
	engine_finish(engine, 0);
	engine_free(engine);
	line_writer_free(writer);
	if (outputs_end(outputs, UINT64_MAX))
		exit(1);
	outputs_free(outputs);
	line_encoder_free(encoder);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	char own[] = "/tmp/bench_read.XXXXXX";
	const char *path = argc > 1 ? argv[1] : own;
	double ns[KINDS][ROUNDS];
	uint64_t n = 0;
	int kind, round;

	if (argc < 2) {
		int fd = mkstemp(own);

		if (fd < 0) {
			perror(own);
			return 1;
		}
		close(fd);
		make_capture(own);
	}
	siphash_key_random(&decoder.key);
	decoder.fragments = fragments_new();
	for (round = 0; round < ROUNDS; round++)
		for (kind = 0; kind < KINDS; kind++) {
			double begin = cpu_s();

			if (kind == 0)
				n = run_libpcap(path);
			else if (kind == 1)
				read_all(path, just_decode, NULL);
			else if (kind == 2)
				run_table(path);
			else
				run_whole(path);
			ns[kind][round] = (cpu_s() - begin) * 1e9 / (double)(n ? n : 1);
		}
	if (argc < 2)
		unlink(own);
	printf("%llu packets, CPU time per packet, median of %d rounds\n", (unsigned long long)n,
	       ROUNDS);
	for (kind = 0; kind < KINDS; kind++) {
		qsort(ns[kind], ROUNDS, sizeof(ns[kind][0]), by_value);
		printf("%-28s %7.1f ns  %5.2fx\n", kind_names[kind], ns[kind][ROUNDS / 2],
		       ns[kind][ROUNDS / 2] / ns[0][ROUNDS / 2]);
	}
	fragments_free(decoder.fragments);
	return 0;
}
