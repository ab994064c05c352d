/* http.h - HTTP/1.0 and 1.1 messages of one direction of a TCP stream (RFC 9112, 9110).
 *
 * An incremental reader. The caller (flows/stream.c) puts bytes in order and feeds them; the reader
 * says how far it got, which bytes it does not need (a body with a Content-Length), and gives a
 * message head when its last byte has come. It never looks at the other direction: what it must
 * know of it (this response answers HEAD or CONNECT) it asks through a callback when a response
 * head is complete. No allocation, no clock; bytes may come in pieces of any size with the same
 * result.
 */
#ifndef FLOWS_HTTP_H
#define FLOWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_CONNECT,
	HTTP_OPTIONS,
	HTTP_TRACE,
	HTTP_PATCH,
	HTTP_METHODS
};

extern const char *const http_method_names[HTTP_METHODS];

enum http_state {
	HTTP_START,     /* a message begins at the next byte (empty lines before it are skipped) */
	HTTP_HEAD_LINE, /* inside the start line */
	HTTP_HEADERS,   /* inside the header fields */
	HTTP_BODY,      /* `remaining` body bytes to skip */
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_END,
	HTTP_TRAILERS,
	HTTP_UNTIL_CLOSE, /* a response body that ends with the connection */
	HTTP_TUNNEL,      /* after CONNECT or an upgrade: nothing more to read here */
	HTTP_LOST,        /* bytes are missing: waits for a segment that begins a message */
};

enum { HTTP_TARGET_MAX = 1024, HTTP_LINE_MAX = 256, HTTP_HEAD_MAX = 256 * 1024 };

/* What a reader must remember while it is inside a head. Most heads come in one piece, so this is
 * not part of the reader: the caller lends one (see http_reader.partial). */
struct http_partial {
	char line[HTTP_LINE_MAX];     /* the part of the current header line that matters */
	char target[HTTP_TARGET_MAX]; /* request target so far */
};

enum { HTTP_VERSION_UNKNOWN = 0xff };

/* A complete (or, with `cut`, an unfinished) message head. */
struct http_head {
	bool request;
	bool cut;           /* bytes are missing before the head's end */
	bool target_cut;    /* request: the target is not whole (HTTP_TARGET_MAX, missing bytes) */
	uint8_t method;     /* request: enum http_method */
	uint8_t version;     /* minor, 0 or 1; HTTP_VERSION_UNKNOWN in a request cut before it */
	uint16_t status;    /* response: 100 to 999 as it was sent; RFC 9110 defines up to 599 */
	bool upgrade;       /* response: 101 */
	const char *target; /* request: raw target, borrowed for the call */
	size_t target_len;
};

/* What the response reader must know of the request that it answers. */
enum http_answers {
	HTTP_ANSWERS_UNKNOWN, /* not seen: read like OTHER */
	HTTP_ANSWERS_OTHER,
	HTTP_ANSWERS_HEAD,
	HTTP_ANSWERS_CONNECT
};

struct http_reader {
	/* Lent by the caller for each feed/gap/close; must be the same one from call to call while
	 * http_reader_in_head(), and is free for others when it is not. With NULL a head that does
	 * not end in the piece where it began is given with `cut`, and the state is HTTP_LOST. */
	struct http_partial *partial;
	uint64_t remaining;  /* HTTP_BODY, HTTP_CHUNK_DATA: bytes still to skip */
	uint32_t head_bytes; /* of the head so far; above HTTP_HEAD_MAX it is no HTTP */
	uint16_t line_len, target_len, status;
	uint8_t state; /* enum http_state */
	uint8_t step;  /* the reader's place inside a start line or a chunk's frame */
	uint8_t method, version;
	uint8_t field;  /* which header field an obs-fold line would go on with */
	uint8_t coding; /* final transfer coding so far */
	bool request;   /* which kind of message this direction carries */
	bool target_cut, has_length, bad_length;
};

struct http_events {
	/* A head is complete or cut. For a response (1xx are some too): returns what it answers; a
	 * request's is ignored. */
	enum http_answers (*head)(void *ctx, const struct http_head *h);
	/* The message's last byte was passed (end of body). */
	void (*end)(void *ctx);
	void *ctx;
};

/* What the first bytes of a segment look like. */
enum http_guess { HTTP_NOT, HTTP_MAYBE /* too few bytes */, HTTP_REQUEST, HTTP_RESPONSE };

/* Cheap: one load and compares. MAYBE only for a proper prefix of a method or of "HTTP/1.". */
enum http_guess http_guess(const uint8_t *p, size_t len);

/* Inside a message head, the one place where `partial` holds something. */
static inline bool http_reader_in_head(const struct http_reader *r)
{
	return r->state == HTTP_HEAD_LINE || r->state == HTTP_HEADERS;
}

void http_reader_init(struct http_reader *r, bool request);

/* Feed the next len (at most INT_MAX) bytes in stream order. Returns the number of bytes consumed,
 * always len unless the bytes are no HTTP, or a request whose end cannot be known (its head has
 * been given): then FL_EMALFORMED and the state is HTTP_LOST. In HTTP_LOST bytes are swallowed
 * unread: the caller asks http_guess() about each segment and begins again with http_reader_init().
 */
int http_reader_feed(struct http_reader *r, const struct http_events *ev, const uint8_t *p,
		     size_t len);

/* n bytes that nobody has: skipped where a body allows it, else state HTTP_LOST (an unfinished head
 * is given with `cut` first where its target is known or begun, or its status code is known; a
 * Content-Length body that ended inside the gap gets its `end`). The answer of `head` to a cut
 * response is not used. */
void http_reader_gap(struct http_reader *r, const struct http_events *ev, uint64_t n);

/* Bytes from here on that the reader will only skip: the caller need not have them, nor in order,
 * and may pass them with http_reader_gap(). UINT64_MAX: everything until the end. HTTP_LOST: 0. */
uint64_t http_reader_skippable(const struct http_reader *r);

/* The direction has ended (FIN, RST, end of capture): finishes a body that runs until close; an
 * unfinished head is given with `cut`. */
void http_reader_close(struct http_reader *r, const struct http_events *ev);

/* From here on the direction carries something else. The response reader goes to HTTP_TUNNEL by
 * itself (101, 2xx to CONNECT); the request reader goes on with HTTP_START after CONNECT or
 * Upgrade, since a refusal may be followed by another request, until the caller says this. May be
 * called from `head` and `end`. */
void http_reader_tunnel(struct http_reader *r);

/* The path of a target as points show it: without query, fragment, scheme and authority; for
 * CONNECT the authority. *len is set. Points into target or, for an empty path, to a constant "/".
 */
const char *http_target_path(uint8_t method, const char *target, size_t target_len, size_t *len);

#endif
