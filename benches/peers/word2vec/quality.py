"""How good vectors are, by `barelm vectors evaluate` whoever made them."""

import json
import subprocess
from statistics import mean, stdev

TESTS = {"analogies, %": "questions-words.txt", "wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}
RESTRICT = 30_000


def evaluate(barelm, vectors, data):
    """The figure of each test."""
    files = [data / name for name in TESTS.values()]
    command = [barelm, "vectors", "evaluate", "-m", vectors, "--restrict", RESTRICT, "--json", "--quiet", *files]
    lines = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(TESTS, (figure(json.loads(line)["result"]) for line in lines)))


def figure(result):
    return result["spearman"] if "spearman" in result else 100 * result["total"]["accuracy"]


def spread(evaluations, test):
    """Mean and standard deviation over the seeds."""
    values = [evaluation[test] for evaluation in evaluations]
    digits = 1 if test.endswith("%") else 3
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"
