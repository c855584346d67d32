# Sourced by history.sh and lists.sh: a `weir all` of its own on a folder, on loopback,
# and what it costs. It needs $root, the folder of the repository.
url=http://127.0.0.1:${PORT:-21910}
weir=$root/bin/weir

field() { python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
cpu_seconds() { awk '{print ($14+$15)/100}' "/proc/$1/stat"; } # user and system time of a process
peak_mb() { awk '/VmHWM/{printf "%d", $2/1024}' "/proc/$1/status"; }
per_million() { awk -v s="$1" -v n="$2" 'BEGIN{printf "%.2f", s*1e6/n}'; }
calc() { awk "BEGIN{printf \"%.2f\", $1}"; }

# start_server DATA starts the server; $server is its pid.
start_server() {
	WEIR_QUERY_LOOKBACK=0 WEIR_LOG_LEVEL=warn "$weir" all --data "$1" --listen "${url#http://}" >"$1.log" 2>&1 &
	server=$!
	trap 'stop_server; rm -rf "${work:-}"' EXIT
	for _ in $(seq 300); do
		curl -fsS -o /dev/null "$url/readyz" 2>/dev/null && return
		sleep 0.2
	done
	echo "the server is not ready: $(tail -n 1 "$1.log")" >&2
	exit 1
}

# stop_server ends the server and waits until it has drained.
stop_server() {
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
}

# taken DATA prints how many records are in the log.
taken() {
	"$weir" check --data "$1" --json 2>/dev/null | python3 -c 'import json,sys; print(sum(s["end"]-s["first"] for s in json.load(sys.stdin)["shards"]))'
}

# on_disk DATA prints how many data files there are, those of old snapshots included.
on_disk() { find "$1/objects" -name '*.parquet' | wc -l; }

# live DATA TABLE prints how many data files the newest snapshot of a table has.
live() {
	curl -fsS "$admin/metrics" 2>/dev/null | awk -v t="weir_processor_live_files{table=\"$1\"}" '$1==t{print int($2)}'
}
