"""barelm's llama beside transformers: python compare.py MODEL [--prompts FILE]

MODEL is a directory that `barelm lm train --config llama` wrote. It is converted, opened as LlamaForCausalLM and with
AutoTokenizer, and for every prompt (one a line; some of the project's own without FILE) ids and log-probabilities of the
next token are compared. Ids must be equal; the largest differences are printed. Then transformers writes the model in half
precision, in bfloat16, and shared out over several files; each directory is converted back, and our reading of it is
compared with transformers' reading of the same directory.

Set up (once, from this folder):
    python3 -m venv ../target/llama-venv && ../target/llama-venv/bin/pip install torch==2.15.0 transformers==5.24.0
    (cd ../../.. && cargo build --release)
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

import torch
import transformers

BARELM = Path(os.environ.get("BARELM_BINARY", Path(__file__).resolve().parents[3] / "target/release/barelm"))
PROMPTS = ["The", "Once upon a time, there was", "First Citizen:\nBefore we proceed any further, hear me speak."]
# Below this a probability has too few digits in f32 to be compared.
SMALLEST = 1e-30
# What transformers writes: type of the numbers, and the size of a file if there are to be several.
WRITTEN = {"f16": (torch.float16, None), "bf16": (torch.bfloat16, None), "f32 in several files": (torch.float32, "400KB"),
           "bf16 in several files": (torch.bfloat16, "400KB")}


def barelm(*args: str, text: str = "") -> str:
    return subprocess.run([BARELM, *args], input=text, capture_output=True, text=True, check=True).stdout


def our_logs(model: str, prompt: str, vocab_size: int) -> dict[int, float]:
    lines = barelm("lm", "predict", "--json", "-m", model, "-p", prompt, "-k", str(vocab_size)).splitlines()
    guesses = map(json.loads, lines)
    return {guess["id"]: math.log(guess["probability"]) for guess in guesses if guess["probability"] > SMALLEST}


def compare(ours: str, theirs: str, prompts: list[str]) -> None:
    """Ids and log-probabilities of a model of ours and a directory of theirs."""
    model = transformers.AutoModelForCausalLM.from_pretrained(theirs, dtype=torch.float32).eval()
    assert type(model).__name__ == "LlamaForCausalLM"
    tokenizer = transformers.AutoTokenizer.from_pretrained(theirs)
    for prompt in prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        encoded = barelm("tokenizer", "encode", "-m", f"{ours}/tokenizer.json", "-", text=prompt)
        assert ids == [int(token) for token in encoded.split()], f"other ids: {prompt!r}"
        # A longer prompt is cut by our side.
        ids = ids[-model.config.max_position_embeddings :]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        logs = torch.log_softmax(logits.double(), -1).tolist()
        found = our_logs(ours, prompt, len(logs))
        worst = max(abs(log - logs[token]) for token, log in found.items())
        same = max(found, key=found.get) == max(range(len(logs)), key=logs.__getitem__)
        print(f"  {worst:.1e} largest difference, likeliest token {'equal' if same else 'DIFFERS'}: {prompt!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=Path)
    args = parser.parse_args()
    prompts = args.prompts.read_text().splitlines() if args.prompts else PROMPTS
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        theirs = f"{folder}/theirs"
        barelm("lm", "convert", "-m", args.model, "-o", theirs)
        print("f32, written by barelm")
        compare(args.model, theirs, prompts)
        tokenizer = transformers.AutoTokenizer.from_pretrained(theirs)
        for name, (dtype, size) in WRITTEN.items():
            written, back = f"{folder}/{name}", f"{folder}/{name} back"
            rounded = transformers.AutoModelForCausalLM.from_pretrained(theirs, dtype=dtype)
            rounded.save_pretrained(written, **({"max_shard_size": size} if size else {}))
            tokenizer.save_pretrained(written)
            files = len(list(Path(written).glob("*.safetensors")))
            assert (files > 1) == (size is not None), f"{files} files"
            barelm("lm", "convert", "-m", written, "-o", back)
            print(f"{name}, written by transformers ({files} files)")
            compare(back, written, prompts)


if __name__ == "__main__":
    main()
