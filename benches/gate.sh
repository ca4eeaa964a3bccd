#!/usr/bin/env bash
# Instructions of book and features on a fixed tape against benches/instructions.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! command -v valgrind >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  apt-get install -y -qq valgrind >/dev/null 2>&1 || echo "valgrind cannot be installed here"
fi
exec cargo run --quiet --release -p instruction-gate -- "$@"
