"""barelm beside its peers: python compare.py {encode,train,load,scale,threads} [--rounds N] [--peers A,B] [--rows TEXT]

Prints a table in Markdown. Every run is a process of its own; peers take turns, so that a busy minute of the machine hits
all of them; each figure is the median of the rounds. Before a figure is printed, the ids (the merges) of all peers are
compared byte for byte: a peer that disagrees with barelm gets "differs" instead of a figure.

Set up (once, from this folder):
    python3 -m venv ../target/peers-venv && ../target/peers-venv/bin/pip install -r python/requirements.txt
    cargo build --release --features native && (cd ../.. && cargo build --release)
"""

import argparse
import filecmp
import os
import sys
import tempfile
from pathlib import Path

import texts
from measure import median, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
NATIVE = Path(os.environ.get("BARELM_NATIVE", HERE.parent / "target/release/native"))
BARELM = Path(os.environ.get("BARELM_BINARY", ROOT / "target/release/barelm"))

ENCODERS = ["barelm", "barelm-kernels", "gigatoken", "toktok-rs", "fastokens", "quicktok", "bpe-openai", "tiktoken-rs", "tiktoken"]
IN_PYTHON = {"gigatoken", "toktok", "fastokens", "quicktok", "tiktoken"}
TRAINERS = ["barelm", "gigabpe", "gigatoken", "rustbpe", "tokenizers"]


def encode_command(peer, vocabulary, text, ids):
    program = [sys.executable, HERE / "encode.py"] if peer in IN_PYTHON else [NATIVE, "encode"]
    return [*program, peer, vocabulary, text, ids]


def encode_rows(arguments, folder):
    if not arguments.degenerate:
        yield from texts.corpora(arguments.data, folder)
    yield from texts.degenerate(folder)


def measure_encoders(arguments, folder):
    vocabulary = arguments.data / "bpe" / f"{arguments.vocabulary}.tiktoken"
    peers = arguments.peers or ENCODERS
    print(f"{arguments.vocabulary}, MB per CPU second, first pass / the same text again, {arguments.rounds} rounds\n")
    header(["text", *peers])
    for name, text in encode_rows(arguments, folder):
        if arguments.rows and arguments.rows not in name:
            continue
        runs = {peer: [] for peer in peers}
        for _ in range(arguments.rounds):
            for peer in peers:
                runs[peer].append(run(encode_command(peer, vocabulary, text, folder / f"{peer}.ids")))
        cells = [encode_cell(runs[peer], text, folder / f"{peer}.ids", folder / "barelm.ids") for peer in peers]
        row([name, *cells])


def encode_cell(runs, text, ids, expected):
    if not all(runs):
        return "fails"
    if expected.exists() and not filecmp.cmp(ids, expected, shallow=False):
        return "differs"
    megabytes = text.stat().st_size / 1e6
    first, again = (megabytes / median([r[key] for r in runs]) for key in ("first", "again"))
    return f"{first:.3g} / {again:.3g}"


def measure_trainers(arguments, folder):
    peers = arguments.peers or TRAINERS
    print(f"vocabulary {arguments.size}, pattern gpt2, CPU seconds / peak anonymous MiB, {arguments.rounds} rounds\n")
    header(["text", *peers])
    for name, text in list(texts.corpora(arguments.data, folder))[:2][::-1]:
        runs = {peer: [] for peer in peers}
        for _ in range(arguments.rounds):
            for peer in peers:
                runs[peer].append(run(train_command(peer, text, arguments.size, folder / f"{peer}.merges")))
        expected = our_merges(folder / "barelm.merges")
        row([name, *[train_cell(runs[peer], folder / f"{peer}.merges", expected) for peer in peers]])


def train_command(peer, text, size, merges):
    if peer == "barelm":
        options = ["--pattern", "gpt2", "--vocab-size", size, "--threads", 1, "--quiet"]
        return [BARELM, "tokenizer", "train", *options, "-o", merges, text]
    return [sys.executable, HERE / "train.py", peer, text, size, merges]


def our_merges(tokenizer):
    import json

    merges = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def train_cell(runs, merges, expected):
    """gigabpe starts from the bytes that it saw, not from all 256: it learns some more merges. The first must be ours."""
    if not all(runs):
        return "fails"
    note = " (merges not compared)"
    if merges.name == "barelm.merges":
        note = ""
    elif merges.exists():
        theirs = merges.read_text(encoding="utf-8").splitlines()
        if theirs[: len(expected)] != expected:
            return "differs"
        note = ""
    return f"{median([r['cpu'] for r in runs]):.3g} / {max(r['anon'] for r in runs):.0f}{note}"


