/* test_owners_adopt.c - processes that a probe tells of: alive, gone, in a container, too many. */
#include "collector/owners_adopt.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

#define S  1000000000ULL
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char proc[] = "/tmp/flowline-adopt.XXXXXX";
static struct owners_table table;
static struct adopter adopter;
static struct procfs *procfs;

static void put(const char *pid, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", proc, pid);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", proc, pid, name);
	f = fopen(path, "w");
	if (CHECK(f)) {
		fputs(text, f);
		fclose(f);
	}
}

static void take_away(const char *pid)
{
	static const char *const names[] = {"/stat", "/cgroup", ""};
	char path[160];
	size_t i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s%s", proc, pid, names[i]);
		if (i < 2)
			unlink(path);
		else
			rmdir(path);
	}
}

static void put_stat(const char *pid, const char *comm)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "%s (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 0 0 0 0 0 0\n", pid,
		 comm);
	put(pid, "stat", text);
}

static bool begin(void)
{
	snprintf(proc + sizeof(proc) - 7, 7, "XXXXXX");
	return CHECK(mkdtemp(proc)) && CHECK(!owners_table_init(&table, 64)) &&
	       CHECK(!adopter_init(&adopter)) && CHECK(!procfs_new(&procfs, proc, 64));
}

static void finish(void)
{
	adopter_destroy(&adopter);
	owners_table_destroy(&table);
	procfs_free(procfs);
	CHECK_INT(rmdir(proc), 0);
}

static struct kernel_process make(uint32_t pid, const char *comm, uint64_t cgroup)
{
	struct kernel_process p;

	memset(&p, 0, sizeof(p));
	p.pid = pid;
	snprintf(p.comm, sizeof(p.comm), "%s", comm);
	p.cgroup_id = cgroup;
	return p;
}

static void wanted(uint32_t id, uint32_t pid, const char *name, const char *container)
{
	const struct owner *o = owners_table_get(&table, id);
	char text[128];

	if (!CHECK(o))
		return;
	CHECK_INT(o->pid, pid);
	snprintf(text, sizeof(text), "%.*s", (int)o->process_name.len, o->process_name.s);
	CHECK_STR(text, name);
	snprintf(text, sizeof(text), "%.*s", (int)o->container_id.len, o->container_id.s);
	CHECK_STR(text, container);
}

/* The process's name and not that of the thread; what was read holds for a while. */
static void test_alive(void)
{
	struct kernel_process who = make(100, "worker-7", 42);
	uint32_t id;

	if (!begin())
		return;
	put_stat("100", "server");
	put("100", "cgroup", "0::/system.slice/server.service\n");
	CHECK_INT(adopter_known(&adopter, &table, &who, 1 * S), OWNER_NONE);
	id = adopter_read(&adopter, &table, procfs, proc, &who, 1 * S);
	wanted(id, 100, "server", "");
	CHECK_INT(adopter_known(&adopter, &table, &who, 2 * S), id);
	CHECK_INT(adopter_known(&adopter, &table, &who, 9 * S), OWNER_NONE);
	/* exec: another name */
	who = make(100, "other", 42);
	CHECK_INT(adopter_known(&adopter, &table, &who, 2 * S), OWNER_NONE);
	put_stat("100", "other");
	CHECK(adopter_read(&adopter, &table, procfs, proc, &who, 2 * S) != id);
	take_away("100");
	finish();
}

static void test_gone(void)
{
	struct kernel_process who = make(200, "curl", 77);
	uint32_t id;

	if (!begin())
		return;
	id = adopter_read(&adopter, &table, procfs, proc, &who, 1 * S);
	wanted(id, 200, "curl", "");
	/* one process has one number, also when it can be read no more */
	put_stat("201", "wget");
	put("201", "cgroup", "0::/\n");
	who = make(201, "wget", 77);
	id = adopter_read(&adopter, &table, procfs, proc, &who, 1 * S);
	take_away("201");
	CHECK_INT(adopter_read(&adopter, &table, procfs, proc, &who, 20 * S), id);
	/* ... or is not to be, as the CPU's share is used up */
	CHECK_INT(adopter_read(&adopter, &table, NULL, NULL, &who, 40 * S), id);
	finish();
}

/* The control group's number stands for the container when nobody can be asked any more. */
static void test_container(void)
{
	struct kernel_process who = make(300, "nginx", 5000);

	if (!begin())
		return;
	put_stat("300", "nginx");
	put("300", "cgroup", "0::/system.slice/docker-" ID ".scope\n");
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 300, "nginx", ID);
	who = make(301, "sh", 5000);
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 301, "sh", ID);
	who = make(302, "sh", 5001);
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 302, "sh", "");
	who = make(303, "sh", 0);
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 303, "sh", "");
	take_away("300");
	finish();
}

/* With cgroup v1 all processes have the same number: it says nothing. */
static void test_old_cgroups(void)
{
	struct kernel_process who = make(400, "nginx", 1);

	if (!begin())
		return;
	put_stat("400", "nginx");
	put("400", "cgroup", "4:memory:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/\n");
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 400, "nginx", ID);
	who = make(401, "cron", 1);
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 401, "cron", "");
	take_away("400");
	finish();
}

/* An owner whose place was needed is adopted anew. */
static void test_many(void)
{
	struct kernel_process who = make(500, "first", 0), other;
	uint32_t id, i;

	if (!begin())
		return;
	id = adopter_read(&adopter, &table, procfs, proc, &who, S);
	for (i = 0; i < 200; i++) {
		other = make(1000 + i, "other", 0);
		CHECK(adopter_read(&adopter, &table, procfs, proc, &other, S) != OWNER_NONE);
	}
	CHECK(!owners_table_get(&table, id));
	CHECK_INT(adopter_known(&adopter, &table, &who, S), OWNER_NONE);
	wanted(adopter_read(&adopter, &table, procfs, proc, &who, S), 500, "first", "");
	finish();
}

TEST_MAIN({"alive", test_alive}, {"gone", test_gone}, {"containers", test_container},
	  {"cgroup v1", test_old_cgroups}, {"more than fit", test_many})
