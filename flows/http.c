/* http.c - HTTP/1.0 and 1.1 messages of one direction of a TCP stream.
 *
 * Start lines, field lines, body length and chunks follow RFC 9112 (2.2, 3, 4, 5, 6.3, 7.1),
 * methods and status codes RFC 9110. The reader stands beside the wire: where the RFC lets a
 * recipient be lenient it is; where it has one answer 400 and close, the bytes are no HTTP
 * (HTTP_LOST), since nobody can say how the two ends went on.
 *
 * One state machine does both a whole head and single bytes, so pieces of any size give the same
 * events. Text is looked at where it lies; only what a piece leaves unfinished is copied.
 */
#include <stddef.h>
#include <string.h>

#include "common/error.h"
#include "flows/http.h"

/* A method's letters as http_reader.remaining gathers them: the last one lowest. */
#define WORD(a, b, c, d, e, f, g)                                                                  \
	((uint64_t)(a) << 48 | (uint64_t)(b) << 40 | (uint64_t)(c) << 32 | (uint64_t)(d) << 24 |   \
	 (uint64_t)(e) << 16 | (uint64_t)(f) << 8 | (uint64_t)(g))

static const uint64_t method_words[HTTP_METHODS] = {
    [HTTP_GET] = WORD(0, 0, 0, 0, 'G', 'E', 'T'),
    [HTTP_HEAD] = WORD(0, 0, 0, 'H', 'E', 'A', 'D'),
    [HTTP_POST] = WORD(0, 0, 0, 'P', 'O', 'S', 'T'),
    [HTTP_PUT] = WORD(0, 0, 0, 0, 'P', 'U', 'T'),
    [HTTP_DELETE] = WORD(0, 'D', 'E', 'L', 'E', 'T', 'E'),
    [HTTP_CONNECT] = WORD('C', 'O', 'N', 'N', 'E', 'C', 'T'),
    [HTTP_OPTIONS] = WORD('O', 'P', 'T', 'I', 'O', 'N', 'S'),
    [HTTP_TRACE] = WORD(0, 0, 'T', 'R', 'A', 'C', 'E'),
    [HTTP_PATCH] = WORD(0, 0, 'P', 'A', 'T', 'C', 'H'),
};

/* The steps of a start line stand in the order in which a line passes them: cut_head() compares. */
enum step {
	STEP_METHOD,
	STEP_TARGET_SPACE,
	STEP_TARGET,
	STEP_VERSION_SPACE,
	STEP_VERSION, /* a response begins here */
	STEP_LINE_END,
	STEP_CODE_SPACE,
	STEP_CODE,
	STEP_CODE_END,
	STEP_REASON,
	/* The frame of a chunk. */
	STEP_SIZE_DIGITS,
	STEP_SIZE_EXTENSION,
	STEP_DATA_END,
	STEP_DATA_END_LF,
};

enum field { FIELD_OTHER, FIELD_LENGTH, FIELD_CODING };

enum coding {
	CODING_NONE,
	CODING_CHUNKED, /* the final one is chunked */
	CODING_OTHER,   /* the final one is not: nothing tells the length */
};

/* The bytes of one feed, and what began in them but did not end so far. */
struct piece {
	const uint8_t *p, *end;
	const uint8_t *target; /* where a target began in this piece; NULL: it is in http_partial */
	const uint8_t *line;   /* where the field line begins that the piece leaves open */
};

/* Whitespace between words of a start line, as lenient as RFC 9112 section 3 allows. */
static inline bool is_space(uint8_t b)
{
	return b == ' ' || (b >= '\t' && b <= '\r' && b != '\n');
}

static inline bool is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

static inline uint8_t lower(uint8_t b)
{
	return b >= 'A' && b <= 'Z' ? b | 0x20 : b;
}

static void lost(struct http_reader *r)
{
	r->state = HTTP_LOST;
}

/* n more bytes of a head, chunk size line or trailer section. False, and lost: it is endless. */
static bool count(struct http_reader *r, size_t n)
{
	if (n > HTTP_HEAD_MAX - r->head_bytes) {
		lost(r);
		return false;
	}
	r->head_bytes += (uint32_t)n;
	return true;
}

void http_reader_init(struct http_reader *r, bool request)
{
	memset(r, 0, sizeof(*r));
	r->request = request;
	r->state = HTTP_START;
}

