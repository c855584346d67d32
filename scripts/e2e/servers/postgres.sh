#!/usr/bin/env bash
# PostgreSQL from Debian's packages. It refuses to run as root, so root runs it
# as the user postgres. Prints URL.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stop_signal=INT # PostgreSQL's fast shutdown: it does not wait for clients

programs() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

install() {
	say "installing PostgreSQL, once"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >&2
	apt-get install -y -qq --no-install-recommends postgresql >&2
}

as_postgres() {
	if ((EUID == 0)); then runuser -u postgres -- "$@"; else "$@"; fi
}

# home is a folder that the user postgres can work in: DIR/home, or one in /tmp
# when DIR lies where only its owner may look. In .e2e, which is ours, the way
# to DIR is opened instead, so that removing DIR removes all.
home() {
	local home=$1/home
	mkdir -p "$home"
	if ((EUID == 0)); then
		chown postgres "$home"
		[[ $1 != "$root"/.e2e/* ]] || chmod o+x "$1" "$(dirname "$1")"
		as_postgres test -w "$home" || home=$(as_postgres mktemp -d /tmp/weir-postgres.XXXXXX)
	fi
	echo "$home"
}

initialise() {
	as_postgres tee "$1/password" <<<"$2" >/dev/null
	as_postgres "$bin/initdb" -D "$1/data" -U weir -A scram-sha-256 --pwfile="$1/password" -E UTF8 --locale=C --data-checksums
}

start() {
	local dir=$1 home port password bin
	[[ -n $(programs) ]] || install
	bin=$(programs)
	home=$(kept "$dir/where" home "$dir")
	port=$(kept "$dir/port" free_port)
	password=$(kept "$dir/password" random_text)
	if ! as_postgres test -e "$home/data/PG_VERSION"; then
		initialise "$home" "$password" >>"$dir/log" 2>&1 || die "$dir: cannot be initialised: $(tail "$dir/log")"
	fi
	local runner=()
	((EUID != 0)) || runner=(runuser -u postgres --)
	launch "$dir" "${runner[@]}" "$bin/postgres" -D "$home/data" -p "$port" -c listen_addresses=127.0.0.1 \
		-c "unix_socket_directories=" -c fsync=on -c max_connections=200
	await "$dir" 60 "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"
	as_postgres head -n 1 "$home/data/postmaster.pid" >"$dir/pid" # runuser stands before the server
	export PGPASSWORD=$password
	"$bin/psql" -q -h 127.0.0.1 -p "$port" -U weir -d postgres -c 'CREATE DATABASE weir' >>"$dir/log" 2>&1 || true # it is there already
	echo "URL=postgres://weir:$password@127.0.0.1:$port/weir?sslmode=disable"
}

run "$@"
