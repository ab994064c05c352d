/* socket_place.h - the name of a unix socket, for sink_socket.c (streams) and sink_datagram.c. */
#ifndef OUTPUT_SOCKET_PLACE_H
#define OUTPUT_SOCKET_PLACE_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "output/sink_socket.h"

struct socket_place {
	struct sockaddr_un addr;
	socklen_t size;
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* for people */
};

/* 0, or a negative error with why. */
int socket_place_set(struct socket_place *place, const char *path,
		     char why[SINK_WHY_SIZE]) MUST_CHECK;

/* What to do when connect(2) or send(2) said err to this kind of socket. */
const char *socket_place_advice(int err, bool datagram);

/* The other kind of sink_unix_open(). */
int sink_unix_datagram_open(struct sink **sink, const struct socket_place *place,
			    const struct sink_unix_config *c, char why[SINK_WHY_SIZE]) MUST_CHECK;

#endif
