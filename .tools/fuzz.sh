#!/usr/bin/env bash
# Fuzzes every decoder in turn (ADR 0026).
#
#   .tools/fuzz.sh [MINUTES [TARGET ...]]   so many minutes in all, by default 10; by default all targets
#   .tools/fuzz.sh corpus                   writes the inputs that fuzzing begins with anew, into tests/fuzz/corpus
#
# SEED=NUMBER draws the same inputs again; without it, others each time.
#
# Needs nothing but what a build needs: libFuzzer comes with its crate, and counting edges is a stable flag of rustc. With
# SANITIZER=address it runs under AddressSanitizer as well, which needs a nightly toolchain. What is found on the way stays in
# target/fuzz-corpus; an input that fails is written to target/fuzz-found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'fuzz: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
targets_there() { (cd tests/fuzz/src/bin && ls -- *.rs) | sed 's/\.rs$//'; }

# One target for so many seconds; called by the loop below in a process of its own.
one() {
    local programs=$1 seconds=$2 target=$3
    local log=target/fuzz-found/$target.log program=$programs/$target
    mkdir -p "target/fuzz-corpus/$target"
    # The first folder takes what is found on the way; the second holds the inputs that everybody has.
    if ! "$program" -seed="${SEED:-0}" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="target/fuzz-found/$target-" "target/fuzz-corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        say "$target FAILED; the input is in target/fuzz-found, try it again with: $program FILE; mended, it belongs into tests/fuzz/corpus/$target" >&2
        return 1
    fi
    printf 'fuzz: %-18s %10s inputs, %5s edges, nothing found\n' "$target" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d ' ' -f 2)"
}
if [ "${1:-}" = --one ]; then shift; one "$@"; exit; fi

# As cargo-fuzz builds: every edge counted, every comparison shown to the fuzzer. Flags for the target alone, not for what runs while
# building.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
folder=target/fuzz
toolchain=()
case "${SANITIZER:-none}" in
none) ;;
address)
    rustup run nightly rustc --version >/dev/null 2>&1 ||
        die "SANITIZER=address needs a nightly toolchain; run: rustup toolchain install nightly --profile minimal"
    flags+=" -Zsanitizer=address"
    folder=target/fuzz-address
    toolchain=(+nightly)
    ;;
*) die "SANITIZER is \`$SANITIZER\`; it may be none or address" ;;
esac
command -v cargo >/dev/null 2>&1 || die "this machine lacks cargo; install it from https://rustup.rs"
command -v "${CXX:-c++}" >/dev/null 2>&1 || die "this machine lacks a C++ compiler, which libFuzzer is written in; run: .tools/setup.sh"
host=$(rustc -vV | sed -n 's/^host: //p')
build() {
    RUSTFLAGS="$flags" cargo "${toolchain[@]}" "$@" --locked --quiet --manifest-path tests/fuzz/Cargo.toml --target "$host" \
        --target-dir "$folder"
}

if [ "${1:-}" = corpus ]; then build run --example corpus; exit; fi

minutes=${1:-10}
[[ $minutes =~ ^[1-9][0-9]{0,4}$ ]] || die "MINUTES is \`$minutes\`; give whole minutes from 1 to 99999, for example: make fuzz ARGS=60"
shift || true
mapfile -t targets < <(targets_there)
for target in "$@"; do
    printf '%s\n' "${targets[@]}" | grep -qxF -- "$target" || die "there is no target \`$target\`; there are: ${targets[*]}"
done
[ $# -eq 0 ] || targets=("$@")

started=$SECONDS
build build --bins
say "${#targets[@]} targets built in $((SECONDS - started)) s"
mkdir -p target/fuzz-found
jobs=$(nproc 2>/dev/null || echo 2)
seconds=$((minutes * 60 * jobs / ${#targets[@]}))
printf '%s\n' "${targets[@]}" |
    xargs -P "$jobs" -I '{}' "${BASH_SOURCE[0]}" --one "$folder/$host/debug" "$((seconds > 0 ? seconds : 1))" '{}' ||
    die "at least one target failed; see above"
