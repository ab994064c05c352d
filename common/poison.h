/* poison.h - functions that nobody may call here; the build includes it before every source file.
 *
 * strcpy, strcat, sprintf, vsprintf and strtok have no bound or keep hidden state; atoi cannot tell
 * an error from 0. Use memcpy with a known length, snprintf, strtok_r, strtoul with its end
 * pointer.
 */
#ifndef COMMON_POISON_H
#define COMMON_POISON_H

/* First the headers that declare them: a poisoned name may not even be declared afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi

#endif
