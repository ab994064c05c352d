/* errno_name.c - see errno_name.h. */
#include "common/errno_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME(e)                                                                                    \
	{                                                                                          \
		e, #e                                                                              \
	}

static const struct {
	unsigned int error;
	const char *name;
} names[] = {
    NAME(ECONNREFUSED),  NAME(ETIMEDOUT),    NAME(EHOSTUNREACH),
    NAME(ENETUNREACH),   NAME(ECONNRESET),   NAME(ECONNABORTED),
    NAME(EADDRNOTAVAIL), NAME(EADDRINUSE),   NAME(EACCES),
    NAME(EPERM),         NAME(ENETDOWN),     NAME(EHOSTDOWN),
    NAME(EPIPE),         NAME(EPROTO),       NAME(ENOPROTOOPT),
    NAME(EINVAL),        NAME(EAFNOSUPPORT), NAME(EPROTONOSUPPORT),
    NAME(EOPNOTSUPP),    NAME(EISCONN),      NAME(ENOTCONN),
    NAME(EALREADY),      NAME(EINPROGRESS),  NAME(EAGAIN),
    NAME(EINTR),         NAME(ENOBUFS),      NAME(ENOMEM),
    NAME(EMSGSIZE),      NAME(ENETRESET),    NAME(ESHUTDOWN),
    NAME(ENONET),        NAME(ENODEV),       NAME(ENOENT),
    NAME(EIO),           NAME(EFAULT),       NAME(EKEYREJECTED),
    NAME(EBADF),         NAME(ENXIO),        NAME(ESRCH),
    NAME(EDESTADDRREQ),
};

size_t errno_name(unsigned int error, char out[ERRNO_NAME_SIZE])
{
	size_t i, len;
	char digits[ERRNO_NAME_SIZE];

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].error != error)
			continue;
		len = strlen(names[i].name);
		memcpy(out, names[i].name, len);
		return len;
	}
	len = (size_t)snprintf(digits, sizeof(digits), "E%u", error);
	memcpy(out, digits, len);
	return len;
}
