"""Runs systems in turns, and reads figures from what they cost."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "python"))

import barelm
import fasttext
import with_gensim
import word2vec_c
from measure import median, run
from quality import evaluate
from settings import Job

TIMEOUT = 3600
ADAPTERS = {"barelm": barelm, "barelm, one thread": barelm, "word2vec.c": word2vec_c, "gensim": with_gensim, "fastText": fasttext}


@dataclass
class Runs:
    """What one system cost: the runs of one epoch, those of all epochs, and the quality of the latter."""

    short: list = field(default_factory=list)
    long: list = field(default_factory=list)
    evaluations: list = field(default_factory=list)

    def failed(self):
        return not all(self.short + self.long)

    def seconds(self, kind):
        if kind == "end to end":
            return median([r["cpu"] for r in self.long])
        key, of = ("wall", min) if kind == "wall" else ("cpu", median)
        return of([r[key] for r in self.long]) - of([r[key] for r in self.short])

    def speed(self, kind, words, epochs):
        """Thousand words a second."""
        return words * (epochs if kind == "end to end" else epochs - 1) / self.seconds(kind) / 1e3

    def anon(self):
        return max(r["anon"] for r in self.long)


def contest(setting, names, arguments, folder):
    """The runs of the systems by name. The seed of a round is its number."""
    runs = {name: Runs() for name in names}
    for seed in range(1, max(arguments.rounds, arguments.seeds) + 1):
        for name in names:
            job = Job(system_setting(name, setting), 1, seed, text(name, arguments, folder), folder / "vectors")
            round_of(name, job, arguments, runs[name], watch=setting.threads == 1)
    return runs


def round_of(name, job, arguments, runs, watch):
    adapter, binary = ADAPTERS[name], arguments.binaries[name]
    long = replace(job, epochs=arguments.epochs)
    runs.short.append(run(adapter.command(binary, job), TIMEOUT, watch))
    runs.long.append(run(adapter.command(binary, long), TIMEOUT, watch))
    if runs.long[-1] and job.seed <= arguments.seeds:
        runs.evaluations.append(evaluate(arguments.binaries["barelm"], adapter.vectors(long), arguments.data))


def system_setting(name, setting):
    return replace(setting, threads=1) if name == "barelm, one thread" else setting


def text(name, arguments, folder):
    """gensim's fast reader takes the first 10,000 words of a line only: it gets the text in lines."""
    return with_gensim.lines(arguments.text, folder / "lines.txt") if name == "gensim" else arguments.text
