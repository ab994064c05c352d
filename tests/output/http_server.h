/* http_server.h - a server in a thread of the test, on 127.0.0.1, that answers as it was told and
 * keeps what it was asked.
 */
#ifndef TESTS_OUTPUT_HTTP_SERVER_H
#define TESTS_OUTPUT_HTTP_SERVER_H

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVER_HEAD = 8192, SERVER_BODY = 4 * 1024 * 1024 };

struct http_server {
	int listener, port;
	pthread_t thread;
	/* the answer to every request, set between two sends */
	const char *answer;
	size_t filler;     /* bytes behind it */
	int delay_ms;      /* before it */
	bool in_pieces;    /* byte by byte */
	bool close_after;  /* then close */
	bool speak_first;  /* before anything was asked, then close */
	bool close_before; /* read the request's head, then close */
	/* what came */
	int connections, requests;
	char head[SERVER_HEAD]; /* of the last request */
	char *body;
	size_t body_size;
	int stop;
};

static bool server_stopped(struct http_server *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
}

/* Wait in small steps, so that an end is seen. */
static bool server_wait(struct http_server *s, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	while (!server_stopped(s))
		if (poll(&p, 1, 20) > 0)
			return true;
	return false;
}

/* A request into head and body; false: the client is gone. */
static bool server_read(struct http_server *s, int fd)
{
	size_t n = 0, want;
	const char *length;
	char *end = NULL;
	ssize_t got;

	while (!end) {
		if (n >= SERVER_HEAD - 1 || !server_wait(s, fd))
			return false;
		got = recv(fd, s->head + n, 1, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
		s->head[n] = 0;
		end = strstr(s->head, "\r\n\r\n");
	}
	s->body_size = 0;
	if (s->close_before)
		return true;
	length = strcasestr(s->head, "\r\nContent-Length:");
	want = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
	while (s->body_size < want && want <= SERVER_BODY) {
		if (!server_wait(s, fd))
			return false;
		got = recv(fd, s->body + s->body_size, want - s->body_size, 0);
		if (got <= 0)
			return false;
		s->body_size += (size_t)got;
	}
	return true;
}

static bool server_send(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

static bool server_answer(struct http_server *s, int fd)
{
	static const char filler[65536] = "";
	const char *a = s->answer;
	/* all before the client may go on and set others */
	bool close_after = s->close_after, in_pieces = s->in_pieces;
	size_t left = s->filler;
	int ms;

	for (ms = 0; ms < s->delay_ms && !server_stopped(s); ms += 10)
		poll(NULL, 0, 10);
	if (s->close_before)
		return false;
	if (!in_pieces && !server_send(fd, a, strlen(a)))
		return false;
	for (; in_pieces && *a; a++)
		if (!server_send(fd, a, 1))
			return false;
	while (left) {
		size_t n = left < sizeof(filler) ? left : sizeof(filler);

		if (!server_send(fd, filler, n))
			return false;
		left -= n;
	}
	return !close_after;
}

static void *server_run(void *ctx)
{
	struct http_server *s = ctx;

	while (server_wait(s, s->listener)) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0)
			continue;
		s->connections++;
		if (s->speak_first)
			server_send(fd, s->answer, strlen(s->answer));
		while (!s->speak_first && server_read(s, fd)) {
			s->requests++;
			if (!server_answer(s, fd))
				break;
		}
		close(fd);
	}
	return NULL;
}

/* False: no sockets here. */
static bool server_start(struct http_server *s)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	memset(s, 0, sizeof(*s));
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->answer = "HTTP/1.1 204 No Content\r\n\r\n";
	s->body = malloc(SERVER_BODY);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!s->body || s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(s->listener, 16) || getsockname(s->listener, (struct sockaddr *)&a, &len))
		return false;
	s->port = ntohs(a.sin_port);
	return !pthread_create(&s->thread, NULL, server_run, s);
}

static void server_end(struct http_server *s)
{
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
	close(s->listener);
	free(s->body);
}

#endif
