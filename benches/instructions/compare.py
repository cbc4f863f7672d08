"""Compares counts of instructions with a baseline, or makes them the baseline.

    python3 compare.py BACKEND SUMMARIES [--update]

SUMMARIES holds what iai-callgrind prints with --output-format=json, a bench a line. The status is 1 when a
bench takes over 3 % more than in `baseline/BACKEND.txt`, or stands on one side alone.
"""

import json
import pathlib
import subprocess
import sys

LIMIT = 3.0  # percent


def read_counts(path):
    """Instructions by bench, in the order in which they ran."""
    counts = {}
    for line in pathlib.Path(path).read_text().splitlines():
        bench = json.loads(line)
        [callgrind] = bench["profiles"]
        metrics = callgrind["summaries"]["total"]["summary"]["Callgrind"]["Ir"]["metrics"]
        counts[f"{bench['function_name']}/{bench['id']}"] = metrics["Left"]["Int"]
    return counts


def read_baseline(path):
    """The compiler that a baseline was counted with, and its counts."""
    if not path.exists():
        return None, {}
    first, *lines = path.read_text().splitlines()
    pairs = (line.split() for line in lines)
    return first.removeprefix("# "), {name: int(count) for name, count in pairs}


def write_baseline(path, compiler, counts):
    lines = [f"# {compiler}", *(f"{name} {count}" for name, count in counts.items())]
    path.write_text("\n".join(lines) + "\n")


def compare(backend, counts, baseline):
    """Prints the table; returns what is wrong."""
    wrong = []
    print(f"\n{backend:24}{'now':>14}{'baseline':>14}{'change':>12}")
    for name in counts | baseline:
        now, before = counts.get(name), baseline.get(name)
        shown = [format(x, ",") if x is not None else "-" for x in (now, before)]
        change = ""
        if now is None:
            wrong.append(f"{name} is in the baseline alone")
        elif before is None:
            wrong.append(f"{name} has no baseline")
        else:
            percent = 100.0 * (now - before) / before
            change = f"{percent:+.2f} %"
            if percent > LIMIT:
                wrong.append(f"{name} takes {change} instructions")
            elif percent < -LIMIT:
                change += "  less: keep it with --update"
        print(f"{name:24}{shown[0]:>14}{shown[1]:>14}  {change:>10}")
    return wrong


def main():
    backend, summaries, *update = sys.argv[1:]
    path = pathlib.Path(__file__).parent / "baseline" / f"{backend}.txt"
    compiler = subprocess.check_output(["rustc", "--version"], text=True).strip()
    counts = read_counts(summaries)
    known_compiler, baseline = read_baseline(path)
    wrong = compare(backend, counts, baseline)
    if not counts:
        sys.exit(f"{backend}: FAILED: nothing was counted")
    if update:
        write_baseline(path, compiler, counts)
        print(f"{backend}: this is the baseline now")
        return
    if known_compiler not in (None, compiler):
        print(f"{backend}: NOTE: this is {compiler}, the baseline is of {known_compiler}")
    for reason in wrong:
        print(f"{backend}: FAILED: {reason}", file=sys.stderr)
    sys.exit(bool(wrong))


main()
