"""barelm's llama beside transformers: python compare.py MODEL [--prompts FILE]

MODEL is a directory that `barelm lm train --config llama` wrote. It is converted, opened as LlamaForCausalLM and with
AutoTokenizer, and for every prompt (one a line; some of the project's own without FILE) ids and log-probabilities of the
next token are compared. Ids must be equal; the largest differences are printed.

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


def barelm(*args: str, text: str = "") -> str:
    return subprocess.run([BARELM, *args], input=text, capture_output=True, text=True, check=True).stdout


def our_logs(model: str, prompt: str, vocab_size: int) -> dict[int, float]:
    lines = barelm("lm", "predict", "--json", "-m", model, "-p", prompt, "-k", str(vocab_size)).splitlines()
    guesses = map(json.loads, lines)
    return {guess["id"]: math.log(guess["probability"]) for guess in guesses if guess["probability"] > SMALLEST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=Path)
    args = parser.parse_args()
    prompts = args.prompts.read_text().splitlines() if args.prompts else PROMPTS
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        barelm("lm", "convert", "-m", args.model, "-o", folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {type(model).__name__}")
    for prompt in prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        ours = barelm("tokenizer", "encode", "-m", f"{args.model}/tokenizer.json", "-", text=prompt)
        assert ids == [int(token) for token in ours.split()], f"other ids: {prompt!r}"
        # A longer prompt is cut by our side.
        ids = ids[-model.config.max_position_embeddings :]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        theirs = torch.log_softmax(logits.double(), -1).tolist()
        logs = our_logs(args.model, prompt, len(theirs))
        worst = max(abs(log - theirs[token]) for token, log in logs.items())
        same = max(logs, key=logs.get) == max(range(len(theirs)), key=theirs.__getitem__)
        print(f"{worst:.1e} largest difference, likeliest token {'equal' if same else 'DIFFERS'}: {prompt!r}")


if __name__ == "__main__":
    main()
