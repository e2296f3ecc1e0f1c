#!/usr/bin/env bash
# test_neon.sh [--if-ready | --install] [cargo test arguments]: the core's tests, compiled for aarch64 and run
# under qemu-user, so that the NEON tier is executed and not only compiled.
#
# Needs a Rust compiler with the aarch64 library, a cross linker, qemu-aarch64 and an aarch64 libc.
# What is missing is installed where this runs as root on Debian; elsewhere the message says what.
# With --if-ready nothing is installed, and a machine without them says so and goes on; --install
# does no more than install.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh

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
    find_rustc > /dev/null && command -v aarch64-linux-gnu-gcc > /dev/null \
        && command -v qemu-aarch64-static > /dev/null && [ -e /lib/ld-linux-aarch64.so.1 ]
}

if_ready=
if [ "${1:-}" = --if-ready ]; then
    if_ready=yes
    shift
fi
if ! ready; then
    if [ "$if_ready" ]; then
        echo "neon: NOT RUN: no aarch64 compiler and emulator here (make test-neon)"
        exit 0
    fi
    debian_or_die neon "${packages[@]} (of architecture arm64)"
    dpkg --add-architecture arm64
    debian_install "${packages[@]}"
    ready || { echo "neon: installed ${packages[*]}, and something is still missing" >&2; exit 1; }
fi

if [ "${1:-}" = --install ]; then
    exit 0
fi

# qemu's root is / and not the cross toolchain's folder, under which threads hang at their start.
# A test binary that hangs all the same is ended. Property tests take fewer cases at this speed.
RUSTC=$(find_rustc)
export RUSTC CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="timeout 300 qemu-aarch64-static -L /"
export CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_CASES=${PROPTEST_CASES:-32}
export LOGITMETER_ISA=neon LOGITMETER_REQUIRE_ISA=neon
echo "neon: $("$RUSTC" --version), $(qemu-aarch64-static --version | head -n 1)"
cargo test ${CI:+--locked} --target "$target" --target-dir target/emulated --lib "$@"
[ "${1:-}" = --no-run ] && echo "neon: built" || echo "neon: passed"
