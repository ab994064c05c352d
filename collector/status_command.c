/* status_command.c - `flowline status`: asks the running collector and shows what it says.
 *
 * Exit status: 0 all is well; 1 it cannot be reached; 3 it runs, but something is lost or an output
 * does not deliver (docs/status.md).
 */
#include "collector/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/status_client.h"
#include "common/log.h"

int command_status(const struct options *o)
{
	const char *path = o->socket ? o->socket : o->conf.status.socket;
	char why[STATUS_WHY_SIZE];
	struct buffer answer;
	int status;

	if (!path[0]) {
		log_error("status.socket is empty, so that nothing can be asked: set it and start "
			  "flowline again, or name a running one's with --socket");
		return EXIT_FAILED;
	}
	buffer_init(&answer, STATUS_ANSWER_MOST);
	status = status_ask(path, o->json, STATUS_TIMEOUT_MS, &answer, why);
	if (status < 0) {
		log_error("%s", why);
		buffer_free(&answer);
		return EXIT_FAILED;
	}
	fwrite(answer.s, 1, answer.len, stdout);
	buffer_free(&answer);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return status ? EXIT_UNWELL : EXIT_OK;
}
