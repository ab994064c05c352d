/* fuzz_dns.c - any bytes as a DNS message: bounds, and what the reader promises of its results.
 *
 * The first byte's lowest bit says whether the rest is a whole message; bits 1 and up, at most how
 * many addresses are asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "flows/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_message(const struct dns_message *m)
{
	char text[DNS_NAME_TEXT_MAX + 1], type[DNS_TYPE_NAME_SIZE];
	size_t i, len;

	require(m->has_question == (m->qname_len > 0));
	require(!(m->has_question && m->question_cut) && m->rcode < 4096 && m->opcode < 16);
	if (!m->has_question)
		return;
	require(m->qname[m->qname_len - 1] == 0);
	for (i = 0; i < m->qname_len; i++)
		require(m->qname[i] < 'A' || m->qname[i] > 'Z');
	len = dns_name_format(m->qname, m->qname_len, text);
	require(len > 0 && len <= DNS_NAME_TEXT_MAX && strlen(text) == len);
	for (i = 0; i < len; i++)
		require(text[i] > ' ' && text[i] <= '~');
	len = dns_type_name(m->qtype, type);
	require(len > 0 && len < DNS_TYPE_NAME_SIZE && strlen(type) == len);
}

/* What was cut says less than the whole, but nothing else. */
static void check_cut(const struct dns_message *whole, const uint8_t *msg, size_t len)
{
	struct dns_message cut;
	int err = dns_message_read(&cut, msg, len / 2, false);

	require(err == 0 || err == FL_ETRUNCATED);
	check_message(&cut);
	if (cut.has_question)
		require(cut.qname_len == whole->qname_len && cut.qtype == whole->qtype &&
			!memcmp(cut.qname, whole->qname, cut.qname_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_address out[128];
	struct dns_message m;
	uint8_t *msg;
	bool whole;
	size_t n;
	int err;

	if (size < 1)
		return 0;
	whole = data[0] & 1;
	n = data[0] >> 1;
	data++;
	size--;
	msg = malloc(size ? size : 1); /* of the exact size, for the sanitizer */
	require(msg != NULL);
	memcpy(msg, data, size);
	err = dns_message_read(&m, msg, size, whole);
	require(err == 0 || err == FL_EMALFORMED || (err == FL_ETRUNCATED && !whole));
	check_message(&m);
	if (err == 0 && m.opcode == 0 && m.qdcount <= DNS_QUESTIONS_PLAUSIBLE &&
	    (m.response || m.qdcount + m.ancount + m.nscount + m.arcount > 0))
		require(dns_looks_like(msg, size));
	if (err == 0)
		check_cut(&m, msg, size);
	require(dns_answer_addresses(msg, size, out, n) <= n);
	free(msg);
	return 0;
}
