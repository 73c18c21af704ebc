#!/usr/bin/env bash
# Installs the Debian packages whose commands or files are missing: tools/debian.sh COMMAND=PACKAGE... /FILE=PACKAGE...
set -euo pipefail

missing=()
for pair in "$@"; do
  sign=${pair%%=*}
  [[ $sign == /* && -e $sign ]] || command -v "$sign" >/dev/null 2>&1 || missing+=("${pair#*=}")
done
((${#missing[@]})) || exit 0

case "$(id -u)" in
  0) as_root=() ;;
  *) as_root=(sudo) ;;
esac
if ! command -v apt-get >/dev/null || { ((${#as_root[@]})) && ! command -v sudo >/dev/null; }; then
  echo "missing: ${missing[*]} (Debian's names). Install them, then try again." >&2
  exit 69
fi

echo "installing from Debian: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
