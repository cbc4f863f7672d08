"""LlamaForCausalLM of one width in PyTorch, as one would write it for speed: tied embedding, rotary positions, SDPA."""

import torch
import torch.nn.functional as F
from torch import nn


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.hidden_norm = (nn.RMSNorm(dim, 1e-5) for _ in range(2))
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x, cos, sin):
        batch, length, dim = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(heads.transpose(1, 2).reshape(batch, length, dim))
        gate, up = self.gate_up(self.hidden_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def turn(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Llama(nn.Module):
    def __init__(self, vocabulary: int, dim: int, layers: int, heads: int, context: int):
        super().__init__()
        hidden = -(-8 * dim // 96) * 32  # 8/3 of the width, rounded up to a multiple of 32
        self.embedding = nn.Embedding(vocabulary, dim)
        self.layers = nn.ModuleList(Layer(dim, heads, hidden) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, 1e-5)
        width = dim // heads
        angles = torch.outer(torch.arange(context), 1e4 ** (-torch.arange(0, width, 2) / width))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids):
        x, length = self.embedding(ids), ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:length], self.sin[:length])
        return F.linear(self.norm(x), self.embedding.weight)

    @torch.no_grad()
    def read(self, weights) -> None:
        """Takes the weights of a LlamaForCausalLM of this shape."""
        self.embedding.weight.copy_(weights["model.embed_tokens.weight"])
        self.norm.weight.copy_(weights["model.norm.weight"])
        for i, layer in enumerate(self.layers):
            of = lambda name: weights[f"model.layers.{i}.{name}.weight"]
            layer.attention_norm.weight.copy_(of("input_layernorm"))
            layer.hidden_norm.weight.copy_(of("post_attention_layernorm"))
            layer.qkv.weight.copy_(torch.cat([of(f"self_attn.{x}_proj") for x in "qkv"]))
            layer.output.weight.copy_(of("self_attn.o_proj"))
            layer.gate_up.weight.copy_(torch.cat([of(f"mlp.{x}_proj") for x in ("gate", "up")]))
            layer.down.weight.copy_(of("mlp.down_proj"))
