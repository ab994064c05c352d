/* memory.c - see memory.h. */
#include "common/memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14 /* Linux 2.6.38 */
#endif

static size_t region(size_t n, size_t size)
{
	if (size && n > SIZE_MAX / 2 / size)
		return 0;
	return (n * size + 4095) & ~(size_t)4095;
}

void *mem_map(size_t n, size_t size)
{
	size_t len = region(n, size);
	void *p;

	if (!len) {
		errno = EINVAL;
		return NULL;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

void mem_unmap(void *p, size_t n, size_t size)
{
	if (p)
		munmap(p, region(n, size));
}

void mem_drop(void *p, size_t n, size_t size)
{
	if (p)
		madvise(p, region(n, size), MADV_DONTNEED);
}

void mem_hint_large(void *p, size_t n, size_t size)
{
	(void)madvise(p, region(n, size), MADV_HUGEPAGE); /* EINVAL where the kernel has none */
}

void mem_trim(void)
{
#ifdef HAVE_MALLOC_TRIM /* not musl */
	malloc_trim(0);
#endif
}
