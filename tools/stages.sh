#!/usr/bin/env bash
# Runs stages one after the other, stops at the first that fails, and closes with a summary:
# tools/stages.sh NAME=COMMAND...
set -uo pipefail

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' off=$'\e[0m'
else
  bold='' green='' red='' dim='' off=''
fi

summary=()
summarise() {
  printf '\n%sSummary%s\n' "$bold" "$off"
  printf '%s\n' "${summary[@]}"
}

for stage in "$@"; do
  name=${stage%%=*} command=${stage#*=}
  if ((${failed:-0})); then
    summary+=("  ${dim}  -      $name${off}")
    continue
  fi
  printf '\n%s== %s%s %s%s%s\n' "$bold" "$name" "$off" "$dim" "$command" "$off"
  began=$SECONDS
  if bash -euo pipefail -c "$command"; then
    summary+=("$(printf '  %sok%s   %4ds  %s' "$green" "$off" $((SECONDS - began)) "$name")")
  else
    failed=1
    summary+=("$(printf '  %sFAIL%s %4ds  %s: %s' "$red" "$off" $((SECONDS - began)) "$name" "$command")")
  fi
done
summarise
exit "${failed:-0}"
