"""Training of barelm's llama beside PyTorch, f32, tokens a second: python compare.py TEXT [--dim 128] [--threads 1] [--turns 5]

Four layers, four heads, 256 positions, 4096 tokens, eight windows a step, AdamW everywhere. First barelm trains a little and its model is read into
the PyTorch module; both must give a prompt's next token the same log-probabilities. Then they train in turns, barelm by its own
report and the others step by step, PyTorch eager and compiled; the medians are printed, with the loss that each reached on the
same text. llm.c has a GPT-2 of the same width and depth instead, which costs about as many operations a token (12 d^2 weights a
layer, 12.25 d^2 here at d = 128): its loss must start at that of guessing and fall as the others' do.

Set up (once, from this folder):
    python3 -m venv ../target/training-venv && ../target/training-venv/bin/pip install torch==2.15.0 numpy safetensors
    (cd ../../.. && cargo build --release)
and for --llm-c a checkout of llm.c (commit f1e2ace) and gcc, which has OpenMP.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from llama import Llama

BARELM = Path(os.environ.get("BARELM_BINARY", Path(__file__).resolve().parents[3] / "target/release/barelm"))
LAYERS, HEADS, CONTEXT, VOCABULARY, WINDOWS = 4, 4, 256, 4096, 8
PROMPT = "It was the best of times, it was the"
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="of one turn")
    parser.add_argument("--llm-c", type=Path, help="a checkout of llm.c")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(args, Path(folder))
        contest.check()
        contest.run()
        contest.close()


class Contest:
    def __init__(self, args, folder: Path):
        self.args, self.folder = args, folder
        self.tokenizer = folder / "tokenizer.json"
        barelm("tokenizer", "train", "--vocab-size", str(VOCABULARY), "-o", self.tokenizer, args.text)
        ids = folder / "ids"
        barelm("tokenizer", "encode", "-m", self.tokenizer, "--format", "u16", "-o", ids, args.text)
        self.ids = torch.from_numpy(np.fromfile(ids, np.uint16).astype(np.int64))
        self.eager = Llama(VOCABULARY, args.dim, LAYERS, HEADS, CONTEXT)
        self.optimiser = torch.optim.AdamW(self.eager.parameters(), 3e-3, (0.9, 0.99), weight_decay=0.1, fused=True)
        self.forms = {"PyTorch eager": self.eager}
        if not args.eager:
            self.forms["torch.compile"] = torch.compile(self.eager)
        if args.llm_c:
            self.forms["llm.c"] = LlmC(args, folder)

    def train_barelm(self, steps: int) -> dict:
        shape = ["--layers", LAYERS, "--heads", HEADS, "--dim", self.args.dim, "--context", CONTEXT]
        length = ["--batch-tokens", WINDOWS * CONTEXT, "--steps", steps, "--optimizer", "adamw", "--learning-rate", 3e-3]
        given = ["--config", "llama", "--tokenizer", self.tokenizer, "-o", self.folder / "model", self.args.text]
        return json.loads(barelm("lm", "train", "--json", "--threads", self.args.threads, *shape, *length, *given))

    def check(self) -> None:
        """Both sides compute the same model."""
        self.train_barelm(20)
        theirs = self.folder / "theirs"
        barelm("lm", "convert", "-m", self.folder / "model", "-o", theirs)
        self.eager.read(load_file(theirs / "model.safetensors"))
        lines = barelm("lm", "predict", "--json", "-m", self.folder / "model", "-p", PROMPT, "-k", VOCABULARY).splitlines()
        ours = {guess["id"]: math.log(guess["probability"]) for guess in map(json.loads, lines)}
        ids = barelm("tokenizer", "encode", "-m", self.tokenizer, "-", text=PROMPT).split()
        with torch.no_grad():
            logs = torch.log_softmax(self.eager(torch.tensor([list(map(int, ids))]))[0, -1].double(), -1).tolist()
        worst = max(abs(log - logs[token]) for token, log in ours.items())
        print(f"torch {torch.__version__}, {barelm('--version').strip()}, log-probabilities within {worst:.1e}")
        assert worst < TOLERANCE

    def step(self, model, windows) -> float:
        if isinstance(model, LlmC):
            return model.step(windows)
        logits = model(windows[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.eager.parameters(), 1.0)
        self.optimiser.step()
        return loss.item()

    def train(self, model, steps: int) -> tuple[float, list[float]]:
        """Tokens a second, and the losses."""
        losses, start = [], time.perf_counter()
        for _ in range(steps):
            starts = torch.randint(len(self.ids) - CONTEXT, (WINDOWS, 1))
            losses.append(self.step(model, self.ids[starts + torch.arange(CONTEXT + 1)]))
        return steps * WINDOWS * CONTEXT / (time.perf_counter() - start), losses

    def run(self) -> None:
        steps, speeds = self.args.steps, {"barelm": []} | {name: [] for name in self.forms}
        # Every form but barelm, which begins anew each turn, goes on from turn to turn.
        losses = {name: self.train(model, 2)[1] for name, model in self.forms.items()}
        for _ in range(self.args.turns):
            report = self.train_barelm(steps)
            speeds["barelm"].append(report["tokens_per_second"])
            for name, model in self.forms.items():
                speed, more = self.train(model, steps)
                speeds[name].append(speed)
                losses[name] += more
        print(f"loss of barelm after {steps} steps: {report['history'][-1]['train_loss']:.2f}")
        for name, list_ in losses.items():
            print(f"loss of {name}: at first {list_[0]:.2f}, of the last ten steps {statistics.fmean(list_[-10:]):.2f}")
        print("\n| d, threads | what | tokens/s | barelm is |\n|---|---|---|---|")
        for name, list_ in speeds.items():
            ratio = statistics.median(a / b for a, b in zip(speeds["barelm"], list_))
            print(f"| {self.args.dim}, {self.args.threads} | {name} | {statistics.median(list_):.0f} | {ratio:.2f} x |")


    def close(self) -> None:
        if self.args.llm_c:
            self.forms["llm.c"].close()


class LlmC:
    """llm.c's GPT-2 in a process of its own."""

    HEADER = [20240326, 3, CONTEXT, VOCABULARY, LAYERS, HEADS]

    def __init__(self, args, folder: Path):
        here = Path(__file__).resolve().parent
        options = ["-Ofast", "-march=native", "-fopenmp", "-DOMP", "-w", f"-I{args.llm_c}"]
        subprocess.run(["gcc", *options, here / "llm_c.c", "-lm", "-o", folder / "llm_c"], check=True)
        self.write_checkpoint(folder / "gpt2.bin", args.dim)
        command = [folder / "llm_c", folder / "gpt2.bin", str(WINDOWS), str(CONTEXT)]
        threads = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=threads)

    def write_checkpoint(self, path: Path, d: int) -> None:
        """Random matrices, normalisations by one, no biases, in the order that llm.c reads."""
        header = np.zeros(256, np.int32)
        header[:8] = [*self.HEADER, d, VOCABULARY]
        random = np.random.default_rng(1)
        matrix = lambda *shape: random.normal(0, 0.02, shape)
        layers = lambda make: np.concatenate([make().ravel() for _ in range(LAYERS)])
        zeros, ones = (lambda n: lambda: np.zeros(n)), lambda: np.ones(d)
        tensors = [matrix(VOCABULARY, d), matrix(CONTEXT, d)]
        tensors += [layers(ones), layers(zeros(d)), layers(lambda: matrix(3 * d, d)), layers(zeros(3 * d))]
        tensors += [layers(lambda: matrix(d, d)), layers(zeros(d)), layers(ones), layers(zeros(d))]
        tensors += [layers(lambda: matrix(4 * d, d)), layers(zeros(4 * d)), layers(lambda: matrix(d, 4 * d)), layers(zeros(d))]
        tensors += [np.ones(d), np.zeros(d)]
        with path.open("wb") as file:
            file.write(header.tobytes())
            for tensor in tensors:
                file.write(tensor.astype(np.float32).tobytes())

    def step(self, windows) -> float:
        windows = windows.numpy().astype(np.int32)
        self.process.stdin.write(windows[:, :-1].tobytes() + windows[:, 1:].tobytes())
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith(b"step"):
            assert line, "llm.c ended"
        return float(line.split()[1])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def barelm(*args, text: str = "") -> str:
    return subprocess.run([BARELM, *map(str, args)], input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
