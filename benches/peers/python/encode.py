"""One encoder on one text: python encode.py PEER VOCABULARY TEXT IDS (as `native encode` does it in Rust)."""

import json
import os
import sys
import time
from pathlib import Path

# One core for everybody.
for variable in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np


def gigatoken(path):
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_tiktoken(path)
    return lambda text: np.asarray(tokenizer.encode(text))


gigatoken.takes_bytes = True


def fastokens(path):
    import fastokens

    tokenizer = fastokens.Tokenizer.from_tiktoken(str(path), encoding=path.stem)
    return lambda text: np.frombuffer(tokenizer.encode_batch_flat([text])[0], np.uint32)


def toktok(path):
    from toktok import _toktok

    tokenizer = _toktok.Tokenizer(path.stem)
    return lambda text: tokenizer.encode_to_numpy(text)


def quicktok(path):
    import quicktok

    tokenizer = quicktok.get_encoding(path.stem)
    return lambda text: tokenizer.encode_batch([text], threads=1)[0]


def tiktoken(path):
    import base64

    import tiktoken
    from tiktoken_ext import openai_public

    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    patterns = {"r50k_base": "r50k_pat_str", "p50k_base": "r50k_pat_str", "cl100k_base": None, "o200k_base": None}
    if patterns[path.stem]:
        pattern = getattr(openai_public, patterns[path.stem])
    else:
        pattern = published_pattern(openai_public, path.stem)
    encoding = tiktoken.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: encoding.encode_to_numpy(text, disallowed_special=())


def published_pattern(openai_public, name):
    """The pattern that the package itself gives to an encoding, without the download of its ranks."""
    openai_public.load_tiktoken_bpe = lambda *_, **__: {}
    return getattr(openai_public, name)()["pat_str"]


PEERS = {f.__name__: f for f in (gigatoken, fastokens, toktok, quicktok, tiktoken)}


def main(peer, vocabulary, text, ids):
    text = Path(text).read_bytes()
    if not hasattr(PEERS[peer], "takes_bytes"):
        text = text.decode()
    start, wall = time.process_time(), time.perf_counter()
    encode = PEERS[peer](Path(vocabulary))
    load, load_wall = time.process_time() - start, time.perf_counter() - wall

    def timed():
        start = time.process_time()
        out = encode(text)
        return out, time.process_time() - start

    _, first = timed()
    out, again = timed()
    out.astype("<u4").tofile(ids)
    print(json.dumps({"load": load, "load_wall": load_wall, "first": first, "again": again, "tokens": len(out)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
