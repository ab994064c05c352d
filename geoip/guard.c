/* guard.c - see guard.h; mmap(2), sigaction(2). */
#include "geoip/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
	bool taken;
	uintptr_t base; /* 0: none (yet); written last */
	size_t size;
	bool *lost;
};

static struct guard guards[GUARDS_MAX];
static pthread_mutex_t guards_lock = PTHREAD_MUTEX_INITIALIZER;
static bool installed;
static struct sigaction before;
static uintptr_t page_size;
static __thread bool *volatile thread_lost;

static bool *lost_of(uintptr_t at)
{
	size_t i;

	for (i = 0; i < GUARDS_MAX; i++) {
		uintptr_t base = __atomic_load_n(&guards[i].base, __ATOMIC_ACQUIRE);

		if (base && at >= base && at - base < guards[i].size)
			return guards[i].lost;
	}
	return thread_lost;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
		sigaction(sig, &before, NULL); /* the fault comes again, and ends the process */
	} else {
		before.sa_handler(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	bool *lost = info->si_code > 0 ? lost_of(at) : NULL; /* <= 0: a process sent it */
	int saved = errno;

	if (!lost || mmap((void *)(at & ~(page_size - 1)), page_size, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		pass_on(sig, info, context);
	else
		__atomic_store_n(lost, true, __ATOMIC_RELEASE);
	errno = saved;
}

static int install(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART};

	page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, NULL, &before) || sigaction(SIGBUS, &sa, NULL))
		return -errno;
	installed = true;
	return 0;
}

int guard_add(const void *base, size_t size, bool *lost)
{
	int i, number = -ENOSPC, err = 0;

	pthread_mutex_lock(&guards_lock);
	if (!installed)
		err = install();
	for (i = 0; i < GUARDS_MAX && number < 0 && !err; i++) {
		if (guards[i].taken)
			continue;
		guards[i].taken = true;
		guards[i].size = size;
		guards[i].lost = lost;
		__atomic_store_n(&guards[i].base, (uintptr_t)base, __ATOMIC_RELEASE);
		number = i;
	}
	pthread_mutex_unlock(&guards_lock);
	return err ? err : number;
}

void guard_remove(int number)
{
	pthread_mutex_lock(&guards_lock);
	__atomic_store_n(&guards[number].base, 0, __ATOMIC_RELEASE);
	guards[number].taken = false;
	pthread_mutex_unlock(&guards_lock);
}

void guard_thread(bool *lost)
{
	thread_lost = lost;
}
