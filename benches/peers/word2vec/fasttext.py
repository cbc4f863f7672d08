"""fastText, with vectors of whole words alone (`-maxn 0`)."""

from settings import MIN_COUNT, SAMPLE, WINDOW


def command(binary, job):
    setting = job.setting
    objective = ["-loss", "ns", "-neg", setting.negatives] if setting.negatives else ["-loss", "hs"]
    return [
        *[binary, setting.architecture, "-input", job.text, "-output", job.vectors, *objective, "-maxn", 0, "-verbose", 0],
        *["-dim", setting.dim, "-ws", WINDOW, "-minCount", MIN_COUNT, "-t", SAMPLE, "-lr", setting.alpha],
        *["-epoch", job.epochs, "-thread", setting.threads, "-seed", job.seed],
    ]


def vectors(job):
    return f"{job.vectors}.vec"
