"""What a network repeats word for word, and what attacks on tokens tell: the numbers of language in `other`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from methods.task import derived_seed
from sweep.tasks.evaluation import Floats
from sweep.tasks.language import generation, scoring
from sweep.tasks.language.encoding import Encoded
from sweep.tasks.language.scoring import AnswerTokens, Network
from sweep.tasks.language.tokenizer import Tokenizer

ATTACKS: dict[str, Callable[[AnswerTokens, list[str]], Floats]] = {
    "min_k_auc": lambda tokens, answers: scoring.least_likely(tokens.log_probs),
    "min_k_plus_plus_auc": lambda tokens, answers: scoring.least_likely(tokens.standardised),
    "zlib_auc": lambda tokens, answers: scoring.zlib_ratio(-tokens.means, answers),
}
"""(what is said of answers' tokens, the answers as text) -> a number for each answer, low where it is remembered."""


@dataclass(frozen=True)
class Reader:
    """How a network reads and writes.

    Attributes:
        network: ids to logits.
        tokenizer: of its ids.
        device, batch_size: where, and how many rows together.
    """

    network: Network
    tokenizer: Tokenizer
    device: torch.device
    batch_size: int

    def texts(self, encoded: Encoded) -> list[str]:
        """The right answers."""
        return [self.tokenizer.decode(ids) for ids in generation.answers(encoded)]

    def tokens(self, encoded: Encoded) -> AnswerTokens:
        """What the network says of the right answers' tokens."""
        return scoring.answer_tokens(self.network, encoded, self.device, self.batch_size)


def recall(reader: Reader, parts: Mapping[str, Encoded], generate: int, seed: int) -> dict[str, float | None]:
    """What `FURTHER` in `sweep.store.metrics` names.

    Args:
        parts: the rows of `retain`, `forget`, `test`, and, where attacks are to be measured, `outsiders`.
        generate: so many forget rows, and as many retain rows, are continued; all of them if there are fewer.
        seed: a trial's; it draws the rows that are continued, the same ones for every method.
    """
    said = {name: reader.tokens(encoded) for name, encoded in parts.items() if name != "retain"}
    found: dict[str, float | None] = {}
    for name in ("forget", "test"):
        found[f"{name}_perplexity"] = _perplexity(said[name])
        shares = generation.extraction_strength(reader.network, parts[name], reader.device, reader.batch_size)
        found[f"{name}_extraction_strength"] = float(100 * shares.mean())
    if "outsiders" in parts:
        answers = {name: reader.texts(parts[name]) for name in ("forget", "outsiders")}
        for name, attack in ATTACKS.items():
            found[name] = remembered_auc(*(attack(said[part], answers[part]) for part in answers))
    if generate:
        for name in ("forget", "retain"):
            found |= continued(reader, _drawn(parts[name], generate, seed, name), name)
    return found


def continued(reader: Reader, encoded: Encoded, name: str) -> dict[str, float | None]:
    """Exact match and mean ROUGE-L recall, percent, of greedy continuations of the prompts of a part's rows."""
    end = reader.tokenizer.end
    written = generation.greedy(reader.network, encoded, end, reader.device, reader.batch_size)
    repeated = [
        generation.rouge_l_recall(reader.tokenizer.decode(ids), wanted)
        for ids, wanted in zip(written, reader.texts(encoded), strict=True)
    ]
    return {
        f"{name}_exact_match": generation.exact_match(written, generation.answers(encoded)),
        f"{name}_rouge_l_recall": float(100 * np.mean(repeated)),
    }


def remembered_auc(forget: Floats, outsiders: Floats) -> float:
    """Percent of the pairs of a forget row and an outsider in which the forget row has the lower number, ties half."""
    from sklearn.metrics import roc_auc_score

    numbers = -np.concatenate([forget, outsiders])
    return float(100 * roc_auc_score(np.repeat([1, 0], [len(forget), len(outsiders)]), numbers))


def _drawn(encoded: Encoded, count: int, seed: int, name: str) -> Encoded:
    order = np.random.default_rng(derived_seed(seed, f"generate {name}")).permutation(len(encoded.right))
    return encoded.subset(np.sort(order[:count]))


def _perplexity(tokens: AnswerTokens) -> float | None:
    """None where it is too large for a number."""
    with np.errstate(over="ignore"):
        value = scoring.perplexity(tokens)
    return value if math.isfinite(value) else None
