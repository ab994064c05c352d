#!/bin/sh
# build.sh - the steps of packaging/container/Dockerfile, for a Debian or Ubuntu root.
#
# usage: sh build.sh needs            install what the build needs
#        sh build.sh compile OUT      build from the source tree around this file, put into OUT what the
#                                     image gets; checks that this can be run here
#        sh build.sh final            in the image, where OUT was copied to /: libraries, user, capabilities
# Environment: SNAPSHOT_APT_OPTIONS    further options of apt-get, such as -o Acquire::Check-Valid-Until=no
set -eu

# flowline's user: no number that a distribution gives to its own
uid=65500
lib=/usr/libexec/flowline

die() { echo "build.sh: $*" >&2; exit 1; }

apt_install() {
	# shellcheck disable=SC2086 # options are several words
	apt-get ${SNAPSHOT_APT_OPTIONS:-} -qq update
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get ${SNAPSHOT_APT_OPTIONS:-} -qq install -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 "$@" >/dev/null
}

needs() {
	apt_install gcc make autoconf automake libc6-dev libpcap-dev libmaxminddb-dev libyaml-dev zlib1g-dev libcurl4-openssl-dev \
		libbpf-dev libelf-dev clang bpftool
}

# The packages that hold the libraries of a program, as this release of the distribution calls them.
packages_of() {
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r file; do
		# a library may be known under /lib or /usr/lib, which are the same directory
		{ dpkg -S "$file" 2>/dev/null || dpkg -S "$(readlink -f "$file")" 2>/dev/null || dpkg -S "/usr$file" 2>/dev/null; } |
			sed 's/:.*//' | head -n 1
	done | LC_ALL=C sort -u
}

compile() {
	src=$(cd "$(dirname "$0")/../.." && pwd)
	out=$1
	[ -f "$src/configure.ac" ] || die "no source tree around $0: build with the source tree as context"
	build=$(mktemp -d)
	mkdir -p "$build/src" "$out"
	# the tree may be read-only, or configured for another machine
	(cd "$src" && tar cf - --exclude=./.git --exclude=./build --exclude=./config.status --exclude=./config.h --exclude='*.o' .) |
		(cd "$build/src" && tar xf -)
	[ -x "$build/src/configure" ] || (cd "$build/src" && sh ./autogen.sh) >"$build/log" 2>&1 || { cat "$build/log"; die "autogen.sh failed"; }
	mkdir "$build/obj"
	(cd "$build/obj" && "$build/src/configure" --prefix=/usr --sysconfdir=/etc --localstatedir=/var &&
		make -j"$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)" && make install-strip DESTDIR="$build/root") >"$build/log" 2>&1 ||
		{ tail -n 40 "$build/log"; die "the build failed"; }
	# of what is installed the image gets the program; a container has no init and nobody who reads manuals
	mkdir -p "$out/usr/bin" "$out$lib" "$out/usr/share/doc/flowline"
	cp "$build/root/usr/bin/flowline" "$out/usr/bin/flowline"
	cp "$src/LICENSE" "$out/usr/share/doc/flowline/"
	here=$src/packaging/container
	for f in entrypoint healthy reload build.sh; do
		cp "$here/$f" "$out$lib/$f"
		chmod 755 "$out$lib/$f"
	done
	"$out/usr/bin/flowline" version
	packages_of "$out/usr/bin/flowline" >"$out$lib/packages"
	[ -s "$out$lib/packages" ] || die "no package was found that holds the program's libraries"
	rm -rf "$build"
}

final() {
	[ -x /usr/bin/flowline ] || die "/usr/bin/flowline is not there: copy what 'build.sh compile OUT' made first"
	# shellcheck disable=SC2046 # a list of packages
	apt_install $(cat $lib/packages) ca-certificates libcap2-bin
	echo "flowline:x:$uid:" >>/etc/group
	echo "flowline:x:$uid:$uid:flowline:/var/lib/flowline:/usr/sbin/nologin" >>/etc/passwd
	mkdir -p /etc/flowline /var/lib/flowline/spool /var/log/flowline /run/flowline
	chown -R $uid:$uid /var/lib/flowline /var/log/flowline /run/flowline
	chmod 750 /var/lib/flowline /var/lib/flowline/spool /var/log/flowline
	# Who is not root gets capabilities by files only, and a file that asks for more than the container may
	# have cannot be run at all: so one copy for each set, and the entry point takes what fits.
	# /usr/bin/flowline itself stays without: status, read and check-config need none.
	for kind in net processes probes; do
		cp /usr/bin/flowline "$lib/flowline-$kind"
		chown root:$uid "$lib/flowline-$kind"
		chmod 750 "$lib/flowline-$kind"
	done
	setcap cap_net_raw=ep "$lib/flowline-net"
	setcap cap_net_raw,cap_sys_ptrace,cap_dac_read_search=ep "$lib/flowline-processes"
	# eBPF: Linux 5.8; where these names are not known the image does without
	setcap cap_net_raw,cap_sys_ptrace,cap_dac_read_search,cap_perfmon,cap_bpf=ep "$lib/flowline-probes" ||
		rm "$lib/flowline-probes"
	# the tool goes again, its library stays where another one needs it
	DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y --auto-remove libcap2-bin >/dev/null
	apt-get clean
	rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/debconf/*-old \
		/var/cache/ldconfig/aux-cache "$lib/packages" "$lib/build.sh"
	/usr/bin/flowline version
}

case ${1:-} in
needs) needs ;;
compile) [ $# = 2 ] || die "compile: name the directory for what was built"; compile "$2" ;;
final) final ;;
-h|--help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d' ;;
*) die "unknown step '${1:-}': want needs, compile OUT or final" ;;
esac
