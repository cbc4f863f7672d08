"""barelm's generation beside llama.cpp: python compare.py MODEL [--text FILE] [--rounds N] [--tokens N]

MODEL is a directory that `barelm lm train --config llama` wrote, or the word `random` for a model of some 30 million random
weights. It is converted to GGUF in f32 and q8_0, and to a model of ours in int8. First equality is checked: the text gives
the same ids; of the tokens that ours generates greedily in f32, each is llama.cpp's likeliest, too, or less than 0.01 below
it. Then generation is timed on one thread, in turns: the median of tokens a second. llama.cpp's figure is the time in
llama_decode and llama_get_logits alone, ours that of `lm generate`, which draws, decodes and writes the tokens as well.

llama.cpp is the library inside the wheel `xllamacpp`, called as C. Set up (once, from this folder):
    python3 -m venv ../target/llama-cpp-venv && ../target/llama-cpp-venv/bin/pip install xllamacpp==2026.10.11549 numpy
    (cd ../../.. && cargo build --release)
"""

import argparse
import ctypes
import importlib.util
import json
import os
import re
import statistics
import struct
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy

BARELM = Path(os.environ.get("BARELM_BINARY", Path(__file__).resolve().parents[3] / "target/release/barelm"))
PROMPT = "Once upon a time"
MARGIN = 0.01
# 30 million weights: 8 layers of width 512, a vocabulary as small as the tokenizer's.
LARGE = {"hidden_size": 512, "num_hidden_layers": 10, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64,
         "intermediate_size": 1376, "max_position_embeddings": 512}


def barelm(*args: str, text: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([BARELM, "--threads", "1", *args], input=text, capture_output=True, text=True, check=True)


class Batch(ctypes.Structure):
    """llama_batch of llama.h."""

    _fields_ = [("count", ctypes.c_int32)] + [(name, ctypes.c_void_p) for name in ("token", "embd", "pos", "n_seq", "seq", "logits")]


class Params(ctypes.Structure):
    """Any of llama.h's structs of parameters: larger than they are, passed through as they come."""

    _fields_ = [("words", ctypes.c_uint32 * 256)]


class LlamaCpp:
    def __init__(self) -> None:
        folder = Path(importlib.util.find_spec("xllamacpp").origin).parent
        self.lib = ctypes.CDLL(str(next(folder.glob("xllamacpp*.so"))))
        for name in ("llama_model_default_params", "llama_context_default_params"):
            getattr(self.lib, name).restype = Params
        for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_model_get_vocab", "llama_get_memory"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.lib.llama_get_logits.restype = ctypes.POINTER(ctypes.c_float)
        self.lib.llama_batch_get_one.restype = Batch
        quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self.quiet = quiet(lambda *_: None)
        self.lib.llama_log_set(self.quiet, None)
        self.lib.llama_backend_init()


class Model:
    def __init__(self, cpp: LlamaCpp, path: Path, context: int) -> None:
        self.lib = cpp.lib
        self.model = ctypes.c_void_p(self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params()))
        assert self.model, f"llama.cpp does not open {path}"
        params = self.lib.llama_context_default_params()
        params.words[0] = context  # n_ctx is the first field
        self.context = ctypes.c_void_p(self.lib.llama_init_from_model(self.model, params))
        self.lib.llama_set_n_threads(self.context, 1, 1)
        self.vocab = ctypes.c_void_p(self.lib.llama_model_get_vocab(self.model))
        self.vocab_size = self.lib.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, False)
        assert count >= 0
        return ids[:count]

    def start(self) -> None:
        self.lib.llama_memory_clear(ctypes.c_void_p(self.lib.llama_get_memory(self.context)), True)

    def push(self, ids: list[int]) -> None:
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        assert self.lib.llama_decode(self.context, self.lib.llama_batch_get_one(tokens, len(ids))) == 0

    def logits(self) -> numpy.ndarray:
        return numpy.ctypeslib.as_array(self.lib.llama_get_logits(self.context), (self.vocab_size,))

    def speed(self, prompt: list[int], count: int) -> float:
        """Tokens a second, the time in the library alone."""
        self.start()
        self.push(prompt)
        spent, token = 0.0, int(self.logits().argmax())
        for _ in range(count):
            begin = time.perf_counter()
            self.push([token])
            logits = self.lib.llama_get_logits(self.context)
            spent += time.perf_counter() - begin
            token = int(numpy.ctypeslib.as_array(logits, (self.vocab_size,)).argmax())
        return count / spent


