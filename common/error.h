/* error.h - the one set of error values.
 *
 * A function that can fail returns 0 (or a count) or a negative value: -errno where the kernel or
 * the C library said no, else one of enum fl_error. The layer that knows the context logs, once.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum fl_error {
	FL_ETRUNCATED = -1000, /* fewer bytes captured than the headers need */
	FL_EMALFORMED = -1001, /* the bytes contradict the protocol */
	FL_EUNKNOWN = -1002,   /* a protocol that is not looked into */
	FL_EUSAGE = -1003,     /* wrong command line or configuration */
	FL_EFULL = -1004,      /* a bounded table or buffer has no room */
	FL_EFORMAT = -1005,    /* a file is not what it should be */
};

/* Text of any value returned by a function of this program; static or thread-local storage. */
const char *fl_strerror(int err);

#endif
