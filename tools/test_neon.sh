#!/usr/bin/env bash
# test_neon.sh [--if-ready] [cargo test arguments]: the crate's tests, compiled for aarch64 and run
# under qemu-user, so that the NEON tier is executed and not only compiled.
#
# Needs a Rust compiler with the aarch64 library, a cross linker, qemu-aarch64 and an aarch64 libc.
# What is missing is installed where this runs as root on Debian; elsewhere the message says what.
# With --if-ready nothing is installed, and a machine without them says so and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
packages=(rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)

# The first compiler that can make aarch64 code and is new enough for Cargo.toml.
find_rustc() {
    local oldest rustc version
    oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    for rustc in "$(command -v rustc)" /usr/bin/rustc; do
        [ -x "$rustc" ] && [ -d "$("$rustc" --print target-libdir --target "$target")" ] || continue
        version=$("$rustc" --version | cut -d' ' -f2)
        [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] || continue
        echo "$rustc"
        return 0
    done
    return 1
}

ready() {
    find_rustc > /dev/null && command -v aarch64-linux-gnu-gcc qemu-aarch64-static > /dev/null \
        && [ -e /lib/ld-linux-aarch64.so.1 ]
}

install_packages() {
    dpkg --add-architecture arm64
    for _ in 1 2 3; do # an index that is being renewed fails once, and works again at once
        apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" && return
        sleep 5
    done
    return 1
}

if ! ready; then
    if [ "${1:-}" = --if-ready ]; then
        echo "neon: NOT RUN: no aarch64 compiler and emulator here (make test-neon)"
        exit 0
    fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "neon: needs Debian's ${packages[*]} (architecture arm64), or their like" >&2
        exit 1
    fi
    log=$(mktemp)
    install_packages > "$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
    rm -f "$log"
    ready || { echo "neon: installed ${packages[*]}, and something is still missing" >&2; exit 1; }
fi
[ "${1:-}" != --if-ready ] || shift

# qemu's root is / and not the cross toolchain's folder, under which threads hang at their start.
# A test binary that hangs all the same is ended; property tests take fewer cases, at a tenth of
# the speed.
export RUSTC CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="timeout 300 qemu-aarch64-static -L /"
export PROPTEST_CASES=${PROPTEST_CASES:-32}
RUSTC=$(find_rustc)
echo "neon: $("$RUSTC" --version), under $(qemu-aarch64-static --version | head -n 1)"
cargo test ${CI:+--locked} --target "$target" --target-dir target/emulated --lib --tests "$@"
echo "neon: passed"
