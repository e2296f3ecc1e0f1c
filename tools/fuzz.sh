#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]: runs the fuzz targets (all of them unless named), so many seconds each,
# under AddressSanitizer. What `cargo fuzz` would do, on the stable compiler and without that tool:
# libFuzzer comes with the crate libfuzzer-sys, which needs a C++ compiler.
#
# Inputs that reach new code are kept in target/fuzz/corpus. One that fails is written to
# target/fuzz/artifacts, and run again by giving its path to the target's binary.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(state stream)

host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
    --cfg fuzzing -Zsanitizer=address -Ccodegen-units=1 -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
)
# -Z flags and the sanitizer are not stable; RUSTC_BOOTSTRAP lets the stable compiler take them.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" cargo build ${CI:+--locked} --release \
    --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz

for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target artifacts=target/fuzz/artifacts/$target/
    mkdir -p "$corpus" "$artifacts"
    echo "fuzz: $target, $seconds s"
    "target/fuzz/$host/release/$target" "$corpus" -artifact_prefix="$artifacts" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0
done
echo "fuzz: passed"
