/* replay.c - runs a fuzz target over its stored inputs, without libFuzzer, for `make check`.
 *
 * The program's own name says which: tests/fuzz/replay_http reads
 * $top_srcdir/tests/fuzz/corpus/http. Or name files and directories on the command line. Each input
 * ends at a page that may not be touched, so that reading one byte too far ends the program also
 * without a sanitizer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int replayed;

/* Run one input of size bytes, which lie at the end of the map of size rounded up to pages. */
static int run_bytes(FILE *in, const char *path, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (size + page - 1) / page * page;
	uint8_t *map, *data;

	map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE)) {
		fprintf(stderr, "replay: no memory for %s: %s\n", path, strerror(errno));
		return 1;
	}
	data = map + room - size;
	if (fread(data, 1, size, in) != size) {
		fprintf(stderr, "replay: %s: cannot read it\n", path);
		munmap(map, room + page);
		return 1;
	}
	LLVMFuzzerTestOneInput(data, size);
	replayed++;
	munmap(map, room + page);
	return 0;
}

static int run_file(const char *path, off_t size)
{
	FILE *in = fopen(path, "rb");
	int ret;

	if (!in) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return 1;
	}
	/* said before, so that the last line names the input on which it ended */
	printf("%s\n", path);
	fflush(stdout);
	ret = run_bytes(in, path, (size_t)size);
	fclose(in);
	return ret;
}

static int run_path(const char *path);

static int run_directory(const char *path)
{
	struct dirent **names;
	int i, n, ret = 0;

	n = scandir(path, &names, NULL, alphasort);
	if (n < 0) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return 1;
	}
	for (i = 0; i < n; i++) {
		char child[4096];

		if (names[i]->d_name[0] != '.') {
			snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
			ret |= run_path(child);
		}
		free(names[i]);
	}
	free(names);
	return ret;
}

static int run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return 1;
	}
	return S_ISDIR(st.st_mode) ? run_directory(path) : run_file(path, st.st_size);
}

static int run_own_corpus(const char *program)
{
	const char *name = strrchr(program, '_'), *root = getenv("top_srcdir");
	const char *base = strrchr(program, '/');
	char path[4096];

	base = base ? base + 1 : program;
	name = strncmp(base, "replay_", 7) ? name : base + 6;
	if (!name) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", program);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", root ? root : ".", name + 1);
	return run_path(path);
}

int main(int argc, char **argv)
{
	int i, ret = 0;

	if (argc < 2)
		ret = run_own_corpus(argv[0]);
	for (i = 1; i < argc; i++)
		ret |= run_path(argv[i]);
	if (!replayed) {
		fprintf(stderr, "replay: no input was found\n");
		ret = 1;
	}
	printf("replayed %u inputs\n", replayed);
	printf("%d passed, %d failed, 0 skipped\n", !ret, ret);
	return ret;
}
