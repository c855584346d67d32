#!/usr/bin/env bash
# Runs every fuzzer of the repository for a while: fuzz.sh 20s
# A package is built once for all of its fuzzers.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-20s}
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
cache=$(go env GOCACHE)/fuzz
grep -rlE '^func Fuzz' --include='*_test.go' schemas ingest processor query deploy scripts | xargs -n 1 dirname | sort -u | while read -r package; do
	go test -c -fuzz . -o "$built/fuzz.test" "./$package"
	cat "$package"/*_test.go | grep -oE '^func Fuzz[A-Za-z0-9_]+' | awk '{print $2}' | while read -r name; do
		echo "== ./$package $name"
		(cd "$package" && "$built/fuzz.test" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "$duration" -test.parallel 2 -test.fuzzcachedir "$cache/weir/$package")
	done
done
