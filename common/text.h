/* text.h - a string that is not 0-terminated and may hold any byte. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdint.h>

struct text {
	const char *s;
	uint32_t len; /* bytes */
};

#endif
