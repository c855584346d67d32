# Sourced by .ci/run and scripts/nightly.sh: runs named steps, each with a
# budget, and prints at the end what each took beside what it may take. A step
# over its budget is only warned about; a step that fails fails the run.

steps=()    # a line for each step that has ended
current=    # the step that runs
failed=0    # how many steps failed
budget=0    # seconds of all steps
scale=100   # percent of a step's budget: more when everything must be built first

# start_from_empty allows for an empty build cache, from which everything takes
# about half as long again: 60 minutes for what takes 40.
start_from_empty() {
	local cache megabytes
	cache=$(go env GOCACHE)
	megabytes=$(du -sm "$cache" 2>/dev/null | cut -f1) || true
	if ((${megabytes:-0} < 500)); then
		scale=150
		echo "the build cache is empty: budgets are half as long again"
	fi
}

open_step() { # NAME SECONDS
	current=$1 share=$(($2 * scale / 100)) started=$SECONDS
	budget=$((budget + share))
	echo "::: $current, up to ${share}s"
}

close_step() { # NOTE
	local took=$((SECONDS - started)) note=$1
	if ((took > share)); then
		note+=" OVER BUDGET"
		echo "WARNING: $current took ${took}s of ${share}s"
	fi
	steps+=("$(printf '%6ds of %5ds  %s%s' "$took" "$share" "$current" "${note:+  $note}")")
	current=
}

# step runs a command that must pass: under set -e its failure ends the run.
step() { # NAME SECONDS COMMAND…
	open_step "$1" "$2"
	shift 2
	"$@"
	close_step ""
}

# attempt runs a command and goes on if it fails; the run fails at its end.
attempt() { # NAME SECONDS COMMAND…
	open_step "$1" "$2"
	shift 2
	if "$@"; then
		close_step ""
	else
		failed=$((failed + 1))
		close_step FAILED
	fi
}

summary() {
	local status=$?
	if [[ -n $current ]]; then close_step FAILED; fi
	echo "::: how long each part took"
	if ((${#steps[@]})); then printf '%s\n' "${steps[@]}"; fi
	printf '%6ds of %5ds  in all\n' "$SECONDS" "$budget"
	if ((status == 0 && failed > 0)); then
		echo "$failed of ${#steps[@]} steps failed"
		status=1
	fi
	exit "$status"
}
trap summary EXIT
