/* commands.h - what main() calls: one function for each command. They return the exit status.
 */
#ifndef COLLECTOR_COMMANDS_H
#define COLLECTOR_COMMANDS_H

#include "collector/options.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* something went wrong at run time */
	EXIT_USAGE = 2,  /* the command line or the configuration is wrong */
	EXIT_UNWELL = 3, /* status: it runs, but something is lost or an output does not deliver */
};

int command_read(const struct options *o);         /* read.c */
int command_run(const struct options *o);          /* run.c */
int command_filters(const struct options *o);      /* show_filters.c */
int command_check_config(const struct options *o); /* check_config.c */
int command_status(const struct options *o);       /* status_command.c */
int command_doctor(const struct options *o);       /* doctor.c */

/* help.c; on standard output */
void help_print(unsigned int command); /* 0: of the program */
void help_version(void);

/* completion.c; for bash, on standard output */
void completion_print(void);

#endif
