#!/usr/bin/env bash
# Runs the end-to-end suite, scripts/e2e, against bin/weir. Installs its tools
# into .tools. Needs Go, Java 17, Maven, Python 3, PostgreSQL's
# programs and unzip. Arguments go to `go test`, such as -run TestKill/KILL/all.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ! -x .tools/venv/bin/python ]] || ! .tools/venv/bin/python -c 'import duckdb, pyiceberg, pyarrow, psycopg2, pytz' 2>/dev/null; then
	echo "installing the Iceberg readers, once"
	python3 -m venv .tools/venv
	.tools/venv/bin/pip install -q -r scripts/e2e/requirements.txt
fi
[[ -x bin/weir ]] || scripts/build.sh
exec go test -tags e2e -count=1 -timeout 30m -v "$@" ./scripts/e2e
