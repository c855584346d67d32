#!/usr/bin/env bash
# The benchmark of the reports, and DuckDB asked the same of the same Parquet
# files. It installs DuckDB into .tools, once. Without Python the comparison is
# left out, but not in CI. The argument is for -benchtime.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=.tools/bench/bin/python
duckdb() { # makes python one that has DuckDB
	command -v python3 >/dev/null || return 1
	if ! "$python" -c 'import duckdb' 2>/dev/null; then
		echo "installing DuckDB, once"
		python3 -m venv .tools/bench && .tools/bench/bin/pip install -q -r scripts/bench/requirements.txt
	fi
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${GO:-go}" test -run '^$' -bench '^BenchmarkReports$' -benchtime "${1:-1s}" ./query -args -reports "$folder"
if ! duckdb; then
	echo "LEFT OUT: the comparison with DuckDB, which needs python3 and its package duckdb"
	[[ ${CI:-} != true ]]
	exit
fi
"$python" -B scripts/bench/compare.py "$folder"
