# apt-root.sh - an apt of its own beside the system's: for packages and sources of any Debian suite.
#
# Read by tools/build-static, tools/boot-static and tools/kernel-matrix, not run. Lists, caches and the file with
# the sources are in a directory that the caller gives; the system's sources stay as they are. Signatures are
# checked against the system's Debian keyring. The mirror is the one that the system's apt uses, or $DEBIAN_MIRROR.
#
# Wants die(), note() and have() of tools/common.sh.

# apt_mirror: the URL of the archive, without a slash at its end
apt_mirror() {
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		echo "${DEBIAN_MIRROR%/}"
		return
	fi
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed -n 's,/*$,,; /\/debian$/{p;q;}'
}

apt_keyring() {
	for keyring in /usr/share/keyrings/debian-archive-keyring.pgp /usr/share/keyrings/debian-archive-keyring.gpg; do
		[ ! -r $keyring ] || { echo $keyring; return; }
	done
}

# apt_root DIR SUITE ARCHITECTURES: from here on apt_get and apt_cache are those of this suite. ARCHITECTURES:
# the first is the native one; with blanks between.
apt_root() {
	APT_ROOT=$1
	have apt-get || die "no apt-get here: Debian's packages are fetched with it (run this on Debian or Ubuntu)"
	apt_uri=$(apt_mirror)
	[ -n "$apt_uri" ] || die "this system's apt has no Debian archive: set DEBIAN_MIRROR to the URL of one (.../debian)"
	apt_key=$(apt_keyring)
	[ -n "$apt_key" ] || die "no keyring of Debian's archive to check with: apt-get install debian-archive-keyring"
	case $APT_ROOT$apt_key in *[\"\;\ ]*) die "$APT_ROOT: a directory without blanks and quotes, please" ;; esac
	mkdir -p "$APT_ROOT/lists/partial" "$APT_ROOT/archives/partial" "$APT_ROOT/empty"
	: >"$APT_ROOT/status"
	apt_suites="$2"
	# the security archive is beside the main one, if the mirror has it
	for apt_line in "$apt_uri $2" "$apt_uri-security $2-security"; do
		printf 'deb [signed-by=%s] %s main\n' "$apt_key" "$apt_line"
		printf 'deb-src [signed-by=%s] %s main\n' "$apt_key" "$apt_line"
	done >"$APT_ROOT/sources.list"
	cat >"$APT_ROOT/apt.conf" <<END
Dir::State "$APT_ROOT";
Dir::State::lists "$APT_ROOT/lists";
Dir::State::status "$APT_ROOT/status";
Dir::Cache "$APT_ROOT";
Dir::Cache::archives "$APT_ROOT/archives";
Dir::Etc::sourcelist "$APT_ROOT/sources.list";
Dir::Etc::sourceparts "$APT_ROOT/empty";
Dir::Etc::preferences "$APT_ROOT/no-preferences";
Dir::Etc::preferencesparts "$APT_ROOT/empty";
APT::Architecture "${3%% *}";
APT::Architectures { $(for a in $3; do printf '"%s"; ' "$a"; done) };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "2";
END
}

# the system's own switches come first, so these win
apt_get() { apt-get -q -c "$APT_ROOT/apt.conf" "$@"; }
apt_cache() { apt-cache -q -c "$APT_ROOT/apt.conf" "$@"; }

# apt_update: fetch the lists; a mirror without a security archive is told, and gone on without
apt_update() {
	apt_get update >"$APT_ROOT/update.log" 2>&1 && ! grep -q '^E:' "$APT_ROOT/update.log" && return
	sed -i '/-security main$/d' "$APT_ROOT/sources.list"
	apt_get update >"$APT_ROOT/update.log" 2>&1 && ! grep -q '^E:' "$APT_ROOT/update.log" || {
		tail -n 5 "$APT_ROOT/update.log" >&2
		die "cannot read the lists of Debian's $apt_suites from $apt_uri: no network, or a keyring that is too old for it (apt-get install debian-archive-keyring)"
	}
	note "no security archive at $apt_uri-security: going on without its updates"
}

# apt_versions PACKAGE: versions of a source package that the lists have, the newest first
apt_versions() {
	apt_cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: *//p' | sort -ruV
}

# apt_source PACKAGE: the files of its newest source that can be fetched, into the current directory
apt_source() {
	for apt_version in $(apt_versions "$1"); do
		apt_get source --download-only --only-source "$1=$apt_version" >"$APT_ROOT/source.log" 2>&1 && return
		note "$1 $apt_version cannot be fetched: trying an older one"
	done
	tail -n 5 "$APT_ROOT/source.log" >&2 2>/dev/null
	die "no source package $1 in Debian's $apt_suites at $apt_uri"
}

# apt_package PACKAGE[:ARCHITECTURE]: its .deb into the current directory
apt_package() {
	apt_versions_of=$(apt_cache policy "$1" | sed -n 's/^ *\(\*\*\*\)\{0,1\} *\([0-9][^ ]*\) [0-9-]*$/\2/p')
	for apt_version in $apt_versions_of; do
		apt_get download "$1=$apt_version" >"$APT_ROOT/download.log" 2>&1 && return
		note "$1 $apt_version cannot be fetched: trying an older one"
	done
	tail -n 5 "$APT_ROOT/download.log" >&2 2>/dev/null
	die "no package $1 in Debian's $apt_suites at $apt_uri"
}
