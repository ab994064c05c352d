# common.sh - what tools/quickstart and tools/test share. Read by both, not run.
#
# Finds the package manager (apt, dnf or yum), installs packages, and copies the source tree to a build
# directory, so that nothing is ever generated in the tree itself.

set -u

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

find_package_manager() {
	for pm in apt-get dnf yum; do
		have $pm && { echo $pm; return; }
	done
	echo none
}

PM=$(find_package_manager)

# What to build with.
BUILD_NEEDS_apt_get="gcc make autoconf automake libc6-dev libpcap-dev libmaxminddb-dev libyaml-dev zlib1g-dev"
BUILD_NEEDS_dnf="gcc make autoconf automake glibc-devel libpcap-devel libmaxminddb-devel libyaml-devel zlib-devel"
BUILD_NEEDS_yum=$BUILD_NEEDS_dnf
# Each of these is left out where the package manager does not have it.
# clang and bpftool compile the eBPF programs; a release tarball has them compiled
BUILD_WANTS_apt_get="libbpf-dev libelf-dev clang bpftool libcurl4-openssl-dev"
BUILD_WANTS_dnf="libbpf-devel elfutils-libelf-devel clang bpftool libcurl-devel"
BUILD_WANTS_yum="libcurl-devel"
# What the tests use; a test whose tool is missing is skipped.
TEST_WANTS_apt_get="tshark tcpdump nginx-light curl dnsmasq-base bind9-dnsutils dnsperf iperf3 iproute2 python3
	python3-scapy valgrind clang procps ethtool libcap2-bin influxdb victoria-metrics openssl util-linux
	binutils python3-yaml nftables"
# What packages are made and tried with.
PACKAGE_WANTS_apt_get="dpkg-dev debhelper lintian mmdebstrap rpm rpmlint fakeroot flex bison cpio xz-utils kmod
	qemu-system-x86 strace"
# clang's own runtime (sanitizers, libFuzzer) carries clang's version in its name there
clang_runtime() {
	[ $PM = apt-get ] && have clang || return 0
	TEST_CLANG_apt_get=$(clang -dumpversion | sed 's/^\([0-9]*\).*/libclang-rt-\1-dev/')
	install_wants TEST_CLANG
}
TEST_WANTS_dnf="wireshark-cli tcpdump nginx curl dnsmasq bind-utils iperf3 iproute iproute-tc python3
	python3-scapy valgrind clang compiler-rt libasan libubsan procps-ng ethtool libcap nftables"
TEST_WANTS_yum="wireshark tcpdump nginx curl dnsmasq bind-utils iperf3 iproute python3
	python36-scapy valgrind clang libasan libubsan procps-ng ethtool libcap nftables"

list() { eval "echo \"\$$1_$(echo "$PM" | tr - _)\""; }

installed() {
	case $PM in
	apt-get) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
	*) rpm -q --quiet --whatprovides "$1" 2>/dev/null ;;
	esac
}

not_installed() { for p in "$@"; do installed "$p" || echo "$p"; done; }

refreshed=no
refresh() {
	[ $refreshed = no ] || return 0
	refreshed=yes
	case $PM in
	apt-get)
		apt-get update -qq || note "apt-get update failed: going on with the lists that are there" ;;
	dnf)
		# the -devel packages of RHEL and its rebuilds are in CRB (9) or PowerTools (8)
		for repo in crb powertools; do
			dnf config-manager --set-enabled $repo >/dev/null 2>&1 && break
		done
		installed epel-release || dnf install -y -q epel-release >/dev/null 2>&1 ;;
	yum)
		installed epel-release || yum install -y -q epel-release >/dev/null 2>&1 ;;
	esac
	return 0
}

# A package that brings a server must not start it here: Debian asks this file.
with_no_services() {
	policy=/usr/sbin/policy-rc.d
	[ $PM = apt-get ] && [ ! -e $policy ] || { "$@"; return; }
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 130' INT TERM
	"$@"
	policy_rc=$?
	rm -f $policy
	trap - EXIT INT TERM
	return $policy_rc
}

install_quietly() {
	case $PM in
	apt-get)
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o Dpkg::Use-Pty=0 "$@" ;;
	*) $PM install -y -q "$@" ;;
	esac
}

available() {
	case $PM in
	apt-get) apt-cache show "$1" >/dev/null 2>&1 ;;
	*) $PM -q info "$1" >/dev/null 2>&1 ;;
	esac
}

# install_needs LIST: all of them, or the end.
install_needs() {
	missing=$(not_installed $(list "$1"))
	[ -n "$missing" ] || { note "already there: $(list "$1" | tr -s '\n\t ' ' ')"; return; }
	refresh
	note "installing" $missing
	with_no_services install_quietly $missing >"$BUILD/install.log" 2>&1 || {
		tail -n 20 "$BUILD/install.log"
		[ $PM = yum ] && note "CentOS 7 is past its end: its repositories moved to vault.centos.org"
		die "could not install:" $missing
	}
}

# install_wants LIST: those that the package manager has; says which it has not.
install_wants() {
	missing=$(not_installed $(list "$1"))
	[ -n "$missing" ] || return 0
	refresh
	there= ; nowhere=
	for p in $missing; do
		if available "$p"; then there="$there $p"; else nowhere="$nowhere $p"; fi
	done
	if [ -n "$there" ]; then
		note "installing$there"
		with_no_services install_quietly $there >"$BUILD/install.log" 2>&1 || for p in $there; do
			with_no_services install_quietly "$p" >>"$BUILD/install.log" 2>&1 || nowhere="$nowhere $p"
		done
	fi
	[ -z "$nowhere" ] || note "not to be had here, what uses them is skipped:$nowhere"
}

# copy_source TO: the tree as it is, without what an earlier build left in it.
copy_source() {
	rm -rf "$1"
	mkdir -p "$1"
	(cd "$ROOT" && tar cf - --exclude=./.git --exclude=./build --exclude=./autom4te.cache \
		--exclude=./config.status --exclude=./config.h --exclude=./config.log --exclude=./Makefile \
		--exclude=./stamp-h1 --exclude=./configure --exclude=./Makefile.in --exclude=./aclocal.m4 \
		--exclude='./flowline-*' --exclude=./flowline --exclude='*.o' --exclude='*.a' \
		--exclude='*.trs' --exclude='*.log' --exclude=.deps --exclude=.dirstamp --exclude=__pycache__ .) |
		(cd "$1" && tar xf -)
}

# What root made in somebody's tree is given to them.
give_back() {
	[ "$(id -u)" = 0 ] && [ -n "${SUDO_UID:-}" ] && [ -d "$1" ] &&
		chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$1"
	return 0
}

cpus() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }
