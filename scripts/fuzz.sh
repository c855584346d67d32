#!/usr/bin/env bash
# Runs the fuzzers of the repository for a while each: fuzz.sh 20s [PART/PARTS]
# With a part, such as 2/3, it runs that share of them. A package is built once
# for all of its fuzzers.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-20s}
part=${2:-1/1}
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
cache=$(go env GOCACHE)/fuzz

fuzzers() { # prints "package name" of each, sorted by package
	grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' schemas ingest processor query deploy scripts |
		sed -E 's|^(.*)/[^/]+:func (.*)$|\1 \2|' | sort
}

# Neighbours stay in one part, so that few packages are built for it.
mapfile -t all < <(fuzzers)
k=${part%/*} n=${part#*/}
mine=("${all[@]:$((${#all[@]} * (k - 1) / n)):$((${#all[@]} * k / n - ${#all[@]} * (k - 1) / n))}")
echo "${#mine[@]} of ${#all[@]} fuzzers, $duration each"
last=
for entry in "${mine[@]}"; do
	read -r package name <<<"$entry"
	if [[ $package != "$last" ]]; then
		go test -c -fuzz . -o "$built/fuzz.test" "./$package"
		last=$package
	fi
	echo "== ./$package $name"
	(cd "$package" && "$built/fuzz.test" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "$duration" -test.parallel 2 -test.fuzzcachedir "$cache/weir/$package")
done
