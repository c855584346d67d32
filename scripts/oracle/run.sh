#!/usr/bin/env bash
# Sends the same random requests to Weir and DuckDB: installs DuckDB into .tools,
# then runs oracle.py on bin/weir. Needs Go and Python 3. Arguments go to
# oracle.py, such as --seed 7 --questions 500 --report generic/dateRange.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=.tools/oracle
if ! cmp -s scripts/oracle/requirements.txt "$venv/installed"; then
	echo "installing DuckDB, once"
	python3 -m venv "$venv"
	"$venv/bin/pip" install -q -r scripts/oracle/requirements.txt
	cp scripts/oracle/requirements.txt "$venv/installed"
fi
[[ -x bin/weir ]] || scripts/build.sh
exec "$venv/bin/python" -B scripts/oracle/oracle.py "$@"
