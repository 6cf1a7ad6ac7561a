#!/usr/bin/env bash
# Finds what this machine lacks to build mesh30k, names it and, where apt is the package manager, installs it.
#
#   .tools/setup.sh           what a build needs: C++ compiler, libclang and its headers, make, cargo
#   .tools/setup.sh --tests   the tests' runner, cargo-nextest, on Linux iproute2 for network namespaces, and hledger, as well
#
# Asks before it installs, unless CI=true or YES=1. On other systems it prints the line to run and stops.
set -euo pipefail

rust_wanted=1.95
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

want_tests=no
case "${1:-}" in
'') ;;
--tests) want_tests=yes ;;
*) die "unknown argument $1; usage: setup.sh [--tests]" ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }

# bindgen loads libclang at build time and needs the headers that belong to it (stddef.h and friends).
has_libclang() {
    local pattern library=no headers=no
    for pattern in "${LIBCLANG_PATH:-/nonexistent}" /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib \
        /opt/homebrew/opt/llvm/lib /usr/local/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib \
        /Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib; do
        if compgen -G "$pattern/libclang*.so*" >/dev/null || compgen -G "$pattern/libclang*.dylib" >/dev/null; then library=yes; fi
        if compgen -G "$pattern/clang/*/include/stddef.h" >/dev/null; then headers=yes; fi
    done
    [ "$library" = yes ] && [ "$headers" = yes ]
}

missing=()    # what a person reads
packages=()   # what apt is told
lacks() { missing+=("$1"); packages+=("${@:2}"); }
has "${CXX:-c++}" || lacks "a C++ compiler (for RocksDB)" g++
has cc || lacks "a C compiler (for lz4 and the linker)" gcc libc6-dev
has_libclang || lacks "libclang with its headers (for the RocksDB bindings)" libclang-dev
has make || lacks "make" make
# Only Linux has network namespaces; elsewhere, and without root, that one test says that it is skipped.
if [ "$want_tests" = yes ] && [ "$(uname)" = Linux ] && ! has ip; then lacks "ip (for tests in network namespaces)" iproute2; fi

# A test shows the journal to hledger. Should it not be had, that test alone cannot run, and says so.
want_hledger=no
if [ "$want_tests" = yes ] && ! has hledger; then want_hledger=yes; fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        die "root is needed for: $* (there is no sudo; run it as root)"
    fi
}

agreed() {
    if [ "${CI:-}" = true ] || [ "${YES:-}" = 1 ]; then return 0; fi
    [ -t 0 ] || return 1
    local answer
    read -r -p "setup: go on? [y/N] " answer
    case "$answer" in y | Y | yes) return 0 ;; *) return 1 ;; esac
}

if [ ${#missing[@]} -gt 0 ]; then
    say "this machine lacks:"
    for item in "${missing[@]}"; do say "  - $item"; done
    if has apt-get; then
        say "to install by apt: ${packages[*]}"
        agreed || die "nothing was installed; run with YES=1, or run: apt-get install ${packages[*]}"
        as_root apt-get update -q >&2
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >&2
        has_libclang || die "apt installed ${packages[*]}, but libclang is still not found; set LIBCLANG_PATH to its folder"
    elif has dnf; then
        die "run this, then try again: sudo dnf install gcc gcc-c++ clang-devel make iproute"
    elif has brew; then
        die "run this, then try again: xcode-select --install; brew install llvm make"
    else
        die "install them by this system's package manager, then try again"
    fi
fi

if [ "$want_hledger" = yes ]; then
    say "this machine lacks hledger (a test shows it the ledger's journal)"
    if ! has apt-get; then
        say "install it by this system's package manager or from https://hledger.org; until then, set MESH30K_WITHOUT_HLEDGER=1 for tests"
    elif ! agreed; then
        say "hledger was not installed; run: apt-get install hledger, or set MESH30K_WITHOUT_HLEDGER=1 for tests"
    else
        { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends hledger; } >&2 ||
            say "apt could not install hledger; set MESH30K_WITHOUT_HLEDGER=1 to run the tests without it"
    fi
fi

if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
    die "cargo is in $HOME/.cargo/bin, which is not on the PATH; run: . \"$HOME/.cargo/env\""
fi
has cargo || die "this machine lacks cargo (Rust $rust_wanted or later); a distribution's own is mostly older: install it from https://rustup.rs"
# `rustc --version` answers "rustc 1.95.0 (...)".
rust_found=$(rustc --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n%s\n' "$rust_wanted" "$rust_found" | sort -V | head -n 1)" != "$rust_wanted" ]; then
    die "Rust $rust_wanted or later is needed, this is $rust_found; run: rustup update stable"
fi
if [ "$want_tests" = yes ]; then
    cargo fmt --version >/dev/null 2>&1 || die "this machine lacks rustfmt; run: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "this machine lacks clippy; run: rustup component add clippy"
    if ! cargo nextest --version >/dev/null 2>&1; then
        say "this machine lacks cargo-nextest (the tests' runner); to run: cargo install cargo-nextest --locked (some minutes)"
        agreed || die "nothing was installed; run with YES=1, or run: cargo install cargo-nextest --locked"
        cargo install cargo-nextest --locked >&2
    fi
fi
