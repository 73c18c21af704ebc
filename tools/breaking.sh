#!/usr/bin/env bash
# Holds the API against the main branch's last commit: a change that breaks its clients fails.
set -euo pipefail
cd "$(dirname "$0")/.."

base=
for ref in refs/remotes/origin/main refs/heads/main; do
  if base=$(git rev-parse --verify --quiet "$ref^{commit}"); then break; fi
done
if [ -z "$base" ] || [ -z "$(git ls-tree "$base" proto/ 2>/dev/null)" ]; then
  echo "no main branch with an API to compare with: nothing can break" >&2
  exit 0
fi

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" proto | tar -x -C "$old"
cp buf.yaml "$old"
cp -r third_party "$old"
buf breaking --against "$old"
