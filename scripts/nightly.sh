#!/usr/bin/env bash
# Runs every suite whole, about an hour and a half, and prints what each took. It goes
# on after a failure and exits 1 if there was one. NIGHTSEED chooses the random
# stories and questions; by default it is the day, and it is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

NIGHTSEED=${NIGHTSEED:-$(date +%Y%m%d)}
echo "NIGHTSEED=$NIGHTSEED"

attempt "build" 120 make build
attempt "lint" 120 make lint
attempt "dead code" 300 make deadcode
attempt "make test" 420 make test
attempt "race" 900 make race
attempt "stories: simulation of the protocol, 10,000 seeds" 600 go test -count=1 -timeout 2h ./schemas/lake/laketest -sim.seeds 10000
attempt "stories: processors, by seeds, 5 minutes" 420 go test -run '^$' -fuzz '^FuzzRun$' -fuzztime 5m ./processor
attempt "stories: kills, 10 of each" 600 go test -count=1 -timeout 2h -run '^(TestKilledServerLosesAndRepeatsNothing|TestStoppedServerLosesAndRepeatsNothing)$' ./deploy/weir -kills 10 -kill-seed "$NIGHTSEED"
attempt "fuzz, 20 s each" 900 make fuzz FUZZTIME=20s
attempt "mistakes" 420 make mistakes
attempt "bench" 600 make bench
attempt "attacks, 10 s each" 900 make attack ARGS="--seconds 10"
attempt "attacks, all at once for 2 minutes" 300 make attack ARGS="--together --seconds 120 --rate 20000"
attempt "upgrade from an earlier version" 180 make upgrade
attempt "e2e" 600 make e2e
attempt "oracle, 1,000 questions a phase" 1200 make oracle ARGS="--seed $NIGHTSEED --questions 1000"
