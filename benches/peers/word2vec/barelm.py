"""barelm."""

import subprocess

from settings import MIN_COUNT, SAMPLE, WINDOW


def command(binary, job):
    setting = job.setting
    return [
        *[binary, "vectors", "train", "--quiet", "--threads", setting.threads, "--seed", job.seed],
        *["--dim", setting.dim, "--window", WINDOW, "--min-count", MIN_COUNT, "--sample", SAMPLE, "--alpha", setting.alpha],
        *["--epochs", job.epochs, *objective(setting), "-o", vectors(job), job.text],
    ]


def objective(setting):
    """What differs from barelm's defaults."""
    architecture = [] if setting.architecture == "cbow" else ["--arch", setting.architecture]
    loss = ["--loss", "ns", "--negatives", setting.negatives] if setting.negatives else []
    return architecture + loss


def supports(binary, setting):
    usage = subprocess.run([binary, "vectors", "train", "--help"], capture_output=True, text=True).stdout
    return all(option in usage for option in objective(setting) if str(option).startswith("--"))


def vectors(job):
    return f"{job.vectors}.bin"
