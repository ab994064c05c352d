#!/bin/sh
# Make ./configure from a fresh clone. Needs autoconf 2.69 and automake 1.13 or newer.
set -e
cd "$(dirname "$0")"
for tool in autoconf automake autoreconf; do
	command -v $tool >/dev/null 2>&1 || {
		echo "autogen.sh: $tool is missing: install autoconf and automake" \
		     "(apt install autoconf automake; dnf install autoconf automake)" >&2
		exit 1
	}
done
autoreconf -fi
echo "Next: ./configure && make && make check   (or tools/quickstart, which does it all)"
