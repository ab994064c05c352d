/* doctor.c - `flowline doctor`: what works on this host, what does not, and what would mend it.
 *
 * Exit status: 0 the packet tier works, 1 it does not (docs/kernel.md).
 */
#include "collector/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/commands.h"
#include "collector/permissions.h"
#include "common/log.h"

int command_doctor(const struct options *o)
{
	static struct doctor d;
	char path[PERMISSIONS_PROGRAM_SIZE];
	struct buffer page;
	int status;

	doctor_try(&d, o);
	doctor_advise(&d, permissions_program(path));
	status = d.packet_works ? EXIT_OK : EXIT_FAILED;
	buffer_init(&page, DOCTOR_ANSWER_MOST);
	if (o->json)
		doctor_json(&page, &d);
	else
		doctor_text(&page, &d);
	if (page.failed || !page.s) {
		log_error("memory was refused");
		status = EXIT_FAILED;
	} else {
		fwrite(page.s, 1, page.len, stdout);
	}
	buffer_free(&page);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
