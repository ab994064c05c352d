/* dns.h - one DNS message, read with nothing but bounds (RFC 1035, 6891, 6895, 4343).
 *
 * Pure functions over bytes; no state, no clock, no allocation.
 */
#ifndef FLOWS_DNS_H
#define FLOWS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/error.h"

enum {
	DNS_HEADER_SIZE = 12,
	DNS_NAME_MAX = 255,            /* wire bytes, RFC 1035 section 2.3.4 */
	DNS_NAME_TEXT_MAX = 4 * 255,   /* every byte as \DDD */
	DNS_TYPE_NAME_SIZE = 12,       /* the longest is "NSEC3PARAM", and the final 0 */
	DNS_QUESTIONS_PLAUSIBLE = 4,
};

struct dns_message {
	uint16_t id;
	bool response;     /* QR */
	bool truncated;    /* TC */
	uint8_t opcode;
	uint16_t rcode;    /* of a response 12 bits, the EDNS ones included if OPT was reached */
	uint16_t qdcount, ancount, nscount, arcount;
	bool has_question; /* qdcount > 0 and the first question was readable */
	bool question_cut; /* qdcount > 0, but the bytes ended inside the first question */
	uint16_t qtype, qclass;
	uint8_t qname_len;           /* wire bytes incl. the root label; 0 without a question */
	uint8_t qname[DNS_NAME_MAX]; /* qname_len bytes: wire form, ASCII letters lowered */
};

/* Read a message of len bytes (captured; the real one may be longer: `whole` says that it is not).
 * 0; FL_ETRUNCATED (never for a whole message): not even the header, or cut inside the question;
 * FL_EMALFORMED: no DNS message (bad name, counts that cannot fit, a whole message that ends too
 * early). m has what was read before an error, and 0 for the rest. Records behind the question are
 * walked only to find the OPT record, and a cut or odd record there is no error. */
int dns_message_read(struct dns_message *m, const uint8_t *msg, size_t len, bool whole) MUST_CHECK;

/* Cheap first look: could these bytes begin a DNS query or response with opcode QUERY? True for all
 * of those that dns_message_read() takes, but for messages with more than DNS_QUESTIONS_PLAUSIBLE
 * questions (RFC 9619 allows one) and queries that hold nothing. */
bool dns_looks_like(const uint8_t *msg, size_t len);

/* Text of an uncompressed wire name: without the final dot ("." for the root), RFC 4343 section 2.1
 * escapes ("\." "\\" and "\DDD" for what is not printable ASCII). Returns its length. */
size_t dns_name_format(const uint8_t *name, size_t len, char out[DNS_NAME_TEXT_MAX + 1]);

/* Mnemonic of a type ("A", "HTTPS", else "TYPE65280", RFC 3597); returns its length. */
size_t dns_type_name(uint16_t type, char out[DNS_TYPE_NAME_SIZE]);

/* An address record of the answer section. */
struct dns_address {
	struct ip_addr addr;
	uint32_t ttl_s; /* the smallest on the way from the question through CNAMEs */
};

/* The A and AAAA records of class IN that answer the first question (of type A, AAAA or ANY) of a
 * response, through at most 16 CNAMEs in any order, in message order, at most n. Returns how many
 * (0 where none or not readable; of a cut message those before the cut). It is bounded: of more
 * than 128 owners that are written in different places, the first 128 count. */
size_t dns_answer_addresses(const uint8_t *msg, size_t len, struct dns_address *out, size_t n);

#endif