void http_reader_tunnel(struct http_reader *r)
{
	r->state = HTTP_TUNNEL;
}

/* --- events --- */

static enum http_answers give_head(struct http_reader *r, const struct http_events *ev,
				   const struct piece *c, bool cut, bool target_cut)
{
	struct http_head h = {0};

	h.request = r->request;
	h.cut = cut;
	h.version = r->version;
	if (r->request) {
		h.target_cut = target_cut;
		h.method = r->method;
		h.target = c && c->target ? (const char *)c->target : r->partial->target;
		h.target_len = r->target_len;
	} else {
		h.status = r->status;
		h.upgrade = r->status == 101;
	}
	return ev->head(ev->ctx, &h);
}

/* The rest of the head is missing: give what is known of it, if that is enough to be of use. */
static void cut_head(struct http_reader *r, const struct http_events *ev, const struct piece *c)
{
	bool line_done = r->state == HTTP_HEADERS, known;

	if (r->request) {
		/* An earlier step has no target, not even the one of the message before. */
		known = (line_done || r->step >= STEP_TARGET) && r->target_len &&
			(r->partial || (c && c->target));
		if (!line_done && r->step < STEP_LINE_END)
			r->version = HTTP_VERSION_UNKNOWN;
	} else {
		known = line_done || r->step >= STEP_CODE_END;
	}
	if (known)
		give_head(r, ev, c, true, r->target_cut || (!line_done && r->step == STEP_TARGET));
	if (r->state != HTTP_TUNNEL)
		lost(r);
}

/* The message is complete; next is HTTP_START or HTTP_TUNNEL. */
static void message_end(struct http_reader *r, const struct http_events *ev, enum http_state next)
{
	r->state = (uint8_t)next;
	ev->end(ev->ctx);
}

/* --- start lines --- */

static void line_begin(struct http_reader *r)
{
	r->state = HTTP_HEAD_LINE;
	r->step = r->request ? STEP_METHOD : STEP_VERSION;
	r->remaining = 0;
	r->head_bytes = 0;
	r->line_len = r->target_len = r->status = 0;
	r->field = FIELD_OTHER;
	r->coding = CODING_NONE;
	r->target_cut = r->has_length = r->bad_length = false;
}

static void line_end(struct http_reader *r)
{
	r->state = HTTP_HEADERS;
	r->remaining = 0;
	r->line_len = 0;
}

static void method_end(struct http_reader *r, uint8_t after)
{
	unsigned int m;

	for (m = 0; m < HTTP_METHODS && method_words[m] != r->remaining; m++)
		;
	if (m == HTTP_METHODS || !is_space(after)) {
		lost(r);
		return;
	}
	r->method = (uint8_t)m;
	r->step = STEP_TARGET_SPACE;
}

static void step_method(struct http_reader *r, struct piece *c)
{
	while (c->p < c->end) {
		uint8_t b = *c->p++;

		if (b < 'A' || b > 'Z' || r->remaining >> 48) {
			method_end(r, b);
			return;
		}
		r->remaining = r->remaining << 8 | b;
	}
}

static void step_target(struct http_reader *r, struct piece *c)
{
	const uint8_t *from = c->p;
	size_t n, room = (size_t)HTTP_TARGET_MAX - r->target_len;

	/* The first compare is all that most bytes need. */
	while (c->p < c->end && (*c->p > ' ' || !(is_space(*c->p) || *c->p == '\n')))
		c->p++;
	n = (size_t)(c->p - from);
	if (n > room) {
		n = room;
		r->target_cut = true;
	}
	if (!c->target && n)
		memcpy(r->partial->target + r->target_len, from, n);
	r->target_len += (uint16_t)n;
	if (c->p < c->end)
		r->step = STEP_VERSION_SPACE;
}

/* Whitespace between words; false where it goes on in the next piece or the line ends too early. */
static bool pass_space(struct http_reader *r, struct piece *c)
{
	while (c->p < c->end && is_space(*c->p))
		c->p++;
	if (c->p == c->end)
		return false;
	if (*c->p == '\n') {
		lost(r);
		return false;
	}
	return true;
}

