/* memory.h - memory taken at start, and bounded. */
#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

#include <stddef.h>

#include "common/error.h"

/* Address space of n zeroed elements of size bytes, page aligned; pages count only once they are
 * written to. NULL with errno set where the kernel refuses. Give it back with mem_unmap. */
void *mem_map(size_t n, size_t size) MUST_CHECK;
void mem_unmap(void *p, size_t n, size_t size);

/* A hint: large pages behind this region, which is going to be used all over (fewer TLB misses). */
void mem_hint_large(void *p, size_t n, size_t size);

/* Give the pages behind a region back to the kernel; they read as zeros again. */
void mem_drop(void *p, size_t n, size_t size);

/* Much was allocated and freed again: give what malloc(3) keeps of it back to the kernel, where the
 * C library can. */
void mem_trim(void);

#endif
