"""Losses of language models on answers: per token, and per sample.

Outputs are logits [B, L, V], targets int64 [B, L]. Targets are already shifted: targets[i, t] is the token that
position t must predict, or `IGNORED` where none is asked for (prompt, padding). The others are the sample's answer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from methods.task import Unsuitable

IGNORED = -100
"""The target of a position whose prediction does not count."""


def token_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """-log p of each answer token, [B, L]; 0 where the target is `IGNORED`. Raises what `require_tokens` raises."""
    require_tokens(outputs, targets)
    losses = cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view(targets.shape)


def require_tokens(outputs: Tensor, targets: Tensor) -> None:
    """Refuse outputs that have no vector for each token.

    Raises:
        Unsuitable: they are not [B, L, ...] for targets [B, L].
    """
    if outputs.dim() != 3 or targets.shape != outputs.shape[:2]:
        shapes = f"outputs {list(outputs.shape)} and targets {list(targets.shape)}"
        raise Unsuitable(f"the method needs a language model: a vector and a target for each token, not {shapes}")


def answer_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of `token_losses` over each sample's answer, [B]; 0 for a sample without one."""
    return answer_means(token_losses(outputs, targets), targets)


def answer_means(values: Tensor, targets: Tensor) -> Tensor:
    """The mean of values [B, L] over the positions that predict each sample's answer, [B]; 0 where there are none."""
    answer = targets != IGNORED
    means: Tensor = torch.where(answer, values, 0.0).sum(dim=1) / answer.sum(dim=1).clamp(min=1)
    return means
