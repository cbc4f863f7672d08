"""word2vec.c."""

from settings import MIN_COUNT, SAMPLE, WINDOW


def command(binary, job):
    setting = job.setting
    return [
        *["env", f"WORD2VEC_SEED={job.seed}", binary, "-train", job.text, "-output", vectors(job), "-binary", 1],
        *["-cbow", int(setting.architecture == "cbow"), "-hs", int(not setting.negatives), "-negative", setting.negatives],
        *["-size", setting.dim, "-window", WINDOW, "-min-count", MIN_COUNT, "-sample", SAMPLE, "-alpha", setting.alpha],
        *["-iter", job.epochs, "-threads", setting.threads, "-debug", 0],
    ]


def vectors(job):
    return f"{job.vectors}.bin"
