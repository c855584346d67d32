#!/usr/bin/env bash
# MinIO: an S3 server that shares no code with the one inside weir. Built from
# source, which takes some minutes, once. Prints ENDPOINT, ACCESS_KEY and
# SECRET_KEY.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=v0.0.0-20260212201848-7aac2a2c5b7c
minio=$tools/minio-$version/minio

install() {
	say "building MinIO, once, some minutes"
	CGO_ENABLED=0 GOBIN=$(dirname "$minio") go install -ldflags='-s -w' "github.com/minio/minio@$version" >&2
}

start() {
	local dir=$1 port console access secret
	once "$minio" install
	port=$(kept "$dir/port" free_port)
	console=$(kept "$dir/console-port" free_port)
	access=$(kept "$dir/access-key" random_text)
	secret=$(kept "$dir/secret-key" random_text)
	launch "$dir" env "MINIO_ROOT_USER=$access" "MINIO_ROOT_PASSWORD=$secret" MINIO_BROWSER=off MINIO_UPDATE=off \
		"$minio" server --quiet --address "127.0.0.1:$port" --console-address "127.0.0.1:$console" "$dir/data"
	await "$dir" 60 curl -fsS "http://127.0.0.1:$port/minio/health/ready"
	echo "ENDPOINT=http://127.0.0.1:$port"
	echo "ACCESS_KEY=$access"
	echo "SECRET_KEY=$secret"
}

run "$@"
