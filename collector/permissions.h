/* permissions.h - what a refusal of the kernel means, and what grants the right.
 */
#ifndef COLLECTOR_PERMISSIONS_H
#define COLLECTOR_PERMISSIONS_H

#include <stddef.h>

/* Write to why[] that `what` ("opening a packet socket") needs the capability ("CAP_NET_RAW") and
 * the command that grants it to this program. */
void permissions_explain(char *why, size_t why_size, const char *what, const char *capability);

/* Raise RLIMIT_MEMLOCK as far as this process may: to no limit, or the soft limit to the hard one.
 * Before Linux 5.11 eBPF maps and programs count against it; a refusal is told by their load. */
void permissions_raise_memlock(void);

enum { PERMISSIONS_PROGRAM_SIZE = 256 };

/* This program's file, or how a shell finds it; in path[], or static. */
const char *permissions_program(char path[PERMISSIONS_PROGRAM_SIZE]);

#endif
