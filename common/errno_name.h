/* errno_name.h - the name of an errno as text: "ECONNREFUSED".
 *
 * Those that connect(2), accept(2) and what is below them give (net/ipv4 and net/ipv6 of Linux 3.10
 * to 6.18); any other is "E" and its number, so that no value is lost.
 */
#ifndef COMMON_ERRNO_NAME_H
#define COMMON_ERRNO_NAME_H

#include <stddef.h>

enum { ERRNO_NAME_SIZE = 24 };

/* Writes the name (no final 0) to out; returns its length. */
size_t errno_name(unsigned int error, char out[ERRNO_NAME_SIZE]);

#endif
