#!/usr/bin/env bash
# Counts the kernel's instructions a logit by callgrind, and fails where they are above their ceiling in
# benches/kernel/ceilings.tsv. Counts, unlike times, are the same on a busy machine, so CI sees a change
# that makes the kernel do more. The portable tier is compiled for the oldest machine of its
# architecture: one compiler gives one count everywhere. AVX-512 is beyond valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh

if ! command -v valgrind > /dev/null; then
    debian_or_die instructions valgrind
    debian_install valgrind
fi

cargo build --quiet --release ${CI:+--locked} --manifest-path benches/kernel/Cargo.toml --target-dir target/bench \
    --bin score_rows
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT

# count ISA ELEMENT PRECISION VOCAB ROWS TIMES: leaves what it counted in $instructions.
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$counted" target/bench/release/score_rows "$@" \
        > /dev/null || return
    instructions=$(sed -n 's/^summary: //p' "$counted")
}

lacks_tier=3 # as score_rows says it
status=0
printf '%-9s %-9s %-6s %7s %5s %9s %9s\n' isa element path V rows counted ceiling
while IFS=$'\t' read -r isa element precision vocab rows ceiling reason; do
    task=("$isa" "$element" "$precision" "$vocab" "$rows")
    printf '%-9s %-9s %-6s %7s %5s ' "${task[@]}"
    ended=0
    count "${task[@]}" 1 || ended=$?
    if [ "$ended" = "$lacks_tier" ]; then
        echo "NOT RUN: no $isa here"
        continue
    fi
    [ "$ended" = 0 ] || exit "$ended"
    once=$instructions
    count "${task[@]}" 3
    each=$(awk "BEGIN { printf \"%.2f\", ($instructions - $once) / (2 * $vocab * $rows) }")
    printf '%9s %9s' "$each" "$ceiling"
    if awk "BEGIN { exit !($each > $ceiling) }"; then
        printf '  ABOVE: it was %s' "$reason"
        status=1
    fi
    echo
done < <(grep -v '^#' benches/kernel/ceilings.tsv)
exit "$status"