static void step_version(struct http_reader *r, struct piece *c)
{
	static const char name[] = "HTTP/1.";
	uint8_t b;

	/* In one piece, as nearly always; the bytes one by one below. */
	if (!r->line_len && c->end - c->p >= (ptrdiff_t)sizeof(name) &&
	    !memcmp(c->p, name, sizeof(name) - 1)) {
		c->p += sizeof(name) - 1;
		r->line_len = sizeof(name) - 1;
	}
	b = *c->p++;
	if (r->line_len < sizeof(name) - 1) {
		if (b != (uint8_t)name[r->line_len++])
			lost(r);
		return;
	}
	if (b != '0' && b != '1') {
		lost(r);
		return;
	}
	r->version = b - '0';
	r->line_len = 0;
	r->step = r->request ? STEP_LINE_END : STEP_CODE_SPACE;
}

/* A space and three digits in one piece; false where it is anything else, or less. */
static bool whole_code(struct http_reader *r, struct piece *c)
{
	const uint8_t *p = c->p;

	if (r->step != STEP_CODE_SPACE || c->end - p < 4 || p[0] != ' ' || !is_digit(p[1]) ||
	    !is_digit(p[2]) || !is_digit(p[3]))
		return false;
	c->p += 4;
	r->status = (uint16_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + p[3] - '0');
	if (r->status < 100)
		lost(r);
	r->step = STEP_CODE_END;
	return true;
}

/* Whitespace, at least one, and the three digits of a status code. */
static void step_code(struct http_reader *r, struct piece *c)
{
	uint8_t b;

	if (whole_code(r, c))
		return;
	b = *c->p++;
	if (is_space(b) && r->line_len == 0) {
		r->step = STEP_CODE;
		return;
	}
	if (r->step != STEP_CODE || !is_digit(b)) {
		lost(r);
		return;
	}
	r->status = (uint16_t)(r->status * 10 + b - '0');
	if (++r->line_len < 3)
		return;
	if (r->status < 100)
		lost(r);
	r->step = STEP_CODE_END;
}

static void step_reason(struct http_reader *r, struct piece *c)
{
	const uint8_t *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));

	c->p = nl ? nl + 1 : c->end;
	if (nl)
		line_end(r);
}

static void start_line_step(struct http_reader *r, struct piece *c)
{
	switch (r->step) {
	case STEP_METHOD:
		step_method(r, c);
		break;
	case STEP_TARGET_SPACE:
		if (pass_space(r, c)) {
			c->target = c->p;
			r->step = STEP_TARGET;
		}
		break;
	case STEP_TARGET:
		step_target(r, c);
		break;
	case STEP_VERSION_SPACE:
		if (pass_space(r, c)) {
			r->line_len = 0;
			r->step = STEP_VERSION;
		}
		break;
	case STEP_VERSION:
		step_version(r, c);
		break;
	case STEP_LINE_END:
		if (*c->p == '\r' && c->end - c->p > 1)
			c->p++;
		if (*c->p == '\n')
			line_end(r);
		else if (!is_space(*c->p))
			lost(r);
		c->p++;
		break;
	case STEP_CODE_SPACE:
	case STEP_CODE:
		step_code(r, c);
		break;
	case STEP_CODE_END:
		if (!is_space(*c->p) && *c->p != '\n')
			lost(r);
		r->step = STEP_REASON;
		break;
	default:
		step_reason(r, c);
	}
}

static void start_line(struct http_reader *r, struct piece *c)
{
	const uint8_t *from = c->p;

	do
		start_line_step(r, c);
	while (r->state == HTTP_HEAD_LINE && c->p < c->end);
	count(r, (size_t)(c->p - from));
}

/* RFC 9112 section 2.2: a server should ignore an empty line before a request; some clients and
 * servers end a body with one more CRLF than they announced. */
static void start(struct http_reader *r, struct piece *c)
{
	while (c->p < c->end && (*c->p == '\r' || *c->p == '\n'))
		c->p++;
	if (c->p < c->end)
		line_begin(r);
}

/* --- field lines --- */

static bool name_is(const uint8_t *p, size_t n, const char *name, size_t name_len)
{
	size_t i;

	/* The last one first: a field's colon, where few other names have one. */
	if (n < name_len || lower(p[name_len - 1]) != (uint8_t)name[name_len - 1])
		return false;
	for (i = 0; i < name_len; i++)
		if (lower(p[i]) != (uint8_t)name[i])
			return false;
	return true;
}

