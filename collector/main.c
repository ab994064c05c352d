/* main.c - flowline's entry: the command line, then the command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/commands.h"
#include "collector/options.h"
#include "common/log.h"
#include "conf/schema.h"

static int usage_failed(const struct options *o)
{
	const unsigned int with_help =
	    COMMAND_READ | COMMAND_RUN | COMMAND_FILTERS | COMMAND_STATUS | COMMAND_DOCTOR;

	options_log_errors(o);
	if (o->misused && (o->command & with_help))
		log_error("'flowline %s --help' shows how it is used", command_name(o->command));
	else if (o->misused)
		log_error("'flowline --help' shows how it is used");
	return EXIT_USAGE;
}

static int dispatch(const struct options *o)
{
	switch (o->command) {
	case COMMAND_READ:
		signal(SIGPIPE, SIG_IGN); /* told as -EPIPE, and what is lost is counted */
		return command_read(o);
	case COMMAND_RUN:
		signal(SIGPIPE, SIG_IGN);
		return command_run(o);
	case COMMAND_STATUS:
		return command_status(o);
	case COMMAND_DOCTOR:
		return command_doctor(o);
	case COMMAND_FILTERS:
		return command_filters(o);
	case COMMAND_CHECK:
		return command_check_config(o);
	case COMMAND_DEFAULTS:
		conf_print_default(stdout);
		break;
	case COMMAND_MANUAL:
		conf_print_manual(stdout);
		break;
	case COMMAND_COMPLETION:
		completion_print();
		break;
	case COMMAND_VERSION:
		help_version();
		break;
	default:
		help_print(o->help_topic);
		break;
	}
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct options options;
	int status;

	if (options_parse(&options, argc, argv, environ)) {
		status = usage_failed(&options);
	} else {
		log_set_level((enum log_level)options.conf.log.level);
		status = dispatch(&options);
	}
	options_free(&options);
	return status;
}
