#!/bin/sh
# test_fleet.sh - tools/fleet-install with a fake ssh: hosts are directories, their programs are stubs.
#
# What is really run is the script itself and what it sends to the hosts.
set -eu
root=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
fleet=$root/tools/fleet-install
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok   $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $*"; sed 's/^/     /' "$tmp/out"; }
check() { what=$1; shift; if "$@"; then ok "$what"; else bad "$what"; fi; }
said() { grep -qF -- "$1" "$tmp/out"; }
log_is() { [ "$(cat "$tmp/hosts/$1/log" 2>/dev/null)" = "$2" ]; }

# the fakes: ssh HOST COMMAND, with the script as standard input, and scp FILE... HOST:DIRECTORY
mkdir -p "$tmp/hosts" "$tmp/bin"
cat >"$tmp/bin/ssh" <<'EOF'
#!/bin/sh
here=${0%/bin/ssh}/hosts/$1
[ -d "$here" ] || { echo "ssh: connect to host $1: No route to host" >&2; exit 255; }
FLEET_DIR=$here/drop FLEET_ETC=$here/etc HOST_LOG=$here/log HOST_DIR=$here PATH=$here/bin:/usr/bin:/bin
export FLEET_DIR FLEET_ETC HOST_LOG HOST_DIR PATH
exec sh -c "$2"
EOF
cat >"$tmp/bin/scp" <<'EOF'
#!/bin/sh
for last; do :; done
host=${last%%:*}
while [ $# -gt 1 ]; do cp "$1" "${0%/bin/scp}/hosts/$host/drop/" || exit 1; shift; done
EOF
chmod +x "$tmp/bin/ssh" "$tmp/bin/scp"
FLEET_SSH=$tmp/bin/ssh FLEET_SCP=$tmp/bin/scp
export FLEET_SSH FLEET_SCP

# host NAME KIND ARCH STATUS: its programs write down how they were called; flowline status exits with STATUS
host() {
	rm -rf "$tmp/hosts/$1"
	mkdir -p "$tmp/hosts/$1/bin" "$tmp/hosts/$1/etc"
	bin=$tmp/hosts/$1/bin
	case $2 in
	deb) tool='dpkg apt-get' ;;
	rpm) tool='rpm dnf' ;;
	*) tool= ;;
	esac
	for t in $tool service systemctl; do
		# shellcheck disable=SC2016
		printf '#!/bin/sh\nfor last; do :; done\necho "%s ${last##*/}" >>"$HOST_LOG"\n' "$t" >"$bin/$t"
	done
	# dpkg and rpm of this machine must not be found: command -v looks at the stubs first, but finds the others
	# too; so the host's PATH has only what the script needs
	printf '#!/bin/sh\necho %s\n' "$3" >"$bin/uname"
	printf '#!/bin/sh\necho 0\n' >"$bin/id"
	cat >"$bin/flowline" <<EOF
