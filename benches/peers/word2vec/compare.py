"""Word vectors of barelm beside word2vec.c, gensim and fastText: python compare.py --word2vec PATH --fasttext PATH --python PATH

Prints a table in Markdown: thousand words a second, as word2vec.c counts words: those of the vocabulary that are read, whether or not
subsampling keeps them. Every system runs with one epoch and with `--epochs`, each run a process of its own, systems in turns.
  training    the CPU time of the long run less that of the short one: the time of the further epochs. Whatever a system does
              once (counting words, building tables, writing) cancels, as it is left out of word2vec.c's own figure. So does
              barelm's turning of the text into ids, which word2vec.c and fastText do in every epoch: see end to end.
  end to end  the CPU time of the whole long run
  wall        as training, but wall time, and of the best rounds: on a busy machine only these had two cores; the memory of
              these runs is not watched, as that would take time from one of the cores
CPU times are medians of the rounds; a round is a seed. Quality, over the first `--seeds` rounds, and the peak of anonymous
memory are those of the long runs, barelm's before the peer's. Peers whose path is not given are left out.

Set up, outside of this repository (measured were word2vec 20c129a, fastText 1142dc4):
    git clone https://github.com/tmikolov/word2vec && cd word2vec
    sed -i -e 's/^      word_count = 0;$/      eof = 0, word_count = 0;/' \\
        -e 's/next_random = (long long)id;/next_random = (long long)id + atoll(getenv("WORD2VEC_SEED"));/' word2vec.c
    clang -O3 -march=native -ffast-math word2vec.c -o word2vec -lm -pthread      # gcc with its makefile is 4 times slower
    git clone https://github.com/facebookresearch/fastText && make -C fastText
    python3 -m venv venv && venv/bin/pip install gensim==4.4.0                   # for --python venv/bin/python
The first change mends word2vec.c: it never resets `eof`, so that one thread trains one epoch, whatever `-iter` says. The second
starts the random numbers of training at WORD2VEC_SEED, so that seeds differ.
"""

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path

import barelm
from contest import contest
from quality import TESTS, spread
from settings import MIN_COUNT, ROWS

BARELM = Path(__file__).resolve().parents[3] / "target/release/barelm"


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        table(arguments, Path(folder))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--word2vec", type=Path, help="the program word2vec, with both changes")
    parser.add_argument("--fasttext", type=Path, help="the program fasttext")
    parser.add_argument("--python", type=Path, help="a Python that has gensim")
    parser.add_argument("--barelm", type=Path, default=os.environ.get("BARELM_BINARY", BARELM))
    parser.add_argument("--data", type=Path, default=os.environ.get("BARELM_DATA"), help="the test sets [default: $BARELM_DATA]")
    parser.add_argument("--text", type=Path, help="words between white space [default: wiki-100m.txt of the data]")
    parser.add_argument("--megabytes", type=int, help="only the first so many of the text")
    parser.add_argument("--epochs", type=int, default=5, help="of the long runs, at least 2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", default="", help="only settings whose name contains this")
    arguments = parser.parse_args()
    if arguments.data is None or arguments.epochs < 2:
        parser.error("set BARELM_DATA or --data to the folder of the corpora, and train 2 epochs at least")
    arguments.text = arguments.text or arguments.data / "wiki-100m.txt"
    arguments.binaries = {
        "barelm": arguments.barelm,
        "barelm, one thread": arguments.barelm,
        "word2vec.c": arguments.word2vec,
        "gensim": arguments.python,
        "fastText": arguments.fasttext,
    }
    return arguments


def table(arguments, folder):
    if arguments.megabytes:
        arguments.text = first(arguments.text, arguments.megabytes * 1_000_000, folder / arguments.text.name)
    words = vocabulary_words(arguments.text)
    rounds = max(arguments.rounds, arguments.seeds)
    size = f"{arguments.text.stat().st_size / 1e6:.0f} MB of {arguments.text.name}"
    print(f"{size}, {words:,} words of the vocabulary, {arguments.epochs} epochs, {rounds} rounds\n")
    row(["setting", "peer", "barelm, thousand words / s", "the peer's", "ratio", "at least / aim", *TESTS, "peak MiB"])
    row(["---"] * (7 + len(TESTS)))
    rows = [row for row in ROWS if arguments.rows in row.name]
    measured = {}
    for each in rows:
        reason = left_out(each, arguments)
        if not reason and each.setting not in measured:
            measured[each.setting] = contest(each.setting, contestants(each.setting, rows, arguments), arguments, folder)
        row([each.name, each.peer, *([reason] if reason else cells(each, measured[each.setting], words, arguments.epochs))])


def left_out(row, arguments):
    """Why a row is not measured."""
    if not arguments.binaries[row.peer]:
        return "left out: no path to the peer is given"
    if not barelm.supports(arguments.barelm, row.setting):
        return "not supported by this binary of barelm"
    return None


def contestants(setting, rows, arguments):
    return ["barelm", *[row.peer for row in rows if row.setting == setting and arguments.binaries[row.peer]]]


def cells(row, runs, words, epochs):
    ours, theirs = runs["barelm"], runs[row.peer]
    if ours.failed() or theirs.failed():
        return ["fails" if system.failed() else "runs" for system in (ours, theirs)]
    if min(system.seconds(row.kind) for system in (ours, theirs)) <= 0:
        return ["too short to be measured: more text or epochs are needed"]
    speeds = [system.speed(row.kind, words, epochs) for system in (ours, theirs)]
    quality = [f"{spread(ours.evaluations, test)} / {spread(theirs.evaluations, test)}" for test in TESTS]
    memory = f"{ours.anon():.0f} / {theirs.anon():.0f}" if ours.anon() else "not watched"
    ratio = f"{speeds[0] / speeds[1]:.2f} x"
    return [*[f"{speed:.0f}" for speed in speeds], ratio, f"{row.least} x / {row.aim} x", *quality, memory]


def first(text, size, path):
    """The first `size` bytes of a text, but no part of a word."""
    with open(text, "rb") as file:
        path.write_bytes(file.read(size).rsplit(None, 1)[0])
    return path


def vocabulary_words(text):
    counts = Counter(text.read_bytes().split())
    return sum(count for count in counts.values() if count >= MIN_COUNT)


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