/* The next element of a comma list, without the whitespace around it; empty ones are passed over
 * (RFC 9110 section 5.6.1.2). */
static bool list_next(const uint8_t **p, const uint8_t *end, const uint8_t **item, size_t *len)
{
	const uint8_t *q = *p, *comma;

	while (q < end && (*q == ' ' || *q == '\t' || *q == ','))
		q++;
	if (q == end)
		return false;
	comma = memchr(q, ',', (size_t)(end - q));
	*p = comma ? comma : end;
	*item = q;
	for (q = *p; q[-1] == ' ' || q[-1] == '\t'; q--)
		;
	*len = (size_t)(q - *item);
	return true;
}

/* RFC 9112 section 6.3 item 5: a list of equal values is one value; anything else is unusable. */
static void content_length(struct http_reader *r, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *item;
	uint64_t v;
	size_t len, i;

	while (list_next(&p, end, &item, &len)) {
		for (v = 0, i = 0; i < len; i++) {
			uint8_t d = (uint8_t)(item[i] - '0');

			if (d > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - d) {
				r->bad_length = true;
				return;
			}
			v = v * 10 + d;
		}
		if (r->has_length && v != r->remaining)
			r->bad_length = true;
		r->remaining = v;
		r->has_length = true;
	}
}

/* RFC 9112 section 6.1. "identity" was no coding (RFC 2616 section 3.6), and is still sent. */
static void transfer_encoding(struct http_reader *r, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *item;
	size_t len, n;

	while (list_next(&p, end, &item, &len)) {
		for (n = 0; n < len && item[n] != ';' && item[n] != ' ' && item[n] != '\t'; n++)
			;
		if (n == 7 && name_is(item, n, "chunked", 7))
			r->coding = CODING_CHUNKED;
		else if (n != 8 || !name_is(item, n, "identity", 8))
			r->coding = CODING_OTHER;
	}
}

/* Which field a line begins; the length of its name and colon. Few lines pass the first letter. */
static size_t field_name(const uint8_t *line, size_t len, uint8_t *field)
{
	static const char length[] = "content-length:", coding[] = "transfer-encoding:";
	static const char usual[] = "Content-Length:";

	switch (line[0]) {
	case 'c':
	case 'C':
		if (!(len >= sizeof(usual) - 1 && !memcmp(line, usual, sizeof(usual) - 1)) &&
		    !name_is(line, len, length, sizeof(length) - 1))
			break;
		*field = FIELD_LENGTH;
		return sizeof(length) - 1;
	case 't':
	case 'T':
		if (!name_is(line, len, coding, sizeof(coding) - 1))
			break;
		*field = FIELD_CODING;
		return sizeof(coding) - 1;
	default:
		break;
	}
	*field = FIELD_OTHER;
	return 0;
}

/* A field line without its LF. Of one above HTTP_LINE_MAX bytes, line holds that many.
 * A line that begins with whitespace goes on with the value before it (obs-fold, section 5.2); the
 * two fields that count are lists, so a folded line is read like one more list. */
static void field_line(struct http_reader *r, const uint8_t *line, size_t len)
{
	const uint8_t *end = line + (len > HTTP_LINE_MAX ? HTTP_LINE_MAX : len);
	bool fold = line[0] == ' ' || line[0] == '\t';
	size_t name_len = 0;

	if (!fold)
		name_len = field_name(line, len, &r->field);
	if (r->field == FIELD_OTHER)
		return;
	if (len > HTTP_LINE_MAX) { /* what was cut off may change the meaning */
		r->bad_length |= r->field == FIELD_LENGTH;
		if (r->field == FIELD_CODING)
			r->coding = CODING_OTHER;
		return;
	}
	if (len > name_len && end[-1] == '\r')
		end--;
	if (r->field == FIELD_LENGTH)
		content_length(r, line + name_len, end);
	else
		transfer_encoding(r, line + name_len, end);
}

/* The head is complete: RFC 9112 section 6.3 in its order. */
static void body_begin(struct http_reader *r, const struct http_events *ev,
		       enum http_answers answers)
{
	bool tunnel = false, empty = false;

