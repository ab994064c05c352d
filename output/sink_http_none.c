/* sink_http_none.c - sink_http.h for a build without libcurl: says so. */
#include "output/sink_http.h"

#include <stdio.h>

int sink_http_open(struct sink **sink, const struct sink_http_config *c, char why[SINK_WHY_SIZE])
{
	(void)c;
	*sink = NULL;
	snprintf(
	    why, SINK_WHY_SIZE,
	    "this flowline was built without libcurl: install libcurl's development files "
	    "(libcurl4-openssl-dev, libcurl-devel) and build it again, or write to a file or a "
	    "unix socket");
	return FL_EUSAGE;
}

int sink_http_start(void)
{
	return 0;
}
