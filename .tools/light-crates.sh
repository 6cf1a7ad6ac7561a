#!/usr/bin/env bash
# The deciding crates build and test without RocksDB and libp2p: asks cargo, which resolves features.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for crate in mesh30k-ledger mesh30k-core mesh30k-consensus mesh30k-chain; do
    heavy=$(cargo tree --locked --package "$crate" --edges normal,build,dev --prefix none --format '{p}' |
        grep -E '^(librocksdb-sys|rocksdb|libp2p[a-z-]*) v' | sort -u || true)
    if [ -n "$heavy" ]; then
        printf 'light-crates: %s depends on: %s\n' "$crate" "$heavy" >&2
        exit 1
    fi
done
