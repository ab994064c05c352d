#!/bin/sh
# test_cli.sh - the command line as a person meets it: exit statuses, what is said and where.
#
# $FLOWLINE is the program (default ./flowline, or ../flowline ... in a build tree). Exit 77: it is not built.
FLOWLINE=${FLOWLINE:-./flowline}
if [ ! -x "$FLOWLINE" ]; then
	echo "skip: $FLOWLINE is not built"
	exit 77
fi
case $FLOWLINE in
/*) ;;
*) FLOWLINE=$(pwd)/$FLOWLINE ;;
esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0
failed=0
LC_ALL=C
export LC_ALL

ok() { passed=$((passed + 1)); }
not_ok() {
	failed=$((failed + 1))
	echo "not ok: $*"
	sed 's/^/    out: /' out | head -n 5
	sed 's/^/    err: /' err | head -n 5
}

# try STATUS ARGUMENTS...: runs flowline, checks its exit status
try() {
	want=$1
	shift
	what="flowline $*"
	"$FLOWLINE" "$@" > out 2> err < /dev/null
	got=$?
	if [ "$got" -eq "$want" ]; then ok; else not_ok "$what: exit $got, wanted $want"; fi
}
out_has() { if grep -qF -e "$1" out; then ok; else not_ok "$what: no '$1' on standard output"; fi; }
err_has() { if grep -qF -e "$1" err; then ok; else not_ok "$what: no '$1' on standard error"; fi; }
out_empty() { if [ ! -s out ]; then ok; else not_ok "$what: standard output should be empty"; fi; }
err_empty() { if [ ! -s err ]; then ok; else not_ok "$what: standard error should be empty"; fi; }
err_lines() {
	n=$(wc -l < err)
	if [ "$n" -eq "$1" ]; then ok; else not_ok "$what: $n lines on standard error, wanted $1"; fi
}
same() { if cmp -s "$1" "$2"; then ok; else not_ok "$3"; fi; }

# A capture of three UDP datagrams (10.0.0.1:40000 -> 10.0.0.2:9, 4 bytes of payload each).
head_bytes() { printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\001\000\000\000'; }
frame_bytes() {
	printf '\000\361\123\145\000\000\000\000\056\000\000\000\056\000\000\000'
	printf '\002\000\000\000\000\002\002\000\000\000\000\001\010\000'
	printf '\105\000\000\040\000\000\000\000\100\021\146\313\012\000\000\001\012\000\000\002'
	printf '\234\100\000\011\000\014\000\000ping'
}
head_bytes > empty.pcap
{ head_bytes; frame_bytes; frame_bytes; frame_bytes; } > good.pcap
size=$(wc -c < good.pcap)
head -c $((size - 10)) good.pcap > cut.pcap
{ printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\177\000\000\000'; frame_bytes; } > radiotap.pcap
: > nothing.pcap
echo "this is a text and no capture" > text.pcap
gzip -c good.pcap > good.pcap.gz 2> /dev/null

# --- help and version
try 0 --help; out_has "usage: flowline COMMAND"; out_has "Examples:"; err_empty
try 0 -h; out_has "usage: flowline COMMAND"
try 0 help; out_has "usage: flowline COMMAND"
try 0 help read; out_has "usage: flowline read"; out_has "--local"
try 0 read --help; out_has "usage: flowline read"; out_has "Examples:"
try 0 run --help; out_has "--duration"; out_has "CAP_NET_RAW"
try 0 filters --help; out_has "usage: flowline filters"
try 0 status --help; out_has "usage: flowline status"; out_has "--json"; out_has "--socket"
try 0 doctor --help; out_has "usage: flowline doctor"; out_has "--json"; out_has "--interface"
try 0 --version; out_has "flowline "; out_has "libpcap"; err_empty

# --- wrong usage
try 2; err_has "which command?"; out_empty
try 2 raed good.pcap; err_has "did you mean 'read'?"
try 2 good.pcap; err_has "did you mean 'flowline read good.pcap'?"
try 2 read; err_has "which capture file?"
try 2 read good.pcap --intervall 5s; err_has "did you mean '--interval'?"; out_empty
try 2 read good.pcap --interval 5; err_has "'5' is not a duration"; err_has "such as 10s"
try 2 read good.pcap -i lo; err_has "for 'flowline run'"
try 2 read good.pcap -o out.line; err_has "did you mean 'file:out.line'?"
try 2 read good.pcap -o h:8086; err_has "did you mean 'http://h:8086'?"
try 2 read good.pcap -o influx:h:8086; err_has "did you mean 'http://h:8086'?"
try 2 read good.pcap -o http://me:s3cret@h; err_has "'http://***@h' has a user or password in it"
try 2 read good.pcap -o file:a -o file:a; err_has "two outputs are called 'file:a'"
try 2 read good.pcap --set sending.retry_min=2m; err_has "is more than sending.retry_max (60s)"
try 2 run --json; err_has "for 'flowline status'"
try 2 doctor lo; err_has "unexpected 'lo'"; out_empty
try 2 doctor --socket x; err_has "for 'flowline status'"
try 2 doctor -c /nonexistent/flowline.yaml; err_has "cannot be read"; out_empty
try 2 run lo; err_has "-i lo"
try 2 read --interval x --dns-ports y --tag z --local w --bogus
err_has "--interval"; err_has "--dns-ports"; err_has "--tag"; err_has "--local"; err_has "--bogus"
err_lines 7
out_empty

# --- files that cannot be read
try 1 read /nonexistent/x.pcap; err_has "cannot be opened: No such file"; out_empty
try 1 read .; err_has "is a directory"; out_empty
try 1 read nothing.pcap; err_has "is empty"; out_empty
try 1 read text.pcap; err_has "is not a capture"; out_empty
try 1 read radiotap.pcap; err_has "127"; err_has "802.11"; out_empty; err_lines 1
[ -s good.pcap.gz ] && try 1 read good.pcap.gz && err_has "zcat"
try 1 read good.pcap -o file:/nonexistent/x; err_has "No such file"
if [ "$(id -u)" -ne 0 ]; then
	cp good.pcap secret.pcap
	chmod 0 secret.pcap
	try 1 read secret.pcap; err_has "permission"
fi

# --- points
try 0 read empty.pcap; out_empty; err_empty
try 0 read good.pcap --host h; out_has "netflow,"; out_has "packets_written=3i"; out_has "bytes_written=12i"; err_empty
cp out one
try 0 read good.pcap --host h; same out one "two runs differ"
"$FLOWLINE" read --host h - < good.pcap > out 2> err; same out one "standard input differs from the file"
cat good.pcap | "$FLOWLINE" read --host h - > out 2> err; same out one "a pipe differs from the file"
try 0 read good.pcap --host h -o file:points; out_empty; same points one "file: differs from standard output"
try 0 read good.pcap --host h -o file:points; cat one one > two; same points two "file: is not appended to"
try 1 read cut.pcap --host h; out_has "packets_written=2i"; err_has "cut.pcap: frame 3: "; err_lines 1
try 1 read --host h nothing.pcap good.pcap; same out one "a bad file changes the points of a good one"; err_lines 1
try 0 read --host h good.pcap good.pcap; out_has "packets_written=6i"
try 0 read good.pcap --tag env=prod; out_has "env=prod"
try 0 read good.pcap; out_has "dst_port=9"; out_has "src_port=*"
try 0 read good.pcap --no-fold; out_has "src_port=40000"
try 0 read good.pcap --local 10.0.0.2; out_has "src_ip=10.0.0.2"; out_has "direction=incoming"

# --- --stats
try 0 read good.pcap --host h --stats; same out one "--stats changes the points"
err_has "seen"; err_has "adds up"; err_has "parsed"

# --- output that fails
if [ -w /dev/full ]; then
	"$FLOWLINE" read good.pcap > /dev/full 2> err
	got=$?
	what="flowline read > /dev/full"
	: > out
	if [ $got -eq 1 ]; then ok; else not_ok "$what: exit $got, wanted 1"; fi
	err_has "No space left"
fi
mkfifo pipe
( : < pipe ) &
reader=$!
( exec > pipe; wait_closed=0
  while kill -0 "$reader" 2> /dev/null && [ $wait_closed -lt 50 ]; do sleep 0.1; wait_closed=$((wait_closed + 1)); done
  "$FLOWLINE" read good.pcap 2> err; echo $? > status )
wait "$reader"
what="flowline read | nobody"
: > out
if [ "$(cat status)" = 1 ]; then ok; else not_ok "$what: exit $(cat status), wanted 1"; fi
err_has "reader has gone"

# --- filters
try 0 filters; out_has "ret  #"; out_has "tcpdump -ddd"; err_empty
out_has "filter flow:"; out_has "filter narrow:"; out_has "filter syn:"
out_has "whose TCP is narrowed: IPv4 in Ethernet"

# --- doctor: one who may capture is told 0, one who may not 1; both see the whole page
"$FLOWLINE" doctor -c '' > out 2> err < /dev/null
got=$?
what="flowline doctor"
if grep -q '^packet tier   works$' out; then want=0; else want=1; fi
if [ $got -eq $want ]; then ok; else not_ok "$what: exit $got, wanted $want"; fi
err_empty
for word in kernel capabilities 'packet tier' 'socket tier' 'probe tier' 'eBPF filter' narrowing processes GeoIP tier; do
	out_has "$word"
done
try $want doctor -c '' --json; out_has '"tier_auto":'; out_has '"mend":'; err_empty
try $want doctor -c '' --set geoip.databases=/nonexistent/a.mmdb; out_has "/nonexistent/a.mmdb: cannot be used"
try $want doctor -c '' --set capture.mode=packet --set processes.enabled=no; out_has "processes     not asked for"
[ $want = 0 ] && out_has "packet, by capture.mode packet; auto would take"

# --- configuration
try 0 --print-default-config; out_has "flowline.yaml"; out_has "#interval: 60s"; err_empty
cp out default.yaml
sed 's/^\( *\)#\([a-z_]*:\)/\1\2/' default.yaml > all.yaml
: > empty.yaml
try 0 check-config default.yaml all.yaml empty.yaml; out_has "default.yaml: ok"; out_has "all.yaml: ok"; err_empty
printf 'flows:\n  idle_timout: 5m\n  tcp_idle_timeout: 5 min\ninterval: 5s\n' > bad.yaml
try 2 check-config bad.yaml all.yaml; out_has "all.yaml: ok"; err_lines 2
err_has "bad.yaml:2:3: unknown key 'idle_timout' in 'flows' (did you mean 'tcp_idle_timeout'?)"
err_has "bad.yaml:3:21: flows.tcp_idle_timeout: '5 min' is not a duration: want 1s to 24h, such as 5m"
try 2 check-config missing.yaml; err_has "missing.yaml: cannot be read: No such file"
try 2 read good.pcap -c bad.yaml; out_empty; err_lines 2; err_has "bad.yaml:2:3"
try 0 read --host h -c all.yaml good.pcap; same out one "the default configuration changes the points"; err_empty
printf 'host: h\npoints: {fold_client_port: false}\ntags: {env: prod}\n' > some.yaml
try 0 read -c some.yaml good.pcap; out_has "src_port=40000"; out_has "env=prod"; out_has "host=h"
try 0 read -c some.yaml --set points.fold_client_port=yes good.pcap; out_has "src_port=*"
try 0 read --set tags.env=x --set host=h good.pcap; out_has "env=x"
try 0 read --set capture.mode=probe good.pcap; err_empty
FLOWLINE_TAGS=env=fromenv "$FLOWLINE" read good.pcap > out 2> err; what="FLOWLINE_TAGS"; out_has "env=fromenv"
try 0 --print-config-manual; out_has ".TH FLOWLINE.YAML 5"; err_empty

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