	if (!r->request) {
		tunnel = r->status == 101 ||
			 (answers == HTTP_ANSWERS_CONNECT && r->status >= 200 && r->status < 300);
		empty = tunnel || answers == HTTP_ANSWERS_HEAD || r->status < 200 ||
			r->status == 204 || r->status == 304;
	}
	if (empty) {
		r->remaining = 0;
		message_end(r, ev, tunnel ? HTTP_TUNNEL : HTTP_START);
	} else if (r->coding == CODING_CHUNKED) {
		r->state = HTTP_CHUNK_SIZE;
		r->step = STEP_SIZE_DIGITS;
		r->remaining = 0;
		r->head_bytes = 0;
		r->line_len = 0;
	} else if (r->coding == CODING_OTHER || r->bad_length) {
		r->state = r->request ? HTTP_LOST : HTTP_UNTIL_CLOSE;
	} else if (r->has_length && r->remaining) {
		r->state = HTTP_BODY;
	} else if (r->has_length || r->request) {
		message_end(r, ev, HTTP_START);
	} else {
		r->state = HTTP_UNTIL_CLOSE;
	}
}

/* Copy the piece of a field line that this feed leaves unfinished, as far as it is wanted. */
static void keep_line(struct http_reader *r, const uint8_t *p, size_t n)
{
	size_t room = r->line_len < HTTP_LINE_MAX ? (size_t)HTTP_LINE_MAX - r->line_len : 0;

	if (room)
		memcpy(r->partial->line + r->line_len, p, n < room ? n : room);
	r->line_len = (uint16_t)(n > room ? HTTP_LINE_MAX + 1 : r->line_len + n);
}

static void headers(struct http_reader *r, const struct http_events *ev, struct piece *c)
{
	while (c->p < c->end) {
		const uint8_t *line = c->p, *nl = memchr(line, '\n', (size_t)(c->end - line));
		size_t len = (size_t)((nl ? nl : c->end) - line);

		c->p = nl ? nl + 1 : c->end;
		if (!count(r, (size_t)(c->p - line)))
			return;
		if (!nl) {
			c->line = line;
			return;
		}
		if (r->line_len) {
			keep_line(r, line, len);
			line = (const uint8_t *)r->partial->line;
			len = r->line_len;
			r->line_len = 0;
		}
		if (len == 0 || (len == 1 && line[0] == '\r')) {
			enum http_answers a = give_head(r, ev, c, false, r->target_cut);

			c->target = NULL;
			if (r->state == HTTP_HEADERS)
				body_begin(r, ev, a);
			return;
		}
		field_line(r, line, len);
	}
}

/* The piece ended inside a head: keep what the rest of it will need. */
static void keep(struct http_reader *r, const struct http_events *ev, const struct piece *c)
{
	if (!r->partial) {
		cut_head(r, ev, c);
		return;
	}
	if (c->target)
		memcpy(r->partial->target, c->target, r->target_len);
	if (c->line)
		keep_line(r, c->line, (size_t)(c->end - c->line));
}

/* --- bodies --- */

/* Pass over at most n body bytes; returns how many of them were the body's. */
static uint64_t body(struct http_reader *r, const struct http_events *ev, uint64_t n)
{
	if (n > r->remaining)
		n = r->remaining;
	r->remaining -= n;
	if (r->remaining)
		return n;
	if (r->state == HTTP_BODY) {
		message_end(r, ev, HTTP_START);
	} else {
		r->state = HTTP_CHUNK_END;
		r->step = STEP_DATA_END;
	}
	return n;
}

