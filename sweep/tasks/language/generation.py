"""What a network writes when it continues prompts greedily, and how much of the answers that repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch

from sweep.tasks.evaluation import Floats
from sweep.tasks.language.encoding import IGNORED, Encoded
from sweep.tasks.language.scoring import Network


def answers(encoded: Encoded) -> list[list[int]]:
    """The ids of each row's right answer, its end-of-text token included."""
    return [row[row != IGNORED].tolist() for row in encoded.samples[1]]


@torch.inference_mode()
def greedy(
    network: Network, encoded: Encoded, end: int | None, device: torch.device, batch_size: int
) -> list[list[int]]:
    """The likeliest next id again and again, after each row's prompt: as many ids as its right answer has.

    A continuation stops early with the `end` token, which it includes. Rows with equally long prompts run together.
    """
    inputs, targets = encoded.samples
    prompts = (targets != IGNORED).argmax(1) + 1
    wanted = (targets != IGNORED).sum(1)
    written: list[list[int]] = [[] for _ in prompts]
    for length in np.unique(prompts):
        same = np.flatnonzero(prompts == length)
        for start in range(0, len(same), batch_size):
            rows = same[start : start + batch_size]
            ids = torch.from_numpy(inputs[rows, :length]).to(device)
            for _ in range(wanted[rows].max()):
                ids = torch.cat([ids, network(ids)[:, -1].argmax(-1, keepdim=True)], 1)
            for row, continued in zip(rows, ids[:, length:].tolist(), strict=True):
                written[row] = _until(end, continued[: wanted[row]])
    return written


def _until(end: int | None, ids: list[int]) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def exact_match(written: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """Percent of the rows in which exactly the answer is written."""
    return 100 * float(np.mean([list(one) == list(other) for one, other in zip(written, wanted, strict=True)]))


def rouge_l_recall(written: str, wanted: str) -> float:
    """The longest common subsequence of two texts' words as a share of the wanted text's words (Lin, 2004).

    Words are runs of letters and digits in lower case; they are not stemmed. A wanted text without words counts 0.
    """
    said, words = (re.findall(r"[^\W_]+", text.lower()) for text in (written, wanted))
    longest = [0] * (len(said) + 1)
    for word in words:
        above = longest
        longest = [0]
        for place, other in enumerate(said, start=1):
            longest.append(above[place - 1] + 1 if word == other else max(above[place], longest[-1]))
    return longest[-1] / len(words) if words else 0.0


@torch.inference_mode()
def extraction_strength(network: Network, encoded: Encoded, device: torch.device, batch_size: int) -> Floats:
    """The share of each right answer that the network completes greedily from the shortest part that suffices, [n].

    1 where the prompt alone brings the whole answer, 0 where not even its last token follows. One forward pass tells: a
    greedy continuation is right if and only if each of its tokens is the likeliest after those before it.
    """
    inputs, targets = encoded.samples
    shares: list[Floats] = []
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, start + batch_size)
        ids, wanted = torch.from_numpy(inputs[rows]).to(device), torch.from_numpy(targets[rows]).to(device)
        answer = wanted != IGNORED
        missed = (network(ids).argmax(-1) != wanted) & answer
        missed_from_here = missed.flip(1).cumsum(1).flip(1) > 0
        shares.append(((answer & ~missed_from_here).sum(1).double() / answer.sum(1)).cpu().numpy())
    return np.concatenate(shares)
