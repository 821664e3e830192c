"""What a network says of answers, token by token, and the metrics that need no more than that."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.tasks.evaluation import EVALUATION_BATCH, Floats
from sweep.tasks.language.encoding import IGNORED, Encoded

LOGITS = 1 << 30

Network = Callable[[Tensor], Tensor]
"""Ids int64 [B, L] -> logits [B, L, V]."""


def sample_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of each row's answer tokens, in nats: logits [B, L, V], targets [B, L] -> [B]."""
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return losses.sum(1) / (targets != IGNORED).sum(1)


def batch_size(device: torch.device, length: int, vocabulary: int) -> int:
    """Rows per forward pass of an evaluation: few enough that their logits, in float32, fill at most `LOGITS` bytes."""
    return max(1, min(EVALUATION_BATCH[device.type], LOGITS // (4 * length * vocabulary)))


@torch.inference_mode()
def candidate_scores(network: Network, encoded: Encoded, device: torch.device, batch_size: int) -> NDArray[np.float32]:
    """The mean log-likelihood of each candidate's answer tokens, float32 [n, C]; the right one's is minus its loss.

    Candidates that are single tokens after one prompt, such as letters, are all scored by one pass over that prompt.
    """
    count, choices, length = encoded.inputs.shape
    inputs, targets = (part.reshape(-1, length) for part in (encoded.inputs, encoded.targets))
    scores: NDArray[np.float32]
    if choices > 1 and _of_one_prompt(encoded):
        chosen = torch.from_numpy(encoded.targets.max(axis=2)).to(device)
        prompts = _batches(encoded.inputs[:, 0], encoded.targets[:, 0], device, batch_size)
        said = [network(ids)[wanted != IGNORED].float().log_softmax(-1) for ids, wanted in prompts]
        scores = torch.cat(said).gather(1, chosen).cpu().numpy()
        return scores
    means = [
        -sample_losses(network(ids).float(), wanted) for ids, wanted in _batches(inputs, targets, device, batch_size)
    ]
    scores = torch.cat(means).reshape(count, choices).cpu().numpy()
    return scores


def _of_one_prompt(encoded: Encoded) -> bool:
    """Whether the candidates of each row are single tokens and come after the same ids."""
    answer = encoded.targets != IGNORED
    place = answer.argmax(2)
    if not ((answer.sum(2) == 1).all() and (place == place[:, :1]).all()):
        return False
    prompts = np.where(np.arange(answer.shape[2]) <= place[..., None], encoded.inputs, 0)
    return bool((prompts == prompts[:, :1]).all())


@dataclass(frozen=True)
class AnswerTokens:
    """How likely a network takes each token of the right answers to be.

    Attributes:
        log_probs: the log-likelihoods of each row's answer tokens in nats, float64 [number of its answer tokens].
        standardised: the same minus the mean over the vocabulary, in standard deviations over the vocabulary, both
            under the network's own distribution.
    """

    log_probs: tuple[Floats, ...]
    standardised: tuple[Floats, ...]

    @property
    def means(self) -> Floats:
        """The mean log-likelihood of each row's answer, float64 [n]."""
        return np.array([row.mean() for row in self.log_probs])


@torch.inference_mode()
def answer_tokens(network: Network, encoded: Encoded, device: torch.device, batch_size: int) -> AnswerTokens:
    """The tokens of each row's right answer."""
    log_probs: list[Floats] = []
    standardised: list[Floats] = []
    for ids, wanted in _batches(*encoded.samples, device, batch_size):
        answer = wanted != IGNORED
        every = network(ids)[answer].double().log_softmax(-1)
        said = every.gather(-1, wanted[answer][:, None])[:, 0]
        mean = (every.exp() * every).sum(-1)
        deviation = ((every - mean[:, None]).square() * every.exp()).sum(-1).sqrt()
        ends = answer.sum(1).cumsum(0)[:-1].tolist()
        log_probs += np.split(said.cpu().numpy(), ends)
        standardised += np.split(((said - mean) / deviation.clamp_min(1e-12)).cpu().numpy(), ends)
    return AnswerTokens(tuple(log_probs), tuple(standardised))


def likelihood(scores: Floats) -> float:
    """The mean probability of an answer's token, percent: the geometric mean within an answer, then over the answers.

    TOFU's "probability" (Maini et al., COLM 2024).

    Args:
        scores: the mean log-likelihood of each right answer, [n].
    """
    return float(100 * np.exp(scores.astype(np.float64)).mean())


def perplexity(tokens: AnswerTokens) -> float:
    """The exponential of the mean loss over all answer tokens of all rows."""
    return float(np.exp(-np.concatenate(tokens.log_probs).mean()))


def least_likely(rows: Sequence[Floats], share: float = 0.2) -> Floats:
    """Minus the mean of the lowest numbers of each row, [n]: of m the lowest share * m, rounded down, at least one.

    Of log-likelihoods it is Min-K% (Shi et al., ICLR 2024), of standardised ones Min-K%++ (Zhang et al., ICLR 2025):
    low where a text has been trained on.
    """
    lowest = [np.sort(row)[: max(1, int(share * len(row)))] for row in rows]
    return np.array([-row.mean() for row in lowest])


def zlib_ratio(losses: Floats, texts: Sequence[str]) -> Floats:
    """Each loss over the bytes of its text as zlib compresses it, [n] (Carlini et al., USENIX Security 2021)."""
    return np.asarray(losses / [len(zlib.compress(text.encode())) for text in texts])


def _batches(
    inputs: NDArray[np.int64], targets: NDArray[np.int64], device: torch.device, batch_size: int
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of rows, without the positions after the last that must predict anything."""
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, start + batch_size)
        width = 1 + int(np.flatnonzero((targets[rows] != IGNORED).any(axis=0)).max())
        yield tuple(torch.from_numpy(part[rows, :width]).to(device) for part in (inputs, targets))
