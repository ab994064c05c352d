/* dns_names.c - DNS names and types as text (RFC 4343, RFC 3597, IANA's registry of RR types).
 */
#include "flows/dns.h"

#include <string.h>

#include "common/wire.h"

struct type_name {
	uint16_t type;
	char name[DNS_TYPE_NAME_SIZE - 1];
};

/* https://www.iana.org/assignments/dns-parameters, 2025; ascending. 255 is "*" there, and ANY for
 * everyone who types it. */
/* clang-format off */
static const struct type_name type_names[] = {
	{1, "A"}, {2, "NS"}, {3, "MD"}, {4, "MF"}, {5, "CNAME"}, {6, "SOA"}, {7, "MB"}, {8, "MG"},
	{9, "MR"}, {10, "NULL"}, {11, "WKS"}, {12, "PTR"}, {13, "HINFO"}, {14, "MINFO"},
	{15, "MX"}, {16, "TXT"}, {17, "RP"}, {18, "AFSDB"}, {19, "X25"}, {20, "ISDN"}, {21, "RT"},
	{22, "NSAP"}, {23, "NSAP-PTR"}, {24, "SIG"}, {25, "KEY"}, {26, "PX"}, {27, "GPOS"},
	{28, "AAAA"}, {29, "LOC"}, {30, "NXT"}, {31, "EID"}, {32, "NIMLOC"}, {33, "SRV"},
	{34, "ATMA"}, {35, "NAPTR"}, {36, "KX"}, {37, "CERT"}, {38, "A6"}, {39, "DNAME"},
	{40, "SINK"}, {41, "OPT"}, {42, "APL"}, {43, "DS"}, {44, "SSHFP"}, {45, "IPSECKEY"},
	{46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {49, "DHCID"}, {50, "NSEC3"},
	{51, "NSEC3PARAM"}, {52, "TLSA"}, {53, "SMIMEA"}, {55, "HIP"}, {56, "NINFO"}, {57, "RKEY"},
	{58, "TALINK"}, {59, "CDS"}, {60, "CDNSKEY"}, {61, "OPENPGPKEY"}, {62, "CSYNC"},
	{63, "ZONEMD"}, {64, "SVCB"}, {65, "HTTPS"}, {66, "DSYNC"}, {67, "HHIT"}, {68, "BRID"},
	{99, "SPF"}, {100, "UINFO"}, {101, "UID"}, {102, "GID"}, {103, "UNSPEC"}, {104, "NID"},
	{105, "L32"}, {106, "L64"}, {107, "LP"}, {108, "EUI48"}, {109, "EUI64"}, {128, "NXNAME"},
	{249, "TKEY"}, {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"}, {253, "MAILB"}, {254, "MAILA"},
	{255, "ANY"}, {256, "URI"}, {257, "CAA"}, {258, "AVC"}, {259, "DOA"}, {260, "AMTRELAY"},
	{261, "RESINFO"}, {262, "WALLET"}, {263, "CLA"}, {264, "IPN"}, {32768, "TA"},
	{32769, "DLV"},
};
/* clang-format on */

static size_t decimal_write(char *out, unsigned int v)
{
	char digits[5];
	size_t n = 0, i;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	for (i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

size_t dns_type_name(uint16_t type, char out[DNS_TYPE_NAME_SIZE])
{
	size_t low = 0, high = sizeof(type_names) / sizeof(type_names[0]), mid, len;

	while (low < high) {
		mid = (low + high) / 2;
		if (type_names[mid].type == type) {
			len = strlen(type_names[mid].name);
			memcpy(out, type_names[mid].name, len + 1);
			return len;
		}
		if (type_names[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	memcpy(out, "TYPE", 4);
	len = 4 + decimal_write(out + 4, type);
	out[len] = 0;
	return len;
}

static char *label_format(char *p, const uint8_t *label, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t c = label[i];

		if (c < 0x21 || c > 0x7e) {
			*p++ = '\\';
			*p++ = (char)('0' + c / 100);
			*p++ = (char)('0' + c / 10 % 10);
			*p++ = (char)('0' + c % 10);
			continue;
		}
		if (c == '.' || c == '\\')
			*p++ = '\\';
		*p++ = (char)c;
	}
	return p;
}

size_t dns_name_format(const uint8_t *name, size_t len, char out[DNS_NAME_TEXT_MAX + 1])
{
	const uint8_t *label;
	struct wire w;
	char *p = out;
	uint8_t c;

	wire_init(&w, name, len < DNS_NAME_MAX ? len : DNS_NAME_MAX);
	while ((c = wire_u8(&w)) != 0) {
		label = wire_bytes(&w, c);
		if (!label)
			break;
		if (p != out)
			*p++ = '.';
		p = label_format(p, label, c);
	}
	if (p == out)
		*p++ = '.';
	*p = 0;
	return (size_t)(p - out);
}
