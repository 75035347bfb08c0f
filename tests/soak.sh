#!/usr/bin/env bash
# Kills a training run at random moments, 60 times or as often as the first argument says, and resumes it each time; then
# fills a small disk, if it may mount one. A few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
PERCEPTRA_KILLS="${1:-60}" cargo test --workspace --test cli -- --nocapture --exact faults::a_killed_run_resumes_to_the_same_bits |
    tee "$log"
# A name that no test has is no failure of cargo's.
grep -q "test result: ok. 1 passed" "$log" || { echo "no run was killed" >&2; exit 1; }
rm -f "$log"

# Built for the test above.
program="$(realpath "${CARGO_TARGET_DIR:-target}")/debug/perceptra"
disk=$(mktemp -d)
if ! mount -t tmpfs -o size=128k tmpfs "$disk" 2>/dev/null; then
    echo "no disk could be mounted (root may): a full one is only tried by limits, in tests/cli/faults.rs"
    exit 0
fi
trap 'umount "$disk"; rmdir "$disk"' EXIT
"$program" train data/penguins.csv --target species --device cpu --epochs 2 -o "$disk/m.perceptra" --quiet >/dev/null
before=$(cksum "$disk/m.perceptra")
# Room for a lock and a folder, and not for a model.
free=$(df --output=avail -k "$disk" | tail -n 1)
head -c "$((free - 16))k" /dev/zero > "$disk/full"
for try in 1 2 3; do
    if "$program" train data/penguins.csv --target species --device cpu --epochs "$try" -o "$disk/m.perceptra" \
        --checkpoint "$disk/run$try" >/dev/null 2>"/tmp/soak-$$"; then
        echo "a model was written to a full disk" >&2
        exit 1
    fi
    grep -q "error: .*m.perceptra: cannot be written: " "/tmp/soak-$$" || { cat "/tmp/soak-$$" >&2; exit 1; }
    rm -f "/tmp/soak-$$" /tmp/m-*.perceptra
    [ "$(cksum "$disk/m.perceptra")" = "$before" ] || { echo "the old model is gone" >&2; exit 1; }
    [ -z "$(find "$disk" -name '.perceptra-*')" ] || { echo "a temporary file is left" >&2; exit 1; }
done
echo "a full disk: 3 runs failed with a message, the old model is whole"
