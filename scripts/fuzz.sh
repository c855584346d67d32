#!/usr/bin/env bash
# Runs every fuzzer of the repository for a while: fuzz.sh 20s
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-20s}
grep -rlE '^func Fuzz' --include='*_test.go' schemas ingest processor query deploy scripts | while read -r file; do
	package=./$(dirname "$file")
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | awk '{print $2}' | while read -r name; do
		echo "== $package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -parallel 2 "$package"
	done
done
