"""One trainer on one file: python train.py PEER TEXT VOCABULARY_SIZE MERGES.

Byte-level, the pattern of GPT-2, one thread as far as the peer can be told so. Writes the merges, one a line in GPT-2's
spelling (a peer that does not give them writes nothing), and prints CPU seconds as JSON.
"""

import json
import os
import sys
import time

for variable in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def gigabpe(text, size):
    import gigabpe

    _, merges = gigabpe.train_bpe([text], size, special_tokens=[], pretokenizer="bytelevel", threads=1)
    return merges


def tokenizers(text, size):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train([text], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, list) else merge.split(" ") for merge in merges]


def rustbpe(text, size):
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    with open(text, encoding="utf-8", newline="\n") as lines:
        tokenizer.train_from_iterator(lines, vocab_size=size, pattern=GPT2)


def gigatoken(text, size):
    import gigatoken

    gigatoken.train_bpe(gigatoken.TextFileSource([text]), size, [])


PEERS = {f.__name__: f for f in (gigabpe, tokenizers, rustbpe, gigatoken)}


def main(peer, text, size, merges):
    start = time.process_time()
    learned = PEERS[peer](text, int(size))
    cpu = time.process_time() - start
    if learned:
        with open(merges, "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{left} {right}\n" for left, right in learned)
    print(json.dumps({"cpu": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
