/* source_file.h - what reading a capture file adds to the operations of source.h. */
#ifndef COLLECTOR_SOURCE_FILE_H
#define COLLECTOR_SOURCE_FILE_H

#include <stdint.h>

#include "collector/source.h"

/* How far reading has come. total 0: not known (a pipe). A system call: not for every batch. */
void source_file_progress(const struct source *s, uint64_t *done_bytes, uint64_t *total_bytes);

#endif
