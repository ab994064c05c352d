#!/bin/sh
# test_completion.sh - what bash completes after `flowline --print-completion` was read.
#
# $FLOWLINE is the program (default ./flowline). Exit 77: it is not built, or there is no bash 4.
FLOWLINE=${FLOWLINE:-./flowline}
[ -x "$FLOWLINE" ] || { echo "skip: $FLOWLINE is not built"; exit 77; }
# shellcheck disable=SC2016
bash -c '((BASH_VERSINFO[0] >= 4))' 2>/dev/null || { echo "skip: no bash 4"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$FLOWLINE" --print-completion >"$dir/completion" || exit 1
: >"$dir/trace.pcap"
passed=0 failed=0

# complete WORD...: the completions of the last word, sorted, in one line
complete() {
	(cd "$dir" && bash -c '
		. ./completion
		COMP_WORDS=(flowline "$@") COMP_CWORD=$#
		compopt() { :; }
		_flowline
		printf "%s\n" "${COMPREPLY[@]}"' - "$@" | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')
}
# want "WORD WORD ..." WANTED; the last word may be empty: end with a blank
want() {
	# shellcheck disable=SC2086
	case $1 in *' ') got=$(complete $1 '') ;; *) got=$(complete $1) ;; esac
	if [ "$got" = "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: flowline %s<TAB>\n    got    %s\n    wanted %s\n' "$1" "$got" "$2"
	fi
}
# has "WORD ..." WANTED: one of them
has() {
	# shellcheck disable=SC2086
	case $1 in *' ') got=$(complete $1 '') ;; *) got=$(complete $1) ;; esac
	case " $got " in
	*" $2 "*) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)); printf 'not ok: flowline %s<TAB>\n    got    %s\n    without %s\n' "$1" "$got" "$2" ;;
	esac
}

want "st" "status"
want "--v" "--version"
want "help fil" "filters"
want "do" "doctor"
want "doctor --j" "--json"
has "run -" "--interface"
has "run " "--output"
want "status --j" "--json"
want "run --json" ""
want "read tr" "trace.pcap"
want "check-config tr" "trace.pcap"
want "run -c tr" "trace.pcap"
want "run --config = tr" "trace.pcap"
want "run --tunnels i" "inner"
want "run --tunnels = " "inner outer"
want "run --interval " ""
has "run -i " "lo"
want "run -o u" "udp: unix: unixgram:"
want "run -o file : tr" "trace.pcap"
want "run -o http : //x" ""
want "run --set flows.max" "flows.max_flows="
want "run --set = flows.max" "flows.max_flows="
want "run --set log.level = d" "debug"
want "run --set log.level =" "debug error info warn"
want "run --set = log.level = w" "warn"
want "run --set points.fold_client_port = " "false true"
# every option and every setting is in it
for command in read run filters status doctor check-config; do
	for option in $("$FLOWLINE" $command --help | sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p'); do
		has "$command $option" "$option"
	done
done
settings=$("$FLOWLINE" --print-config-manual | sed -n 's/^\.B \([a-z]*\.[a-z_.]*\)$/\1/p')
for setting in $settings; do
	has "run --set $setting" "$setting="
done

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
