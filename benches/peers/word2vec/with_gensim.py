"""gensim: as a module, the command; as a program of a Python that has gensim, the training."""

import json
import sys

from settings import MIN_COUNT, SAMPLE, WINDOW


def command(python, job):
    setting = job.setting
    options = {
        "corpus_file": str(job.text),
        "sg": int(setting.architecture == "skipgram"),
        "hs": int(not setting.negatives),
        "negative": setting.negatives,
        "vector_size": setting.dim,
        "window": WINDOW,
        "min_count": MIN_COUNT,
        "sample": SAMPLE,
        "alpha": setting.alpha,
        "min_alpha": setting.alpha * 1e-4,
        "epochs": job.epochs,
        "workers": setting.threads,
        "seed": job.seed,
    }
    return ["env", "OPENBLAS_NUM_THREADS=1", python, __file__, json.dumps(options), vectors(job)]


def vectors(job):
    return f"{job.vectors}.bin"


def lines(text, path, length=1000):
    """The words of a text, so many a line."""
    if not path.exists():
        words = text.read_bytes().split()
        path.write_bytes(b"".join(b" ".join(words[start : start + length]) + b"\n" for start in range(0, len(words), length)))
    return path


def main(options, path):
    from gensim.models import Word2Vec

    Word2Vec(**json.loads(options)).wv.save_word2vec_format(path, binary=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
