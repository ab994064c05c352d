#!/bin/sh
# check-valgrind.sh - the unit tests, and `flowline read` of the captures at hand, under valgrind.
#
# Not part of `make check` (minutes): make check-valgrind, which sets what is read here.
skip() { echo "skip: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }

command -v valgrind >/dev/null 2>&1 || skip "valgrind is not installed"
cd "${top_builddir:?make check-valgrind sets it}" || exit 1
grep -q 'fsanitize=address' Makefile && skip "valgrind cannot run a program built with sanitizers"

passed=0 failed=0 skipped=0
# run NAME MOST COMMAND...: valgrind exits 99 where it found something, else as the program does; a
# status up to MOST is well (1: a capture may be damaged on purpose)
run() {
	what=$1 most=$2
	shift 2
	valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,possible \
		--errors-for-leak-kinds=definite --suppressions="$top_srcdir/tests/valgrind.supp" \
		"$@" >valgrind.out 2>&1
	rc=$?
	case $rc in
	0|"$most") echo "ok $what"; passed=$((passed + 1)) ;;
	77) echo "skip $what"; skipped=$((skipped + 1)) ;;
	*)
		tail -n 40 valgrind.out
		echo "not ok $what (exit $rc)"
		failed=$((failed + 1)) ;;
	esac
}

for test in ${unit_tests:-}; do
	run "$test" 0 "./$test"
done
for capture in "$top_srcdir"/docs/examples/*.pcap "$top_srcdir"/tests/fixtures/*/in.pcap; do
	[ -f "$capture" ] || continue
	run "read ${capture#"$top_srcdir"/}" 1 ./flowline read --stats "$capture"
done
rm -f valgrind.out

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
