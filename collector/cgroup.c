/* cgroup.c - container ids in control group paths.
 *
 * Known forms of a path's part, ID being 64 hexadecimal digits:
 *   ID                      docker, containerd, kubelet with the cgroupfs driver
 *   docker-ID.scope         docker with the systemd driver
 *   cri-containerd-ID.scope containerd under the kubelet, systemd driver
 *   x.slice:cri-containerd:ID  the same where the runtime was given a cgroupfs path
 *   crio-ID[.scope]         CRI-O
 *   libpod-ID[.scope]       podman; inside it may follow "container" or a whole systemd tree
 *   nerdctl-ID.scope        nerdctl
 * So a prefix may be any word. Not containers: crio-conmon-ID, libpod-conmon-ID (the process that
 * watches one) and machine-libpod_pod_ID.slice (a pod).
 */
#include "collector/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { CGROUP_FILE_MAX = 8192 }; /* v1 has about 13 lines */

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(s + len - n, end, n) == 0;
}

static bool part_is_id(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return len == CONTAINER_ID_LEN;
}

/* The id at the end of one part of a path; NULL where there is none. */
static const char *part_id(const char *s, size_t len)
{
	size_t before;

	if (ends_with(s, len, ".scope"))
		len -= 6;
	if (len < CONTAINER_ID_LEN)
		return NULL;
	before = len - CONTAINER_ID_LEN;
	if (!part_is_id(s + before, CONTAINER_ID_LEN))
		return NULL;
	if (before && s[before - 1] != '-' && s[before - 1] != ':')
		return NULL;
	if (before && ends_with(s, before - 1, "conmon"))
		return NULL;
	return s + before;
}

/* The innermost id of a path; parts are looked at from its end. */
static const char *path_id(const char *path, size_t len)
{
	const char *id;
	size_t begin;

	for (;;) {
		begin = len;
		while (begin && path[begin - 1] != '/')
			begin--;
		id = part_id(path + begin, len - begin);
		if (id || !begin)
			return id;
		len = begin - 1;
	}
}

bool cgroup_container_id(const char *text, size_t len, char out[CONTAINER_ID_LEN + 1])
{
	const char *end = text + len, *line = text, *eol, *path, *id;

	out[0] = 0;
	for (; line < end; line = eol + 1) {
		eol = memchr(line, '\n', (size_t)(end - line));
		if (!eol)
			eol = end;
		path = memchr(line, ':', (size_t)(eol - line));
		if (path)
			path = memchr(path + 1, ':', (size_t)(eol - path - 1));
		if (!path)
			continue;
		id = path_id(path + 1, (size_t)(eol - path - 1));
		if (!id)
			continue;
		memcpy(out, id, CONTAINER_ID_LEN);
		out[CONTAINER_ID_LEN] = 0;
		return true;
	}
	return false;
}

static ssize_t read_text(const char *proc, uint32_t pid, char text[CGROUP_FILE_MAX])
{
	char path[4096];
	size_t len = 0;
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%u/cgroup", proc, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + len, CGROUP_FILE_MAX - len)) > 0)
		len += (size_t)n;
	err = n < 0 ? -errno : 0;
	close(fd);
	return err ? err : (ssize_t)len;
}

int cgroup_read(const char *proc, uint32_t pid, char out[CONTAINER_ID_LEN + 1])
{
	bool unified;

	return cgroup_read_unified(proc, pid, out, &unified);
}

int cgroup_read_unified(const char *proc, uint32_t pid, char out[CONTAINER_ID_LEN + 1],
			bool *unified)
{
	char text[CGROUP_FILE_MAX], id[CONTAINER_ID_LEN + 1];
	ssize_t len = read_text(proc, pid, text), at = 0;
	const char *eol;

	out[0] = 0;
	*unified = false;
	if (len < 0)
		return (int)len;
	if (!cgroup_container_id(text, (size_t)len, out))
		return 0;
	for (; at < len; at = eol - text + 1) {
		eol = memchr(text + at, '\n', (size_t)(len - at));
		if (!eol)
			eol = text + len;
		if (eol - text - at > 3 && !memcmp(text + at, "0::", 3))
			*unified = cgroup_container_id(text + at, (size_t)(eol - text - at), id) &&
				   !strcmp(id, out);
	}
	return 1;
}