static int hex_value(uint8_t b)
{
	if (is_digit(b))
		return b - '0';
	b = lower(b);
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* chunk-size [ chunk-ext ] CRLF, RFC 9112 section 7.1; some servers pad the size with spaces. */
static void chunk_size(struct http_reader *r, struct piece *c)
{
	const uint8_t *from = c->p, *nl;

	while (r->step == STEP_SIZE_DIGITS && c->p < c->end) {
		int v = hex_value(*c->p);

		if (v < 0) {
			if (!r->line_len || (*c->p != ';' && *c->p != '\n' && !is_space(*c->p))) {
				lost(r);
				return;
			}
			r->step = STEP_SIZE_EXTENSION;
		} else if (r->remaining >> 60) {
			lost(r);
			return;
		} else {
			r->remaining = r->remaining << 4 | (uint64_t)v;
			r->line_len = 1; /* a digit was seen */
			c->p++;
		}
	}
	nl = c->p < c->end ? memchr(c->p, '\n', (size_t)(c->end - c->p)) : NULL;
	c->p = nl ? nl + 1 : c->end;
	if (!count(r, (size_t)(c->p - from)) || !nl)
		return;
	r->state = r->remaining ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
	r->head_bytes = 0;
	r->line_len = 0;
}

static void chunk_end(struct http_reader *r, struct piece *c)
{
	uint8_t b = *c->p++;

	if (b == '\n') {
		r->state = HTTP_CHUNK_SIZE;
		r->step = STEP_SIZE_DIGITS;
		r->head_bytes = 0;
		r->line_len = 0;
	} else if (b == '\r' && r->step == STEP_DATA_END) {
		r->step = STEP_DATA_END_LF;
	} else {
		lost(r);
	}
}

/* Trailer fields up to an empty line. line_len: 0 at a line's beginning, 1 after its CR, else 2. */
static void trailers(struct http_reader *r, const struct http_events *ev, struct piece *c)
{
	const uint8_t *line = c->p, *nl = memchr(line, '\n', (size_t)(c->end - line));
	size_t len = (size_t)((nl ? nl : c->end) - line);

	if (len)
		r->line_len = r->line_len == 0 && len == 1 && line[0] == '\r' ? 1 : 2;
	c->p = nl ? nl + 1 : c->end;
	if (!count(r, (size_t)(c->p - line)) || !nl)
		return;
	if (r->line_len < 2)
		message_end(r, ev, HTTP_START);
	r->line_len = 0;
}

/* --- the reader --- */

int http_reader_feed(struct http_reader *r, const struct http_events *ev, const uint8_t *p,
		     size_t len)
{
	struct piece c = {p, p + len, NULL, NULL};

	if (http_reader_in_head(r) && !r->partial) {
		lost(r);
		return FL_EMALFORMED;
	}
	while (c.p < c.end) {
		switch (r->state) {
		case HTTP_START:
			start(r, &c);
			break;
		case HTTP_HEAD_LINE:
			start_line(r, &c);
			break;
		case HTTP_HEADERS:
			headers(r, ev, &c);
			break;
		case HTTP_BODY:
		case HTTP_CHUNK_DATA:
			c.p += body(r, ev, (uint64_t)(c.end - c.p));
			break;
		case HTTP_CHUNK_SIZE:
			chunk_size(r, &c);
			break;
		case HTTP_CHUNK_END:
			chunk_end(r, &c);
			break;
		case HTTP_TRAILERS:
			trailers(r, ev, &c);
			break;
		default: /* a tunnel, until close, or lost before this piece */
			return (int)len;
		}
		if (r->state == HTTP_LOST)
			return FL_EMALFORMED;
	}
	if (http_reader_in_head(r))
		keep(r, ev, &c);
	return (int)len;
}

void http_reader_gap(struct http_reader *r, const struct http_events *ev, uint64_t n)
{
	if (!n)
		return;
	switch (r->state) {
	case HTTP_BODY:
	case HTTP_CHUNK_DATA:
		if (body(r, ev, n) < n && r->state != HTTP_TUNNEL)
			lost(r);
		break;
	case HTTP_HEAD_LINE:
	case HTTP_HEADERS:
		cut_head(r, ev, NULL);
		break;
	case HTTP_UNTIL_CLOSE:
	case HTTP_TUNNEL:
		break;
	default:
		lost(r);
	}
}

uint64_t http_reader_skippable(const struct http_reader *r)
{
	switch (r->state) {
	case HTTP_BODY:
	case HTTP_CHUNK_DATA:
		return r->remaining;
	case HTTP_UNTIL_CLOSE:
	case HTTP_TUNNEL:
		return UINT64_MAX;
	default:
		return 0;
	}
}

void http_reader_close(struct http_reader *r, const struct http_events *ev)
{
	switch (r->state) {
	case HTTP_UNTIL_CLOSE:
		message_end(r, ev, HTTP_START);
		break;
	case HTTP_HEAD_LINE:
	case HTTP_HEADERS:
		cut_head(r, ev, NULL);
		break;
	case HTTP_START:
	case HTTP_TUNNEL:
		break;
	default:
		lost(r);
	}
}
