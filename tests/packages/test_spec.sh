#!/bin/sh
# test_spec.sh - the rpm specs as EL7, EL8, EL9 and Fedora read them: what each asks for, and what differs.
#
# Exit 77: there is no rpmspec (Debian, Ubuntu: apt install rpm). rpmlint is asked, too, where it is installed.
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
spec=$top/packaging/rpm/flowline.spec
static=$top/packaging/rpm/flowline-static.spec
command -v rpmspec >/dev/null 2>&1 || {
	echo "skip: no rpmspec here (apt install rpm, dnf install rpm-build)"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
LC_ALL=C
export LC_ALL
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); echo "not ok: $*"; }

# read_as NAME DEFINE...: the spec as that distribution expands it, in $dir/NAME
read_as() {
	name=$1
	shift
	if rpmspec -P --undefine rhel --undefine fedora "$@" "$spec" >"$dir/$name" 2>"$dir/err"; then
		ok
	else
		not_ok "$name: rpmspec does not read it: $(head -n 3 "$dir/err")"
	fi
	# a macro that nobody defined stays as it was written
	if sed '/^%changelog/,$d' "$dir/$name" | grep -nE '%\{|%systemd_|%_' >"$dir/err"; then
		not_ok "$name: not expanded: $(head -n 3 "$dir/err")"
	else
		ok
	fi
}
has() {
	for line in "$@"; do
		if grep -qE -e "$line" "$dir/$name"; then ok; else not_ok "$name: has no '$line'"; fi
	done
}
has_not() {
	for line in "$@"; do
		if grep -qE -e "$line" "$dir/$name"; then not_ok "$name: has '$line'"; else ok; fi
	done
}

# the same everywhere
common() {
	for need in gcc make libpcap-devel libmaxminddb-devel libyaml-devel zlib-devel libcurl-devel python3; do
		has "^BuildRequires: +$need\$"
	done
	has "^Release: +1\\.$name\$" '^Conflicts: +flowline-static$' 'with-libcurl$' '^make .* check ' \
		'^%config\(noreplace\) .*/etc/flowline/flowline\.yaml$' '^%dir .*/var/lib/flowline$' \
		'^%dir .*/var/log/flowline$' '/flowline\.8\*$' '/flowline\.yaml\.5\*$' '/completions/flowline$' \
		'^%config\(noreplace\) .*/logrotate\.d/flowline$' '/usr/lib/systemd/system/flowline\.service$'
}

# runs as a user of its own, with ambient capabilities; EL8's libbpf is too old
modern() {
	if [ "$name" = el8 ]; then
		has 'without-libbpf'
		has_not 'libbpf-devel'
	else
		has '^BuildRequires: +libbpf-devel$' 'with-libbpf'
		has_not 'without-libbpf'
	fi
	has '^BuildRequires: +systemd-rpm-macros$' \
		'^Recommends: +logrotate$' '^Requires\(pre\): +shadow-utils$' '^useradd|^    useradd' \
		'sysusers\.d/flowline\.conf$' '^%dir %attr\(0750, flowline, flowline\) /var/lib/flowline$' \
		'^%config.*%attr\(0640, root, flowline\)'
	has_not '^BuildRequires: +systemd$' 'flowline-el7'
}

# as root with a bounding set
old() {
	has '^BuildRequires: +systemd$' 'without-libbpf' 'without-sysusersdir' 'flowline-el7\.service\.in' \
		'flowline-el7\.tmpfiles\.conf' '^%dir %attr\(0750, root, root\) /var/lib/flowline$' \
		'^%config.*%attr\(0640, root, root\)'
	# rpm 4.11 reads no weak dependencies
	has_not 'libbpf-devel' 'systemd-rpm-macros' '^(Recommends|Suggests|Supplements|Enhances):' 'useradd' \
		'shadow-utils' 'sysusers\.d' '%attr\([0-9]*, (flowline|root, flowline)'
}

for release in 7 8 9; do
	read_as el$release --define "rhel $release" --define "dist .el$release"
	common
	if [ $release = 7 ]; then old; else modern; fi
done
read_as fc41 --define 'fedora 41' --define 'dist .fc41'
common
modern

# what a distribution defines is taken, not replaced
read_as el9 --define 'rhel 9' --define 'dist .el9' --define '_unitdir /usr/lib/systemd/system' \
	--define 'systemd_post() of-the-distribution post %{?*}' \
	--define 'systemd_preun() of-the-distribution preun %{?*}' \
	--define 'systemd_postun_with_restart() of-the-distribution postun %{?*}'
for part in post preun postun; do has "^of-the-distribution $part flowline\\.service"; done
has_not 'systemctl'

read_as el9 --define 'rhel 9' --define 'dist .el9' --without check --without libbpf
has 'without-libbpf'
has_not '^make .* check ' 'python3' 'libbpf-devel'

# one version in all places
version=$(sed -n 's/^AC_INIT(\[flowline\], \[\(.*\)\]).*/\1/p' "$top/configure.ac")
for file in "$spec" "$static"; do
	name=$(basename "$file")
	is=$(sed -n 's/^Version: *//p' "$file")
	if [ "$is" = "$version" ]; then ok; else not_ok "$name: Version is $is, configure.ac has $version"; fi
	is=$(sed -n '/^%changelog/,$s/^\* .* - \([^-]*\)-[0-9]*$/\1/p' "$file" | head -n 1)
	if [ "$is" = "$version" ]; then ok; else not_ok "$name: the changelog ends with $is, Version is $version"; fi
done

for machine in x86_64 aarch64; do
	name=static-$machine
	if rpmspec -P --target $machine "$static" >"$dir/$name" 2>"$dir/err"; then ok; else
		not_ok "$name: rpmspec does not read it: $(head -n 3 "$dir/err")"; fi
	has '^AutoReqProv: +no$' "^Source0: +flowline-static-$version-$machine\\.tar\\.gz\$" \
		"^Provides: +flowline = $version-1" '^Conflicts: +flowline$' '^%config\(noreplace\) .*flowline\.yaml$'
	has_not '^(BuildRequires|Requires|Recommends)'
done

# what the scriptlets say is shell
for name in el7 el8 el9 fc41 static-x86_64; do
	for part in pre post preun postun; do
		sed -n "/^%$part\$/,/^%/{/^%/d;p;}" "$dir/$name" >"$dir/script"
		if sh -n "$dir/script" 2>"$dir/err"; then ok; else not_ok "$name: %$part: $(cat "$dir/err")"; fi
	done
done

# rpmlint 2: the older one reads no such file
case $(rpmlint --version 2>/dev/null) in
2*)
	if rpmlint -c "$top/packaging/rpm/rpmlint.toml" "$spec" "$static" >"$dir/out" 2>&1 &&
		grep -q '0 errors, 0 warnings' "$dir/out"; then ok; else
		not_ok "rpmlint: $(grep -E ' [EW]: ' "$dir/out")"; fi ;;
*) echo "skip: no rpmlint 2 here"; skipped=1 ;;
esac

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
