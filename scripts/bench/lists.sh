#!/usr/bin/env bash
# Asks a `weir all` on DIR/data, which history.sh --keep DIR left, for lists and
# reports, and DuckDB on the live Parquet files of its table of events for the same;
# prints times, ratios, and whether the answers are equal. Needs Python and Linux.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
source "$root/scripts/bench/server.sh"
dir=$(realpath "${1:?the DIR of: make bench-history ARGS=\"--keep DIR\"}")
python=$root/.tools/bench/bin/python
if ! "$python" -c 'import duckdb, fastavro, pytz' 2>/dev/null; then
	echo "installing DuckDB, once"
	python3 -m venv "$root/.tools/bench" && "$root/.tools/bench/bin/pip" install -q -r "$root/scripts/bench/requirements.txt"
fi
start_server "$dir/data"
"$python" -B "$root/scripts/bench/lists.py" "$dir/data" "$url"
