#!/usr/bin/env bash
# Builds the RocksDB of the pinned librocksdb-sys crate once, as a static library, and keeps it under the user's cache.
#
#   .tools/rocksdb-prebuild.sh          build it unless it is there; progress on stderr, nothing on stdout
#   .tools/rocksdb-prebuild.sh --env    the same, then print the variables cargo needs; use: eval "$(... --env)"
#
# The crate would compile more than 300 files one by one; unity chunks (many sources in one unit) parse each header
# once and take a fraction of the time. Defines and flags are those of the crate's build.rs for linux with the feature lz4.
# Without this library `cargo build` works as well: the crate then compiles RocksDB itself.
# Knobs: CXX (compiler), MESH30K_JOBS (parallel units), XDG_CACHE_HOME.
set -euo pipefail

chunks=24
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cxx=${CXX:-c++}

say() { printf 'rocksdb: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# One unit; run by xargs as a child of the build below. 255 makes xargs stop starting further units.
compile_unit() {
    local unit=$1 log="$BUILD_DIR/$1.log"
    # shellcheck disable=SC2086 # FLAGS is a list of words
    if ! $CXX_COMMAND $FLAGS -c "$BUILD_DIR/$unit.cc" -o "$BUILD_DIR/$unit.o" >"$log" 2>&1; then
        [ -d "$BUILD_DIR" ] || exit 255 # the build was stopped meanwhile
        cp "$log" "$FAILED_LOG"
        printf 'rocksdb: unit %s does not compile; the compiler says (%s):\n' "$unit" "$FAILED_LOG" >&2
        head -n 20 "$FAILED_LOG" >&2
        exit 255
    fi
    local done_count
    done_count=$(find "$BUILD_DIR" -name '*.o' | wc -l)
    printf 'rocksdb: unit %d of %d done, %d s\n' "$done_count" "$UNITS" "$(($(date +%s) - STARTED))" >&2
}

if [ "${1:-}" = --compile-unit ]; then
    compile_unit "$2"
    exit 0
fi

want_env=no
case "${1:-}" in
'') ;;
--env) want_env=yes ;;
*) die "unknown argument $1; usage: rocksdb-prebuild.sh [--env]" ;;
esac

if [ "$(uname -s)" != Linux ]; then
    say "no prebuilt library on $(uname -s): cargo compiles RocksDB itself"
    exit 0
fi
command -v "$cxx" >/dev/null || die "no C++ compiler '$cxx'; run .tools/setup.sh"

version=$(awk '/^name = "librocksdb-sys"$/ { getline; gsub(/version = |"/, ""); print }' "$root/Cargo.lock")
[ -n "$version" ] || die "Cargo.lock names no librocksdb-sys"
# Name, version and target: a library made by another compiler must never be linked by mistake.
compiler_id=$("$cxx" --version | head -n 1 | tr -cs 'A-Za-z0-9._' '-' | cut -c 1-48 | sed 's/-*$//')-$("$cxx" -dumpmachine)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/mesh30k"
target="$cache/rocksdb-$version-$compiler_id"

print_env() {
    if [ "$want_env" = yes ]; then
        printf 'export ROCKSDB_LIB_DIR=%q ROCKSDB_STATIC=1\n' "$target"
    fi
}

if [ -f "$target/librocksdb.a" ]; then
    print_env
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
if ! flock --nonblock 9; then
    say "another run is building it; waiting"
    flock 9
fi
if [ -f "$target/librocksdb.a" ]; then
    print_env
    exit 0
fi