def ours(model: Path, count: int) -> tuple[list[int], float]:
    """Greedy ids, and tokens a second."""
    done = barelm("lm", "generate", "--json", "-m", str(model), "-p", PROMPT, "--max-tokens", str(count), "--temperature", "0")
    return json.loads(done.stdout)["tokens"], float(re.search(r"([\d.]+) tokens/s", done.stderr)[1])


def random_model(folder: Path, tokenizer: Path) -> None:
    """A directory as LlamaForCausalLM's with random weights."""
    vocab = len(json.loads(tokenizer.read_text())["model"]["vocab"])
    config = {"model_type": "llama", "vocab_size": vocab, "tie_word_embeddings": True, "rms_norm_eps": 1e-5, "rope_theta": 1e4, **LARGE}
    d, hidden = config["hidden_size"], config["intermediate_size"]
    shapes = {"model.embed_tokens": [vocab, d], "model.norm": [d]}
    for layer in range(config["num_hidden_layers"]):
        names = {"self_attn.q_proj": [d, d], "self_attn.k_proj": [d, d], "self_attn.v_proj": [d, d], "self_attn.o_proj": [d, d],
                 "mlp.gate_proj": [hidden, d], "mlp.up_proj": [hidden, d], "mlp.down_proj": [d, hidden],
                 "input_layernorm": [d], "post_attention_layernorm": [d]}
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in names.items()}
    random, header, place, parts = numpy.random.default_rng(1), {}, 0, []
    for name, shape in shapes.items():
        numbers = numpy.ones(shape) if len(shape) == 1 else random.normal(0, 0.03, shape)
        parts.append(numbers.astype("<f4").tobytes())
        header[f"{name}.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + len(parts[-1])]}
        place += len(parts[-1])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    print(f"{place // 4:,} random weights")


def check(cpp: Model, model: Path, text: str, count: int) -> None:
    ids = [int(token) for token in barelm("tokenizer", "encode", "-m", f"{model}/tokenizer.json", "-", text=text).stdout.split()]
    assert cpp.tokenize(text) == ids, "other ids"
    print(f"{len(ids)} ids of {len(text.encode())} bytes of text are equal")
    generated, _ = ours(model, count)
    cpp.start()
    last, close = cpp.tokenize(PROMPT), 0
    for token in generated:
        cpp.push(last)
        logits = cpp.logits()
        below = float(logits.max() - logits[token])
        assert below < MARGIN, f"token {token} is {below} below llama.cpp's likeliest"
        close += below > 0
        last = [token]
    print(f"{count} greedy tokens: {count - close} equal, {close} with margins below {MARGIN}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of a random model")
    parser.add_argument("--text", type=Path, default=Path(__file__))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200)
    args = parser.parse_args()
    cpp = LlamaCpp()
    with tempfile.TemporaryDirectory() as folder:
        model, int8 = args.model, Path(folder, "int8")
        if str(args.model) == "random":
            model = Path(folder, "f32")
            random_model(Path(folder, "theirs"), args.tokenizer)
            barelm("lm", "convert", "-m", f"{folder}/theirs", "-o", str(model))
        barelm("lm", "convert", "-m", str(model), "-o", str(int8), "--weights", "int8")
        files = {}
        for kind in ("f32", "q8_0"):
            path = Path(folder, f"{kind}.gguf")
            barelm("lm", "convert", "-m", str(model), "-o", str(path), "--type", kind)
            files[kind] = Model(cpp, path, 512)
        print(f"xllamacpp {version('xllamacpp')}")
        check(files["f32"], model, args.text.read_text(), args.tokens)
        prompt = files["f32"].tokenize(PROMPT)
        runs = {"barelm f32": lambda: ours(model, args.tokens)[1], "llama.cpp f32": lambda: files["f32"].speed(prompt, args.tokens),
                "barelm int8": lambda: ours(int8, args.tokens)[1], "llama.cpp q8_0": lambda: files["q8_0"].speed(prompt, args.tokens)}
        speeds = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, run in runs.items():
                speeds[name].append(run())
        medians = {name: statistics.median(values) for name, values in speeds.items()}
        for name, median in medians.items():
            print(f"{name:15} {median:10.1f} tokens/s  ({min(speeds[name]):.1f} to {max(speeds[name]):.1f})")
        print(f"f32: {medians['barelm f32'] / medians['llama.cpp f32']:.2f} times, int8: {medians['barelm int8'] / medians['llama.cpp q8_0']:.2f} times")


if __name__ == "__main__":
    main()
