# What the scripts of this folder have in common. Each is called
#
#   NAME.sh start DIR   installs the server if it is absent, starts it on free
#                       loopback ports with its data in DIR, waits until it
#                       answers, and prints NAME=VALUE lines: how to reach it
#   NAME.sh stop DIR    asks it to end and waits; kills it after 30 s
#   NAME.sh kill DIR    ends it as a crash would
#
# and works again and again on one DIR: a server that is started anew finds its
# data and has the addresses it had. Nothing listens anywhere but on loopback.
# Tools are installed into .tools of the repository.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
tools=${WEIR_TOOLS:-$root/.tools}

say() { echo "$*" >&2; }

die() {
	say "$*"
	exit 1
}

# kept FILE COMMAND…: what COMMAND prints, remembered in FILE from then on.
kept() {
	local file=$1
	shift
	[[ -s $file ]] || (umask 077 && "$@" >"$file.new" && mv "$file.new" "$file")
	cat "$file"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

random_text() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# launch DIR COMMAND…: runs COMMAND on its own, its output in DIR/log.
launch() {
	local dir=$1
	shift
	setsid "$@" </dev/null >>"$dir/log" 2>&1 &
	echo $! >"$dir/pid"
}

running() { [[ -s $1/pid ]] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }

# await DIR SECONDS COMMAND…: until COMMAND succeeds, or the server is gone.
await() {
	local dir=$1 deadline=$((SECONDS + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		running "$dir" || die "$dir: the server ended while starting: $(tail -n 20 "$dir/log")"
		((SECONDS < deadline)) || die "$dir: no answer in time: $(tail -n 20 "$dir/log")"
		sleep 0.2
	done
}

# end DIR SIGNAL: sends SIGNAL and waits until the process is gone.
end() {
	running "$1" || return 0
	local pid deadline=$((SECONDS + 30))
	pid=$(cat "$1/pid")
	kill "-$2" "$pid"
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS >= deadline)); then
			say "$1: killed, as it did not end within 30 s"
			kill -KILL "$pid" || true
			deadline=$((SECONDS + 30))
		fi
		sleep 0.1
	done
	rm -f "$1/pid"
}

# once FILE COMMAND…: runs COMMAND unless FILE is there; two callers wait for
# each other, so that suites may start side by side.
once() {
	local file=$1
	shift
	[[ ! -e $file ]] || return 0
	mkdir -p "$(dirname "$file")"
	(
		flock 9
		[[ -e $file ]] || "$@"
	) 9>"$(dirname "$file")/.lock"
}

# run NAME ARGS…: the command line of every script here. start and the signal
# to stop with are the script's own.
run() {
	(($# == 2)) || die "usage: $(basename "$0") start|stop|kill DIR"
	mkdir -p "$2"
	local dir
	dir=$(cd "$2" && pwd)
	case $1 in
	start)
		running "$dir" && die "$dir: runs already"
		start "$dir"
		;;
	stop) end "$dir" "${stop_signal:-TERM}" ;;
	kill) end "$dir" KILL ;;
	*) die "usage: $(basename "$0") start|stop|kill DIR" ;;
	esac
}
