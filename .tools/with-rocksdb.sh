#!/usr/bin/env bash
# Runs a command with the prebuilt RocksDB in its environment:  .tools/with-rocksdb.sh cargo build
# Builds the library first if it is not there; should that fail, says so and lets cargo compile RocksDB itself.
set -euo pipefail

if [ -z "${ROCKSDB_LIB_DIR:-}" ]; then
    if variables=$("$(dirname "${BASH_SOURCE[0]}")/rocksdb-prebuild.sh" --env); then
        eval "$variables"
    else
        echo "rocksdb: no prebuilt library; cargo compiles RocksDB itself, which takes longer" >&2
    fi
fi
exec "$@"