def measure_load(arguments, folder):
    vocabulary = arguments.data / "bpe" / f"{arguments.vocabulary}.tiktoken"
    peers = arguments.peers or [peer for peer in ENCODERS if peer != "barelm-kernels"]
    text = texts.made(folder / "short.txt", lambda: b"short")
    print(f"{arguments.vocabulary}: milliseconds until the first text can be encoded, {arguments.rounds} rounds\n")
    header(["peer", "CPU", "wall"])
    files = [("barelm", vocabulary)]
    for ending in ("json", "barelm"):
        converted = folder / f"{arguments.vocabulary}.{ending}"
        run([BARELM, "tokenizer", "convert", "-m", vocabulary, "-o", converted])
        files.append(("barelm", converted))
    files += [(peer, vocabulary) for peer in peers if peer != "barelm"]
    for peer, file in files:
        runs = [run(encode_command(peer, file, text, folder / "load.ids")) for _ in range(arguments.rounds)]
        name = f"{peer}, {file.name}" if peer == "barelm" else peer
        kinds = ("load", "load_wall")
        row([name, *[f"{1e3 * median([r[kind] for r in runs]):.2f}" if all(runs) else "fails" for kind in kinds]])


def measure_scale(arguments, folder):
    """Time against length, for inputs that make many encoders quadratic."""
    vocabulary = arguments.data / "bpe" / f"{arguments.vocabulary}.tiktoken"
    print(f"barelm, {arguments.vocabulary}: MB per CPU second by length (of the first pass)\n")
    sizes = [1, 4, 16, 64]
    header(["text", *[f"{size} M characters" for size in sizes]])
    columns = [list(texts.degenerate(folder, size * texts.MILLION)) for size in sizes]
    for files in zip(*columns):
        cells = []
        for _, text in files:
            figures = run(encode_command("barelm", vocabulary, text, folder / "scale.ids"))
            cells.append(f"{text.stat().st_size / 1e6 / figures['first']:.3g}" if figures else "fails")
        row([files[0][0].removeprefix("1 M "), *cells])


def measure_threads(arguments, folder):
    """One thread against two, whole commands, in turns. On a busy machine only the best runs had two cores."""
    classics, tiktoken = arguments.data / "classics-100m.txt", arguments.data / "bpe" / f"{arguments.vocabulary}.tiktoken"
    # The flat file, which is there at once: `load` measures the others.
    vocabulary = folder / "threads.barelm"
    if not run([BARELM, "tokenizer", "convert", "--quiet", "-m", tiktoken, "-o", vocabulary]):
        sys.exit(f"{BARELM} cannot convert {tiktoken}")
    gigabyte = texts.made(folder / "gigabyte.txt", lambda: texts.gigabyte(arguments.data))
    train = [BARELM, "tokenizer", "train", "--pattern", "gpt2", "--quiet", "-o", folder / "threads.json"]
    encode = [BARELM, "tokenizer", "encode", "-m", vocabulary, "--format", "tokens", "--quiet", "-o", folder / "threads.tokens"]
    count = [BARELM, "tokenizer", "count", "-m", vocabulary, "--quiet"]
    commands = {
        "count pretokens, 100 MB": [*train, "--vocab-size", 256, classics],
        "count pretokens, 1 GB": [*train, "--vocab-size", 256, gigabyte],
        "learn 32k tokens, 1 GB": [*train, "--vocab-size", 32_000, gigabyte],
        "encode and count, 100 MB": [*count, classics],
        "encode and count, 1 GB": [*count, gigabyte],
        "encode to a token stream, 100 MB": [*encode, classics],
        "encode to a token stream, 1 GB": [*encode, gigabyte],
    }
    print(f"barelm: wall seconds, median (best) of {arguments.rounds} rounds, and CPU seconds\n")
    header(["command", "one thread", "two threads", "medians", "best", "CPU s, one", "CPU s, two"])
    for name, command in commands.items():
        if arguments.rows and arguments.rows not in name:
            continue
        runs = {1: [], 2: []}
        for _ in range(arguments.rounds):
            for threads in runs:
                runs[threads].append(run([*command, "--threads", threads], watch=False))
        row([name, *threads_cells(runs)])


def threads_cells(runs):
    if not all(runs[1] + runs[2]):
        return ["fails"]
    walls = {threads: [r["wall"] for r in runs[threads]] for threads in runs}
    medians, best = ({threads: of(walls[threads]) for threads in runs} for of in (median, min))
    cells = [f"{medians[threads]:.3g} ({best[threads]:.3g})" for threads in runs]
    ratios = [f"{of[1] / of[2]:.2f} x" for of in (medians, best)]
    return [*cells, *ratios, *[f"{median([r['cpu'] for r in runs[threads]]):.3g}" for threads in runs]]


def header(cells):
    row(cells)
    row(["---"] * len(cells))


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


TABLES = {"encode": measure_encoders, "train": measure_trainers, "load": measure_load, "scale": measure_scale, "threads": measure_threads}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, default=os.environ.get("BARELM_DATA"), help="the corpora [default: $BARELM_DATA]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocabulary", default="cl100k_base")
    parser.add_argument("--size", type=int, default=32_000, help="vocabulary size of the trainers")
    parser.add_argument("--peers", type=lambda names: names.split(","), help="only these, barelm among them")
    parser.add_argument("--rows", help="only texts whose name contains this")
    parser.add_argument("--degenerate", action="store_true", help="only texts of one piece")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("set BARELM_DATA or --data to the folder of the corpora")
    with tempfile.TemporaryDirectory() as folder:
        TABLES[arguments.table](arguments, Path(folder))


if __name__ == "__main__":
    main()
