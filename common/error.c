/* error.c - texts of the error values. */
#include "common/error.h"

#include <string.h>

const char *fl_strerror(int err)
{
	switch (err) {
	case FL_ETRUNCATED:
		return "cut short";
	case FL_EMALFORMED:
		return "malformed";
	case FL_EUNKNOWN:
		return "unknown protocol";
	case FL_EUSAGE:
		return "wrong usage";
	case FL_EFULL:
		return "full";
	case FL_EFORMAT:
		return "wrong format";
	default:
		return strerror(err < 0 ? -err : err);
	}
}
