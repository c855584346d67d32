#!/usr/bin/env bash
# Runs every suite whole, some hours in all, and prints what each took. It goes
# on after a failure and exits 1 if there was one. NIGHTSEED chooses the random
# stories and questions; by default it is the day, and it is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

NIGHTSEED=${NIGHTSEED:-$(date +%Y%m%d)}
echo "NIGHTSEED=$NIGHTSEED"

questions() { # asks the oracle with three seeds
	local seed
	for seed in "$NIGHTSEED" $((NIGHTSEED + 100000000)) $((NIGHTSEED + 200000000)); do
		make oracle ARGS="--seed $seed --questions 1000" || return 1
	done
}

attempt "build" 300 make build
attempt "lint" 300 make lint
attempt "dead code" 300 make deadcode
attempt "make test" 600 make test
attempt "race" 1800 make race
attempt "stories: simulation of the protocol, 50,000 seeds" 1800 go test -count=1 -timeout 2h ./schemas/lake/laketest -sim.seeds 50000
attempt "stories: processors, by seeds, 20 minutes" 1500 go test -run '^$' -fuzz '^FuzzRun$' -fuzztime 20m ./processor
attempt "stories: kills, 40 of each" 1800 go test -count=1 -timeout 2h -run '^(TestKilledServerLosesAndRepeatsNothing|TestStoppedServerLosesAndRepeatsNothing)$' ./deploy/weir -kills 40 -kill-seed "$NIGHTSEED"
attempt "fuzz, 2 minutes each" 4200 make fuzz FUZZTIME=2m
attempt "bench" 1200 make bench
attempt "upgrade from an earlier version" 300 make upgrade
attempt "e2e" 900 make e2e
attempt "oracle, 3 seeds of 1,000 questions a phase" 3600 questions
