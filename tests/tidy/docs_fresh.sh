#!/bin/bash
# docs/CONTAINER_SETUP.md is an introduction and the tables of the program: `docs_fresh.sh CORACLE`
# compares, `docs_fresh.sh CORACLE --write` writes them anew.
set -euo pipefail
document=$(dirname "$0")/../../docs/CONTAINER_SETUP.md
fresh=$(sed '/^## /,$d' "$document" && ASAN_OPTIONS=detect_leaks=0 "$1" explain --markdown)
if [ "${2-}" = --write ]; then
  printf '%s\n' "$fresh" >"$document"
elif ! diff "$document" <(printf '%s\n' "$fresh"); then
  echo "docs/CONTAINER_SETUP.md is old: \`make docs\` writes it anew"
  exit 1
fi