#!/bin/sh
case \$1 in
check-config) ! grep -q mistake "\$2" || { echo "\$2:1:1: unknown key 'mistake'"; exit 2; } ;;
status) echo "flowline 9.9 on $1"; [ $4 != 3 ] || echo "! output influx does not deliver"; exit $4 ;;
esac
EOF
	chmod +x "$bin"/* # before there are links to programs of the system
	for t in sh rm mkdir cp cat date sleep sed head grep env; do ln -s "$(command -v $t)" "$bin/$t"; done
}
# only the stubs
sed -i 's/^\(FLEET_DIR=.*\):\/usr\/bin:\/bin$/\1/' "$tmp/bin/ssh"
run() { rc=0; "$fleet" --wait 1 "$@" >"$tmp/out" 2>&1 || rc=$?; }

mkdir "$tmp/p"
for f in flowline_9.9-1_amd64.deb flowline_9.9-1_arm64.deb flowline-9.9-1.el9.x86_64.rpm flowline-static-9.9-1.aarch64.rpm; do
	echo "$f" >"$tmp/p/$f"
done
host d1 deb x86_64 0
host d2 deb aarch64 0
host r1 rpm x86_64 0
host r2 rpm aarch64 0
run "$tmp"/p/* -- d1 d2 r1 r2
check "four kinds of host: each gets the package that fits" [ $rc = 0 ]
check "deb, x86_64" log_is d1 "apt-get flowline_9.9-1_amd64.deb
service restart"
check "deb, arm64" said 'd2: installed flowline_9.9-1_arm64.deb'
check "rpm, x86_64" said 'r1: installed flowline-9.9-1.el9.x86_64.rpm'
check "rpm, arm64: the static one" said 'r2: installed flowline-static-9.9-1.aarch64.rpm'
check "nothing is left on a host" [ ! -e "$tmp/hosts/d1/drop" ]

for h in d1 d2 d3 d4; do host $h deb x86_64 0; done
host d2 deb x86_64 1
printf 'd1 # first\nd2\nd3\nd4\n' >"$tmp/list"
run --batch 1 --hosts "$tmp/list" "$tmp/p/flowline_9.9-1_amd64.deb"
check "a host whose status fails ends it" [ $rc = 1 ]
check "it says which, and what it was not done" said 'stopped after 1 failures; not touched: d3 d4'
check "and touches no further host" [ ! -e "$tmp/hosts/d3/log" ]
check "the sum" said '1 of 4 hosts well, 1 failed, 2 not touched'
run --batch 1 --max-failures 1 --hosts "$tmp/list" "$tmp/p/flowline_9.9-1_amd64.deb"
check "--max-failures 1: goes on" said '3 of 4 hosts well, 1 failed, 0 not touched'

host d1 deb x86_64 3
run "$tmp/p/flowline_9.9-1_amd64.deb" -- d1
check "an output that does not deliver: told" said '! output influx does not deliver'
check "but no failure" [ $rc = 0 ]
run --strict "$tmp/p/flowline_9.9-1_amd64.deb" -- d1
check "--strict: a failure" [ $rc = 1 ]

run "$tmp/p/flowline_9.9-1_amd64.deb" -- nowhere
check "a host that is not there" said 'FAIL nowhere: not reached'
host n1 none x86_64 0
run "$tmp/p/flowline_9.9-1_amd64.deb" -- n1
check "a host without a package manager" said 'FAIL n1: has neither dpkg nor rpm'
host r1 rpm x86_64 0
run "$tmp/p/flowline_9.9-1_amd64.deb" -- r1
check "no package that fits" said 'FAIL r1: no package for rpm on x86_64'

host d1 deb x86_64 0
echo "interval: 60s" >"$tmp/hosts/d1/etc/flowline.yaml"
echo "interval: 10s" >"$tmp/good.yaml"
echo "mistake: 10s" >"$tmp/wrong.yaml"
run --config "$tmp/wrong.yaml" "$tmp/p/flowline_9.9-1_amd64.deb" -- d1
check "a configuration with a mistake: a failure that tells it" said "unknown key 'mistake'"
check "and the old one stays" grep -q 60s "$tmp/hosts/d1/etc/flowline.yaml"
run --config "$tmp/good.yaml" "$tmp/p/flowline_9.9-1_amd64.deb" -- d1
check "one without: installed" grep -q 10s "$tmp/hosts/d1/etc/flowline.yaml"
check "and the one before is kept" grep -q 60s "$tmp/hosts/d1/etc/flowline.yaml.before"

rm -f "$tmp/hosts/d1/log"
run --dry-run --hosts "$tmp/list" "$tmp/p/flowline_9.9-1_amd64.deb"
check "--dry-run: says what" said 'would install on d4'
check "and does nothing" [ ! -e "$tmp/hosts/d1/log" ]
run "$tmp/p/flowline_9.9-1_amd64.deb" -- 'd1;id'
check "a host's name is no command" [ $rc = 2 ]
run "$tmp/p/missing.deb" -- d1
check "a package that is not there" [ $rc = 2 ]
run -- d1
check "no package" [ $rc = 2 ]

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
