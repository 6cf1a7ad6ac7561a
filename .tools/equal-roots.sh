#!/usr/bin/env bash
# The same random history in a debug and in a release build: equal state roots, or a failure that says both.
#   .tools/equal-roots.sh [STEPS [SEED]]
# Each run compares its state with copies of it: written and read again, exported and imported, taken from a snapshot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=${1:-5000} seed=${2:-7}
root() {
    cargo run --locked --quiet --package mesh30k-ledger "$@" --example sequence -- "$steps" "$seed" "$steps" |
        sed -n 's/^state root \([0-9a-f]*\) .*/\1/p'
}
debug=$(root)
release=$(root --release)
if [ -z "$debug" ] || [ "$debug" != "$release" ]; then
    printf 'equal-roots: debug gives "%s", release gives "%s"\n' "$debug" "$release" >&2
    exit 1
fi
echo "state root $debug after $steps steps with seed $seed, debug and release alike"
