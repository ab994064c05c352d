/* test_cgroup.c - a table of control group files as the container engines make them. */
#include "collector/cgroup.h"

#include <unistd.h>

#include "tests/test.h"

#define A    "3f29d0c1b7a86e5542ffed01928374650abcdef0123456789abcdef012345678"
#define B    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define POD  "pod0f2a9d4e-1b7c-4c3e-9a53-7f2c61d3b8aa"
#define POD_ "pod0f2a9d4e_1b7c_4c3e_9a53_7f2c61d3b8aa"

static const struct cgroup_case {
	const char *name, *text, *want;
} files[] = {
    {"no container, v2", "0::/system.slice/ssh.service\n", ""},
    {"no container, v1", "9:name=systemd:/\n8:pids:/user.slice\n1:cpu,cpuacct:/\n0::/\n", ""},
    {"docker, v1, cgroupfs", "12:pids:/docker/" A "\n11:cpu,cpuacct:/docker/" A "\n", A},
    {"docker, v1, some controllers only", "3:cpu:/\n2:memory:/docker/" A "\n1:pids:/\n", A},
    {"docker, v2, systemd", "0::/system.slice/docker-" A ".scope\n", A},
    {"docker, v2, systemd inside", "0::/system.slice/docker-" A ".scope/init.scope\n", A},
    {"docker in docker", "0::/docker/" A "/docker/" B "\n", B},
    {"kubernetes in docker", "0::/docker/" A "/kubelet/kubepods/burstable/" POD "/" B "\n", B},
    {"containerd, cgroupfs", "5:cpu:/kubepods/besteffort/" POD "/" A "\n", A},
    {"containerd, systemd",
     "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-" POD_
     ".slice/cri-containerd-" A ".scope\n",
     A},
    {"containerd, mixed drivers",
     "4:memory:/system.slice/containerd.service/kubepods-besteffort-" POD_
     ".slice:cri-containerd:" A "\n",
     A},
    {"docker under the kubelet, systemd",
     "0::/kubepods.slice/kubepods-" POD_ ".slice/docker-" A ".scope\n", A},
    {"docker under the kubelet, cgroupfs", "2:cpuset:/kubepods/" POD "/" A "\n", A},
    {"cri-o, systemd", "0::/kubepods.slice/kubepods-" POD_ ".slice/crio-" A ".scope\n", A},
    {"cri-o, systemd inside",
     "0::/kubepods.slice/kubepods-" POD_ ".slice/crio-" A ".scope/container\n", A},
    {"cri-o, cgroupfs", "7:blkio:/kubepods/" POD "/crio-" A "\n", A},
    {"cri-o's monitor", "0::/kubepods.slice/kubepods-" POD_ ".slice/crio-conmon-" A ".scope\n", ""},
    {"podman, root", "0::/machine.slice/libpod-" A ".scope/container\n", A},
    {"podman, user",
     "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container\n",
     A},
    {"podman, cgroupfs", "3:pids:/libpod_parent/libpod-" A "\n", A},
    {"podman, in a pod", "0::/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope\n",
     A},
    {"podman, a pod alone", "0::/machine.slice/machine-libpod_pod_" B ".slice\n", ""},
    {"podman's monitor", "0::/machine.slice/libpod-conmon-" A ".scope\n", ""},
    {"nerdctl", "0::/system.slice/nerdctl-" A ".scope\n", A},
    {"ECS", "6:memory:/ecs/b1c2d3e4f5a60718293a4b5c6d7e8f90/" A "\n", A},
    {"out of a cgroup namespace", "0::/../../docker-" A ".scope\n", A},
    {"without a last line feed", "0::/docker/" A, A},
    {"path with a colon", "0::/a:b/docker-" A ".scope\n", A},
    {"63 digits",
     "0::/docker/"
     "f29d0c1b7a86e5542ffed01928374650abcdef0123456789abcdef012345678\n",
     ""},
    {"65 digits", "0::/docker/a" A "\n", ""},
    {"upper case", "0::/docker/3F29d0c1b7a86e5542ffed01928374650abcdef0123456789abcdef012345678\n",
     ""},
    {"digits within a word", "0::/docker-" A "x.scope\n", ""},
    {"cut inside the id", "0::/docker/3f29d0c1b7a8", ""},
    {"no colons", "docker/" A "\n", ""},
    {"one colon", "0:/docker/" A "\n", ""},
    {"empty", "", ""},
    {"empty lines", "\n\n0::/docker/" A "\n", A},
};

static void test_table(void)
{
	char out[CONTAINER_ID_LEN + 1];
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		bool got = cgroup_container_id(files[i].text, strlen(files[i].text), out);

		CHECK_MSG(!strcmp(out, files[i].want) && got == (*files[i].want != 0),
			  "%s: got \"%s\"", files[i].name, out);
	}
}

/* No cut makes another id out of it. */
static void test_cuts(void)
{
	const char *text = "4:cpu:/docker/" A "\n0::/kubepods/crio-" A ".scope/container\n";
	char out[CONTAINER_ID_LEN + 1];
	size_t len;

	for (len = 0; len <= strlen(text); len++)
		CHECK(!cgroup_container_id(text, len, out) || !strcmp(out, A));
}

static void test_files(void)
{
	char out[CONTAINER_ID_LEN + 1];

	CHECK(cgroup_read("/proc", (uint32_t)getpid(), out) >= 0);
	CHECK(cgroup_read("/proc", 0x7fffffff, out) < 0);
	CHECK_STR(out, "");
}

TEST_MAIN({"table", test_table}, {"cuts", test_cuts}, {"files", test_files})
