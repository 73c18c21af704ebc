#!/usr/bin/env bash
# Makes .venv with the packages of tools/requirements.txt, and a Node.js where the machine has none that is new enough.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian splits `venv` off Python; without it `python3 -m venv` stops half way.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  tools/debian.sh python3-venv-is-missing=python3-venv
fi
[ -x .venv/bin/pip ] || python3 -m venv --clear .venv

install() {
  .venv/bin/pip --quiet --disable-pip-version-check --no-input install --require-hashes "$@"
}
install --only-binary :all: -r tools/requirements.txt
# Without isolation it is packed with the setuptools pinned above, not with whichever is newest.
install --no-deps --no-build-isolation --use-pep517 -r tools/requirements-source.txt

node_major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p' || true)
if [ "${node_major:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
  echo "installing Node.js into .venv" >&2
  install --only-binary :all: -r tools/requirements-node.txt
fi
