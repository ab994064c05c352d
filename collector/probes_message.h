/* probes_message.h - libbpf's messages: kept for a reason, never written to standard error by
 * libbpf.
 *
 * Threads: what is kept belongs to the thread of the kernel source; other threads' messages are
 * only told to the log, with -v.
 */
#ifndef COLLECTOR_PROBES_MESSAGE_H
#define COLLECTOR_PROBES_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "collector/kernel_source.h"

/* Forget what was said; from now on libbpf's messages come here. verbose: warnings to the log as
 * well. */
void probes_message_begin(bool verbose);

/* The program that libbpf spoke of last, as "prog 'NAME'"; "": of none. */
const char *probes_message_program(void);

/* What of this host makes it refuse with err, as the beginning of a reason: kernel lockdown,
 * RLIMIT_MEMLOCK. "": nothing that is known. Static. */
const char *probes_message_cause(int err);

/* The same as a whole sentence, and what would mend it. False: nothing that is known, and why
 * stays. */
bool probes_message_host(int err, char why[KERNEL_WHY_SIZE]);

/* In short why loading failed with err: the host's cause, and the verifier's last words, or
 * libbpf's, or the error's text. */
void probes_message_reason(int err, char *out, size_t size);

/* A whole sentence for where nothing could be loaded: what is missing, and what would mend it. */
void probes_message_mend(int err, const char *btf_path, char why[KERNEL_WHY_SIZE]);

/* Has this process the capabilities that eBPF wants? */
bool probes_message_permitted(void);

/* One message, as libbpf says it: for tests. */
void probes_message_take(const char *text);

#endif
