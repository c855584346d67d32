#!/usr/bin/env bash
# Sends the same number of events twice to a fresh `weir all`: once all of yesterday,
# once spread over years, in several streams, so that each cut has events of many
# months. Prints what either costs and the ratio of the two: it should be 1.
#
#	history.sh [--events N] [--years N] [--settle SECONDS] [--keep DIR]
#
# --keep leaves the folder of the history in DIR, for lists.sh. Needs Go, Python,
# curl and Linux.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
source "$root/scripts/bench/server.sh"
events=2000000 years=6 settle=90 keep=
while (($#)); do
	case $1 in
	--events) events=$2 ;;
	--years) years=$2 ;;
	--settle) settle=$2 ;;
	--keep) keep=$(realpath -m "$2") ;;
	*) echo "unknown argument $1; see the top of $0" >&2; exit 2 ;;
	esac
	shift 2
done
work=$(mktemp -d)
"${GO:-go}" build -o "$work/loadgen" "$root/scripts/loadgen"
streams=8

# generate NAME DAYS START makes the events of a run, one file a stream.
generate() {
	mkdir -p "$work/$1.in"
	echo "making $events events over $2 days"
	for i in $(seq $streams); do
		"$work/loadgen" --events $((events / streams)) --clients $((events / streams / 60 + 1)) --days "$2" --start "$3" \
			--seed "$i" --product "$i" --out "$work/$1.in/$i.ndjson"
	done
}

# new_source DATA makes an account, product 1004, a user, a token and a data source.
new_source() {
	local admin=(--data "$1" --json) account source
	account=$("$weir" admin account create --name bench "${admin[@]}" | field account_id)
	"$weir" admin product create --account "$account" --id 1004 --name bench "${admin[@]}" >/dev/null
	"$weir" admin product set --id 1004 --euid-as-ref=true --data "$1" >/dev/null
	"$weir" admin user create --account "$account" --email bench@example.org --password-stdin "${admin[@]}" <<<'correct horse battery' >/dev/null
	"$weir" admin token create --account "$account" --product 1004 "${admin[@]}" >"$1/bench-token.json"
	source=$("$weir" admin source create --product 1004 "${admin[@]}")
	key=$(field key <<<"$source") secret=$(field secret <<<"$source")
}

# measure NAME sends the events of a run and sets cpu_NAME, rate_NAME.
measure() {
	local data=$work/$1 began last=0 now most=0 n pids=() rates=()
	start_server "$data"
	admin=http://$(field admin <"$data/run.json")
	new_source "$data"
	began=$(date +%s.%N)
	for i in $(seq 0 2 $((streams - 1))); do # four senders at once, each of two streams
		WEIR_SECRET=$secret "$weir" import --url "$url" --key "$key" "$work/$1.in/$((i + 1)).ndjson" "$work/$1.in/$((i + 2)).ndjson" >"$work/import.$i" 2>&1 &
		pids+=($!)
	done
	while kill -0 "${pids[@]}" 2>/dev/null; do
		sleep 10
		now=$(taken "$data") n=$(on_disk "$data")
		rates+=($(((now - last) / 10)))
		last=$now
		((n > most)) && most=$n
	done
	wait "${pids[@]}"
	local took total cpu
	took=$(calc "$(date +%s.%N) - $began") total=$(taken "$data")
	sleep "$settle"
	cpu=$(per_million "$(cpu_seconds "$server")" "$total")
	echo "$1: $total events in $took s; each 10 s: ${rates[*]} events/s"
	echo "$1: $cpu CPU s per million events (sent, taken in and merged), peak $(peak_mb "$server") MB, $most data files on disk at most"
	echo "$1: after $settle s live data files: events $(live events), client_days $(live client_days), event_days $(live event_days), clients $(live clients)"
	printf -v "cpu_$1" %s "$cpu"
	printf -v "rate_$1" %s "$(calc "$total / $took")"
	stop_server
	"$weir" check --data "$data" | tail -n 1
}

mkdir -p "$work/live" "$work/history"
generate live 1 today
generate history $((years * 365)) "$(($(date +%Y) - years))-01-01"
measure live
measure history
echo "history beside live: CPU $(calc "$cpu_history / $cpu_live"), rate $(calc "$rate_history / $rate_live")"
if [[ -n $keep ]]; then
	mkdir -p "$keep" && rm -rf "$keep/data" && mv "$work/history" "$keep/data"
fi
rm -rf "$work"
