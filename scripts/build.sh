#!/usr/bin/env bash
# Builds bin/weir, and shows that it is building: a first build compiles some
# hundred packages and takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
CGO_ENABLED=0 go build -ldflags="-s -w" -o bin/weir ./deploy/weir &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' INT TERM
while kill -0 "$pid" 2>/dev/null; do
	sleep 1
	elapsed=$((SECONDS - start))
	if ((elapsed >= 3)) && ((elapsed % 3 == 0)); then
		printf '\rbuilding bin/weir (the first time takes a few minutes) … %ds ' "$elapsed" >&2
	fi
done
wait "$pid"
elapsed=$((SECONDS - start))
if ((elapsed >= 3)); then printf '\rbuilt bin/weir in %ds%40s\n' "$elapsed" '' >&2; fi
