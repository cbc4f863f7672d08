"""Attention of barelm beside that of PyTorch, f32, one core: taskset -c 0 python compare.py [--turns 41]

Prints a table in Markdown: milliseconds of each, medians of turns taken one after the other, and the median of the ratios of the
turns. First both compute each row from the same numbers, and the largest difference is printed beside it. One query is compared
twice, its keys and values in single and in half precision.

Set up: python -m venv venv && venv/bin/pip install torch numpy, and `cargo build --release --bin attention` in benches/peers.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

BARELM = Path(__file__).resolve().parents[1] / "target/release/attention"
SHAPES = [(1, 512, 64), (8, 1024, 64), (1, 2048, 128), (12, 1024, 64)]
# What is computed, its shapes, how many times as fast barelm is to be.
ROWS = [
    ("forward-full", SHAPES, {64: 1.2, 128: 1.2}),
    ("forward-causal", SHAPES, {64: 1.8, 128: 1.5}),
    ("backward-full", SHAPES, {64: 1.2, 128: 1.2}),
    ("backward-causal", SHAPES, {64: 1.2, 128: 1.2}),
    ("one-query", [(8, 4096, 64)], {64: 2.5}),
    ("one-query-half", [(8, 4096, 64)], {64: 2.5}),
]
TOLERANCE = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--barelm", type=Path, default=BARELM)
    parser.add_argument("--turns", type=int, default=41)
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    barelm = subprocess.Popen([arguments.barelm], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"torch {torch.__version__}\n")
    print("| what, heads x n x d | barelm, ms | torch, ms | ratio | at least | largest difference |\n|---|---|---|---|---|---|")
    for what, shapes, least in ROWS:
        for shape in shapes:
            name = f"{what} {'x'.join(map(str, shape))}"
            if arguments.rows in name:
                row(barelm, name, what, shape, least[shape[2]], arguments.turns)


def row(barelm, name, what, shape, least, turns):
    problem = Problem(what, shape)
    difference = problem.difference(ask_for_result(barelm, what, shape))
    assert difference < TOLERANCE, f"{name}: {difference}"
    ours, theirs = [], []
    for _ in range(turns):
        ours.append(ask(barelm, what, shape, "-"))
        theirs.append(problem.seconds())
    ratio = statistics.median(b / a for a, b in zip(ours, theirs))
    a, b = (f"{statistics.median(times) * 1e3:.3f}" for times in (ours, theirs))
    print(f"| {name} | {a} | {b} | {ratio:.2f} x | {least} x | {difference:.1e} |", flush=True)


def ask(barelm, what, shape, path):
    barelm.stdin.write(" ".join(map(str, (what, *shape, path))) + "\n")
    barelm.stdin.flush()
    return float(barelm.stdout.readline())


def ask_for_result(barelm, what, shape):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        ask(barelm, what, shape, path)
        # The file is there once the next answer is.
        ask(barelm, what, shape, "-")
        return np.fromfile(path, dtype=np.float32)


class Problem:
    """The same computation by torch."""

    def __init__(self, what, shape):
        heads, n, d = shape
        queries = 1 if what.startswith("one-query") else n
        sizes = [queries, n, n, n]
        tensors = [torch.from_numpy(values(i, heads * m * d)).reshape(1, heads, m, d) for i, m in enumerate(sizes)]
        *self.inputs, self.gradient = tensors
        self.exact = self.inputs
        if what == "one-query-half":
            self.inputs = [x.half() for x in self.inputs]
            self.exact = [self.exact[0], *(x.float() for x in self.inputs[1:])]
        self.causal = what.endswith("causal")
        self.backward = what.startswith("backward")
        if self.backward:
            for x in self.inputs:
                x.requires_grad_()

    def seconds(self):
        out = self.forward() if self.backward else None
        start = time.perf_counter()
        self.results = torch.autograd.grad(out, self.inputs, self.gradient) if self.backward else [self.forward()]
        return time.perf_counter() - start

    def forward(self):
        with torch.set_grad_enabled(self.backward):
            return F.scaled_dot_product_attention(*self.inputs, is_causal=self.causal)

    def difference(self, got):
        """The largest, from the result in single precision (for half precision: of keys and values that were rounded to it)."""
        self.inputs, inputs = self.exact, self.inputs
        self.seconds()
        self.inputs = inputs
        want = np.concatenate([x.detach().numpy().ravel() for x in self.results])
        return float(np.max(np.abs(want - got)))


def values(seed, count):
    """The numbers that barelm's side makes too."""
    i = np.arange(count, dtype=np.uint32)
    bits = (i * np.uint32(2654435761) + np.uint32(seed * 974711)) ^ (i >> np.uint32(7))
    bits *= np.uint32(747796405)
    return (np.float32(4) * (bits.astype(np.float64) / 2**32 - 0.5).astype(np.float32)).astype(np.float32)


if __name__ == "__main__":
    main()
