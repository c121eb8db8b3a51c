"""The semantic bank of skinned models (3D-Fauna section 3.2): an image's query -> a shape code phi.

q, keys: L2-normalised; s_i = <q, key_i>; of the `top_k` largest, w_i = s_i / sum |s|; phi = sum w_i value_i.
The weights are L1-normalised cosines, not a softmax, as in the published code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from backend.methods.fauna.config import FaunaConfig


class SemanticBank(nn.Module):
    """memory_bank (K, code_dim) values and memory_bank_keys (K, query_dim)."""

    def __init__(self, config: FaunaConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        groups = torch.empty(7, config.code_dim).uniform_(-0.05, 0.05)
        index = torch.arange(config.bank_size) * 7 // config.bank_size
        self.memory_bank = nn.Parameter(groups[index].clone())
        self.memory_bank_keys = nn.Parameter(torch.empty(config.bank_size, config.query_dim).uniform_(-0.05, 0.05))

    def weights(self, query: Tensor) -> Tensor:
        """query (B, query_dim) -> (B, K) weights, zero but for the top k."""
        scores = normalize(query, dim=-1) @ normalize(self.memory_bank_keys, dim=-1).T
        top, index = scores.topk(self.top_k, dim=-1)
        top = top / top.abs().sum(-1, keepdim=True).clamp_min(1e-8)
        return torch.zeros_like(scores).scatter(-1, index, top)

    def forward(self, query: Tensor) -> Tensor:
        """query (B, query_dim) -> phi (B, code_dim)."""
        return self.weights(query) @ self.memory_bank
