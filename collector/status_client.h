/* status_client.h - asks a running collector for its status (status.h).
 */
#ifndef COLLECTOR_STATUS_CLIENT_H
#define COLLECTOR_STATUS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/buffer.h"
#include "collector/status.h"
#include "common/error.h"

/* Ask at the socket, and wait for the whole answer until timeout_ms have passed. It is put into
 * answer. 0 (all is well) or 3 (it runs, but not well); or negative with why[], a sentence with the
 * mend; answer is not to be used then. */
int status_ask(const char *path, bool json, unsigned int timeout_ms, struct buffer *answer,
	       char why[STATUS_WHY_SIZE]) MUST_CHECK;

#endif
