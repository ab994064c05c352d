# mini-root.sh - a root directory in which a package can be installed, removed and run, made of this
# machine's own programs. Read by tools/try-rpm and tools/try-static, not run.
#
# It holds a shell, the few programs that scriptlets call, the libraries these need, users and groups, and
# instead of systemctl a stub that writes its arguments to /systemctl.log. Needs root (chroot) and no network.

# put_program ROOT PROGRAM...: with the libraries it is linked with, under the paths they have here
put_program() {
	put_root=$1
	shift
	for put_name in "$@"; do
		put_path=$(command -v "$put_name") || { echo "$put_name is not installed here" >&2; return 1; }
		# /bin and /usr/bin are one directory in the root
		cp -L "$put_path" "$put_root/usr/bin/$(basename "$put_name")" || return 1
		put_libraries "$put_root" "$put_path"
	done
}

put_libraries() {
	ldd "$2" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p' |
	while read -r put_lib; do
		[ ! -e "$1$put_lib" ] || continue
		mkdir -p "$1$(dirname "$put_lib")"
		cp -L "$put_lib" "$1$put_lib"
	done
}

# make_root DIR: an empty system
make_root() {
	mkdir -p "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64" "$1/etc/default" "$1/etc/skel" "$1/dev" \
		"$1/proc" "$1/tmp" "$1/var/tmp" "$1/run" "$1/var/lib" "$1/var/log" "$1/var/spool/mail" "$1/var/mail" "$1/home" \
		"$1/usr/lib/systemd/system" "$1/etc/logrotate.d" "$1/usr/share/doc" "$1/usr/share/man/man5" \
		"$1/usr/share/man/man8" "$1/usr/share/licenses" "$1/usr/share/bash-completion/completions" \
		"$1/usr/lib/sysusers.d" "$1/usr/lib/tmpfiles.d" "$1/etc/systemd/system"
	for put_dir in bin sbin lib lib64; do ln -s "usr/$put_dir" "$1/$put_dir"; done
	ln -s ../run "$1/var/run"
	chmod 1777 "$1/tmp" "$1/var/tmp"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\n' >"$1/etc/group"
	printf 'root:*:19000:0:99999:7:::\n' >"$1/etc/shadow"
	printf 'root:*::\n' >"$1/etc/gshadow"
	printf 'passwd: files\ngroup: files\nshadow: files\n' >"$1/etc/nsswitch.conf"
	printf 'UID_MIN 1000\nUID_MAX 60000\nSYS_UID_MIN 100\nSYS_UID_MAX 999\nGID_MIN 1000\nGID_MAX 60000\n' \
		>"$1/etc/login.defs"
	printf 'SYS_GID_MIN 100\nSYS_GID_MAX 999\nENCRYPT_METHOD SHA512\n' >>"$1/etc/login.defs"
	# a file instead of the device: nothing here needs a mount or a device node to be cleaned up
	: >"$1/dev/null"
	chmod 666 "$1/dev/null"
	put_program "$1" sh cat ls id stat rm rmdir mkdir cp mv ln chmod chown find touch sed grep head sort cmp \
		getent useradd groupadd usermod dirname basename || return 1
	for put_nss in /lib/*/libnss_files.so.2 /lib64/libnss_files.so.2 /usr/lib64/libnss_files.so.2; do
		[ ! -e "$put_nss" ] || { mkdir -p "$1$(dirname "$put_nss")"; cp -L "$put_nss" "$1$put_nss"; }
	done
	stub_systemctl "$1" 252
}

# stub_systemctl DIR VERSION: what a scriptlet calls instead of the real one
stub_systemctl() {
	cat >"$1/usr/bin/systemctl" <<-END
		#!/bin/sh
		# a stub: says which version it is, and writes down how it was called
		case \$1 in
		--version) echo "systemd $2 ($2)"; exit 0 ;;
		esac
		echo "systemctl \$*" >>/systemctl.log
		exit 0
	END
	chmod 755 "$1/usr/bin/systemctl"
	: >"$1/systemctl.log"
}

# list_root DIR: every path of it, but for what a package manager or useradd keeps for itself
list_root() {
	(cd "$1" && find . -xdev | sed 's/^\.//' | LC_ALL=C sort |
		grep -vE '^/(systemctl\.log|var/lib/(rpm|dpkg|\.rpmdb)(/.*)?|usr/lib/sysimage(/.*)?|dev/null)$' |
		grep -vE '^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^/etc/\.pwd\.lock$')
}