crate_dir() {
    cargo metadata --locked --format-version 1 --manifest-path "$root/Cargo.toml" |
        grep -o "\"manifest_path\":\"[^\"]*/$1[^/\"]*/Cargo.toml\"" | head -n 1 |
        sed 's/^"manifest_path":"//; s#/Cargo.toml"$##'
}
cargo fetch --locked --quiet --manifest-path "$root/Cargo.toml" || die "cargo fetch failed"
source_dir=$(crate_dir librocksdb-sys)
lz4_dir=$(crate_dir lz4-sys)
[ -f "$source_dir/rocksdb_lib_sources.txt" ] || die "no RocksDB source in '$source_dir'"
[ -f "$lz4_dir/liblz4/lib/lz4.h" ] || die "no lz4.h in '$lz4_dir/liblz4/lib'"

# Holding the lock, so whatever is left here is of a run that was killed.
rm -rf "$cache"/.building.*
BUILD_DIR=$(mktemp -d "$cache/.building.XXXXXX")
compilers=
trap '[ -z "$compilers" ] || kill -- "-$compilers" 2>/dev/null; rm -rf "$BUILD_DIR"' EXIT
trap 'exit 130' INT TERM

FLAGS="-std=c++20 -O2 -fPIC -w -include cstdint -DNDEBUG=1 -DLZ4=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION"
FLAGS="$FLAGS -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT"
FLAGS="$FLAGS -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT"
# CRC32C in hardware; the library stays on the machine that built it, so its processor decides.
for pair in sse4_2:-msse4.2 pclmulqdq:-mpclmul; do
    if grep -qw "${pair%%:*}" /proc/cpuinfo; then FLAGS="$FLAGS ${pair#*:}"; fi
done
FLAGS="$FLAGS -I$source_dir/rocksdb/include -I$source_dir/rocksdb -I$source_dir -I$lz4_dir/liblz4/lib"

# Neighbouring sources go together, in the order of the list; build_version.cc comes from the crate, not from RocksDB.
sources=$(grep -v '^util/build_version.cc$' "$source_dir/rocksdb_lib_sources.txt" | grep -c .)
grep -v '^util/build_version.cc$' "$source_dir/rocksdb_lib_sources.txt" | grep . |
    awk -v n="$chunks" -v total="$sources" -v dir="$BUILD_DIR" -v src="$source_dir/rocksdb" '{
        unit = int((NR - 1) * n / total) + 1
        printf "#include \"%s/%s\"\n", src, $1 > sprintf("%s/unit%02d.cc", dir, unit)
    }'
printf '#include "%s/build_version.cc"\n' "$source_dir" >"$BUILD_DIR/version.cc"

# A unit takes up to about 1.5 GiB of memory while it compiles.
jobs=${MESH30K_JOBS:-$(nproc)}
memory_jobs=$(awk '/^MemAvailable/ { print int($2 / 1572864) }' /proc/meminfo)
[ "$jobs" -le "$memory_jobs" ] || jobs=$memory_jobs
[ "$jobs" -ge 1 ] || jobs=1
UNITS=$((chunks + 1))
STARTED=$(date +%s)
FAILED_LOG="$cache/rocksdb-failed.log"
CXX_COMMAND=$cxx
export BUILD_DIR FLAGS UNITS STARTED FAILED_LOG CXX_COMMAND
say "building $version ($sources sources in $UNITS units, $jobs at a time; minutes, and only once): $target"
find "$BUILD_DIR" -name '*.cc' -printf '%f\n' | sed 's/\.cc$//' | sort >"$BUILD_DIR/units"
# A process group of its own, so that a signal ends every compiler at once; without the lock, which ends with this script.
set -m
xargs -P "$jobs" -I{} "${BASH_SOURCE[0]}" --compile-unit {} <"$BUILD_DIR/units" 9>&- &
compilers=$!
set +m
wait "$compilers" || die "not built; the log of the failed unit: $FAILED_LOG"
compilers=

mkdir "$BUILD_DIR/out"
ar crs "$BUILD_DIR/out/librocksdb.a" "$BUILD_DIR"/*.o
rm -rf "$target"
mv "$BUILD_DIR/out" "$target"
say "built in $(($(date +%s) - STARTED)) s"
print_env
