# kernel-image.sh - Debian's cloud kernels, by apt, and QEMU to boot them with an initramfs.
#
# Read by tools/boot-static and tools/kernel-matrix, not run. Wants tools/common.sh and tools/apt-root.sh, and in
# $kernels a directory in which kernels are kept, in $dir one for what is kept for this run only.

# missing_tools TOOL:PACKAGE...: the first of them that is not there, as a reason to skip; or nothing
missing_tools() {
	for tool in "$@"; do
		have "${tool%%:*}" || { echo "no ${tool%%:*}: apt-get install ${tool#*:}"; return; }
	done
}

# fetch_kernel SUITE: $kernels/SUITE has boot/vmlinuz-* and the modules
fetch_kernel() (
	[ ! -f "$kernels/$1/complete" ] || exit 0
	rm -rf "${kernels:?}/$1"
	mkdir -p "$kernels/$1" || die "cannot make $kernels/$1"
	apt_root "$dir/apt-$1" "$1" amd64
	apt_update
	cd "$dir/apt-$1" || exit 1
	image=$(apt_cache depends --important linux-image-cloud-amd64 | sed -n 's/^ *Depends: *//p' | head -n 1)
	[ -n "$image" ] || die "Debian's $1 has no linux-image-cloud-amd64"
	note "fetching $image"
	apt_package "$image"
	dpkg-deb -x linux-image-*.deb "$kernels/$1" && : >"$kernels/$1/complete"
)

# kernel_modules SUITE: the directory of its modules; its name is the kernel's release
kernel_modules() {
	for modules in "$kernels/$1"/lib/modules/*/ "$kernels/$1"/usr/lib/modules/*/; do
		[ ! -d "$modules/kernel" ] || { echo "${modules%/}"; return; }
	done
}

# copy_module FROM TO: a file NAME.ko, however it is packed, as NAME.ko
copy_module() {
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*.zst) zstd -qdc "$1" >"$2" ;;
	*.gz) gzip -dc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}

machine='' # the process that ends QEMU when it is ended itself
end_machine() {
	[ -z "$machine" ] || kill "$machine" 2>/dev/null
	machine=''
}

# boot_machine SUITE INITRAMFS SECONDS MEMORY LOG [OPTION...]: until it powers off. What its console said is in
# LOG; $boot_words are more words for the kernel (NAME=VALUE that it does not know: /init's environment).
# QEMU's emulation of cmpxchg16b is wrong now and then (up to 7.2: a double fault in kmalloc of Linux 6.12): it goes
# without. Not in a subshell: the trap of the caller calls end_machine.
boot_machine() {
	image=$(echo "$kernels/$1"/boot/vmlinuz-*)
	initramfs=$2 seconds=$3 memory=$4 console=$5
	shift 5
	: >"$console"
	timeout -k 10 "$seconds" qemu-system-x86_64 -accel "${ACCEL:-tcg}" -cpu qemu64,-cx16 -m "$memory" -nodefaults \
		-display none -no-reboot -serial "file:$console" -kernel "$image" -initrd "$initramfs" \
		-append "console=ttyS0 quiet panic=-1 rdinit=/init ${boot_words:-}" "$@" </dev/null >"$console.qemu" 2>&1 &
	machine=$!
	wait "$machine"
	machine_status=$?
	machine=''
	sed -i 's/\r//g' "$console"
	cat "$console.qemu" >>"$console"
	rm -f "$console.qemu"
	return $machine_status
}
