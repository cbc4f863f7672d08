"""The texts of the tables: corpora from the data folder, and inputs that wear an encoder out."""

import random
import subprocess
from pathlib import Path

MILLION = 1_000_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
EMOJI = "😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰😗"


def corpora(data, folder):
    """Names and files of ordinary texts."""
    classics = data / "classics-100m.txt"
    yield "classics, 100 MB", classics
    yield "classics, first 12 MB", made(folder / "classics-12m.txt", lambda: head(classics, 12 * MILLION))
    yield "Wikipedia, 100 MB", data / "wiki-100m.txt"
    yield "Chinese, 2.5 MB", data / "zh-hongloumeng.txt"
    yield "388 languages, 5.7 MB", data / "multi-udhr.txt"
    yield "source code", made(folder / "source.txt", source_code)


def degenerate(folder, characters=MILLION):
    """Names and files of texts that are one piece, or hardly more."""
    rng = random.Random(1)

    def some(alphabet):
        return "".join(rng.choices(alphabet, k=characters)).encode()

    makers = {
        "one letter": lambda: b"a" * characters,
        "random letters": lambda: some(LETTERS),
        "random digits": lambda: some("0123456789"),
        "spaces": lambda: b" " * characters,
        "emoji": lambda: some(EMOJI),
    }
    for name, make in makers.items():
        path = folder / f"{name.replace(' ', '-')}-{characters}.txt"
        yield f"{characters // MILLION} M {name}", made(path, make)


def made(path, make):
    if not path.exists():
        path.write_bytes(make())
    return path


def head(path, size):
    """The first `size` bytes of a file, but no part of a character."""
    with open(path, "rb") as file:
        return file.read(size).decode(errors="ignore").encode()


def gigabyte(data):
    """Books and Wikipedia, five times each."""
    return b"".join((data / name).read_bytes() for name in ("classics-100m.txt", "wiki-100m.txt")) * 5


def source_code():
    """All Rust sources of this project, four times over."""
    root = Path(__file__).resolve().parents[3]
    names = subprocess.run(["git", "ls-files", "*.rs"], cwd=root, capture_output=True, text=True, check=True).stdout
    return b"".join((root / name).read_bytes() for name in names.split()) * 4
