#!/usr/bin/env bash
# Builds weir as it was at a commit, then opens a folder that it wrote and
# replaces the processes of a cluster one by one. Needs Go and git.
set -euo pipefail
cd "$(dirname "$0")/.."
from=$1
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree/src" 2>/dev/null; rm -rf "$tree"' EXIT
git worktree add --quiet --detach "$tree/src" "$from"
echo "building weir of $from"
(cd "$tree/src" && CGO_ENABLED=0 go build -o "$tree/weir" ./deploy/weir)
CGO_ENABLED=0 go test -tags upgrade -count=1 -timeout 20m -run '^TestUpgrade' -v ./deploy/weir -old "$tree/weir"
