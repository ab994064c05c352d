/* check_config.c - `flowline check-config`: what is wrong with configuration files, for people and
 * for CI.
 *
 * Mistakes are written as compilers write theirs, without the program's name, so that editors find
 * the place.
 */
#include "collector/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "conf/conf.h"

/* 0, or FL_EUSAGE after having told. */
static int check_file(const char *path)
{
	struct conf_errors errors;
	struct conf c;
	int err;

	if (conf_default(&c)) {
		log_error("memory was refused");
		return FL_EUSAGE;
	}
	conf_errors_init(&errors);
	err = conf_load_file(&c, path, &errors);
	conf_free(&c);
	if (!err) {
		printf("%s: ok\n", path);
		return 0;
	}
	fputs(errors.text, stderr);
	if (errors.left_out)
		fprintf(stderr, "%s: and %zu more\n", path, errors.left_out);
	return err;
}

int command_check_config(const struct options *o)
{
	size_t i;
	int status = EXIT_OK;

	if (!o->nfiles && check_file(CONF_DEFAULT_FILE))
		status = EXIT_USAGE;
	for (i = 0; i < o->nfiles; i++)
		if (check_file(o->files[i]))
			status = EXIT_USAGE;
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot be written: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
