#!/usr/bin/env bash
# Counts the instructions a logit of the portable tier by callgrind, and fails where one is above
# its ceiling in benches/kernel/ceilings.tsv. Counts, unlike times, are the same on a busy machine: a
# change that makes the kernel do more is seen in CI. The portable tier is counted because it is compiled
# for the oldest machine of its architecture, so that the same compiler gives the same count everywhere.
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

# instructions ELEMENT PRECISION VOCAB ROWS TIMES
instructions() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$counted" target/bench/release/score_rows "$@" > /dev/null
    sed -n 's/^summary: //p' "$counted"
}

status=0
printf '%-10s %-7s %7s %5s %9s %9s\n' element path V rows counted ceiling
while IFS=$'\t' read -r element precision vocab rows ceiling reason; do
    task=("$element" "$precision" "$vocab" "$rows")
    once=$(instructions "${task[@]}" 1)
    thrice=$(instructions "${task[@]}" 3)
    each=$(awk "BEGIN { printf \"%.2f\", ($thrice - $once) / (2 * $vocab * $rows) }")
    printf '%-10s %-7s %7s %5s %9s %9s' "${task[@]}" "$each" "$ceiling"
    if awk "BEGIN { exit !($each > $ceiling) }"; then
        printf '  ABOVE: it was %s' "$reason"
        status=1
    fi
    echo
done < <(grep -v '^#' benches/kernel/ceilings.tsv)
exit "$status"
