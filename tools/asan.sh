#!/usr/bin/env bash
# asan.sh rust [cargo test arguments] | python [pytest arguments]: tests under AddressSanitizer, on the
# stable compiler (RUSTC_BOOTSTRAP lets it take -Z flags).
#
# rust: the core's tests. python: the extension built so, in a copy of the package, and pytest with
# GCC's runtime loaded first, since the interpreter itself is not built so. Leaks are not looked for
# there: the interpreter never gives back all it has.
set -euo pipefail
cd "$(dirname "$0")/.."
what=$1
shift

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address PROPTEST_CASES=${PROPTEST_CASES:-64}
build=(${CI:+--locked} --target "$host" --target-dir target/asan)

case $what in
    rust)
        cargo test "${build[@]}" --lib "$@"
        ;;
    python)
        runtime=$(realpath "$(gcc -print-file-name=libasan.so)")
        [ -e "$runtime" ] || { echo "asan: gcc has no libasan.so here" >&2; exit 75; }
        PYO3_BUILD_EXTENSION_MODULE=1 cargo build "${build[@]}" --features python
        package=$PWD/target/asan/python
        rm -rf "$package" && mkdir -p "$package"
        cp -r python/logitmeter "$package/"
        rm -f "$package"/logitmeter/_core*.so
        cp "target/asan/$host/debug/liblogitmeter.so" "$package/logitmeter/_core.abi3.so"
        # Children of tests inherit all of it. Their memory is not what is measured here. Built without
        # optimisation, the package says so at import, and warnings are errors.
        PYTHONPATH=$package LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-} \
            .venv/bin/python -m pytest -p no:cacheprovider -W "ignore:this is a debug build" "$@"
        ;;
    *)
        echo "asan.sh: rust or python, not $what" >&2
        exit 2
        ;;
esac
echo "asan: $what passed"
