#!/usr/bin/env bash
# Runs the benchmark of the reports, and the same reports in DuckDB on the same
# Parquet files. It installs DuckDB into .tools once. Without Python it skips the
# comparison, which fails in CI. The argument is passed to -benchtime.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=.tools/bench/bin/python
duckdb() { # installs DuckDB for $python
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
	echo "SKIPPED: the comparison with DuckDB needs python3 and its package duckdb"
	[[ ${CI:-} != true ]]
	exit
fi
"$python" -B scripts/bench/compare.py "$folder"
