"""What is trained, and the rows of the table."""

from dataclasses import dataclass
from pathlib import Path

WINDOW = 5
MIN_COUNT = 5
SAMPLE = 1e-3


@dataclass(frozen=True)
class Setting:
    architecture: str = "cbow"
    negatives: int = 0  # none: hierarchical softmax
    dim: int = 100
    threads: int = 1

    @property
    def alpha(self):
        """word2vec.c's default."""
        return 0.05 if self.architecture == "cbow" else 0.025


@dataclass(frozen=True)
class Job:
    """One run of one system."""

    setting: Setting
    epochs: int
    seed: int
    text: Path
    vectors: Path  # without the ending


@dataclass(frozen=True)
class Row:
    name: str
    setting: Setting
    peer: str
    least: float
    aim: float
    kind: str = "training"


CBOW_HS = Setting()
ROWS = [
    Row("CBOW-HS, d = 100", CBOW_HS, "word2vec.c", 3.5, 5),
    Row("CBOW-HS, d = 200", Setting(dim=200), "word2vec.c", 2.2, 3),
    Row("CBOW-HS, d = 300", Setting(dim=300), "word2vec.c", 2.2, 3),
    Row("skip-gram HS, d = 100", Setting("skipgram"), "word2vec.c", 3.5, 5),
    Row("CBOW, 5 negatives, d = 100", Setting(negatives=5), "word2vec.c", 4, 5),
    Row("CBOW-HS, d = 100", CBOW_HS, "gensim", 4.5, 6),
    Row("CBOW-HS, d = 100, end to end", CBOW_HS, "fastText", 7, 10, "end to end"),
    Row("CBOW-HS, d = 100, two threads against one, wall", Setting(threads=2), "barelm, one thread", 1.6, 1.8, "wall"),
]
