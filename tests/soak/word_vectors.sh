#!/usr/bin/env bash
# A soak run: trains word vectors on 10 GB of generated text, one thread, a checkpoint a minute, and fails unless anonymous memory stays
# flat and the loss falls. It takes some twenty minutes, and 2.6 times SIZE of disk in TMPDIR: beside the text, the numbers of its words
# (32 bits for five or six bytes) stand there twice while the rare ones are left out.
#
#     cargo build --release && tests/soak/word_vectors.sh [SIZE]       # in bytes; BARELM names another binary
set -euo pipefail

size=${1:-10000000000}
barelm=$(realpath "${BARELM:-$(dirname "$0")/../../target/release/barelm}")
settle=60       # seconds that counting, and then training, have to reach their size
may_grow=4096   # kB that either may grow afterwards

folder=$(mktemp -d)
export TMPDIR=$folder
training=
trap '[ -z "$training" ] || kill "$training" 2>/dev/null || true; rm -rf "$folder"' EXIT
free=$(df --output=avail -B1 "$folder" | tail -1)
if [ "$free" -lt $((size * 13 / 5)) ]; then
    echo "$folder has $free bytes free, and $size bytes of text need 2.6 times as many; set TMPDIR to another disk, or give a smaller size" >&2
    exit 2
fi

cd "$folder"
"$barelm" --quiet corpus generate --bytes "$size" -o text.txt
"$barelm" vectors train --threads 1 --dim 16 --epochs 1 --checkpoint checkpoint --checkpoint-minutes 1 -o vectors.bin text.txt 2> log.txt &
training=$!

# A line a sample: seconds, stage, kB of anonymous memory.
while sleep 2 && kill -0 "$training" 2>/dev/null; do
    stage=$(grep -q '^Training needs' log.txt && echo training || echo counting)
    kilobytes=$(awk '/^RssAnon/ { print $2 }' "/proc/$training/status" 2>/dev/null || true)
    [ -z "$kilobytes" ] || echo "$SECONDS $stage $kilobytes" >> samples.txt
done
wait "$training" || { tail -3 log.txt >&2; exit 1; }
training=

grep '100 %' log.txt || true
ls -l checkpoint
awk -v settle="$settle" -v may_grow="$may_grow" '
    !($2 in start) { start[$2] = $1 }
    $1 - start[$2] <= settle { if ($3 > settled[$2]) settled[$2] = $3; next }
    { later[$2]++; if ($3 > most[$2]) most[$2] = $3 }
    END {
        split("counting training", stages)
        for (i = 1; i <= 2; i++) {
            stage = stages[i]
            printf "%s: %d kB of anonymous memory in the first %d s, at most %d kB in %d samples after them\n",
                stage, settled[stage], settle, most[stage], later[stage]
            if (later[stage] < 10) { print "FAILED: too short to tell; give it more text"; failed = 1 }
            if (most[stage] - settled[stage] > may_grow) { print "FAILED: it grew"; failed = 1 }
        }
        exit failed
    }' samples.txt

# Each line of progress has the mean loss of its last words: compare the first tenth of the lines with the last.
grep -o 'loss [0-9.]* nats' log.txt | awk '
    { loss[NR] = $2 }
    END {
        tenth = int(NR / 10)
        if (tenth == 0) { print "FAILED: too short to tell whether the loss falls"; exit 1 }
        for (i = 1; i <= tenth; i++) { first += loss[i] / tenth; last += loss[NR - tenth + i] / tenth }
        printf "loss: %.3f nats in the first tenth of the training, %.3f in the last\n", first, last
        if (last >= first) { print "FAILED: it did not fall"; exit 1 }
    }'
