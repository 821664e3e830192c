"""Rows to token ids of a fixed width, and which of them a network must predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError, inside
from sweep.tasks.language.texts import Layout, Row, Texts
from sweep.tasks.language.tokenizer import Tokenizer

IGNORED = -100
"""The target where nothing has to be predicted."""

PADDING = 0
"""The id after a row's last. Any id would do: attention looks back only, and padding has no target."""

Tokens = tuple[list[int], int]
"""The ids of a candidate, and how many of them come before its answer."""


@dataclass(frozen=True)
class Encoded:
    """N rows of C candidate answers each, L tokens wide.

    Attributes:
        inputs: token ids, padded on the right, int64 [N, C, L].
        targets: the id that a position must predict, if it belongs to the answer, else -100; int64 [N, C, L]. The
            targets of a row are without gaps; the one at position t is the input of position t + 1.
        right: the number of the right candidate, int64 [N].
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    right: NDArray[np.int64]

    @property
    def samples(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Inputs and targets of the right candidates, [N, L] each: what is trained on."""
        rows = np.arange(len(self.right))
        return self.inputs[rows, self.right], self.targets[rows, self.right]

    def subset(self, rows: NDArray[np.int64]) -> Encoded:
        """The rows at these places."""
        return Encoded(self.inputs[rows], self.targets[rows], self.right[rows])


@dataclass(frozen=True)
class EncodedTexts:
    """The parts of a data set, all `length` tokens wide; `outsiders` and `asked` as in `Texts`."""

    train: Encoded
    test: Encoded
    outsiders: Encoded | None
    length: int
    asked: Mapping[str, Encoded] = field(default_factory=dict)


def encode_texts(texts: Texts, tokenizer: Tokenizer) -> EncodedTexts:
    """Encode a data set. Its width is that of its longest candidate.

    Raises:
        InputError: as `encode_rows`.
    """
    asked = {f"questions.{part}": rows for part, rows in texts.asked.items()}
    parts = {"train": texts.train, "test": texts.test, "outsiders": texts.outsiders} | asked
    tokens = {
        part: _candidates(rows, tokenizer, texts.layout, part)
        for part, rows in parts.items()
        if rows or part != "outsiders"
    }
    length = max(len(ids) for rows in tokens.values() for row in rows for ids, _ in row)
    encoded = {part: _padded(rows, parts[part], length) for part, rows in tokens.items()}
    found = {part: encoded[f"questions.{part}"] for part in texts.asked}
    return EncodedTexts(encoded["train"], encoded["test"], encoded.get("outsiders"), length, found)


def encode_rows(rows: Sequence[Row], tokenizer: Tokenizer, layout: Layout, part: str) -> Encoded:
    """Encode rows to the width of their longest candidate.

    Args:
        part: what messages call these rows.

    Raises:
        InputError: there are no rows; one is too long, has nothing to predict, or has more candidates than others.
    """
    tokens = _candidates(rows, tokenizer, layout, part)
    return _padded(tokens, rows, max(len(ids) for row in tokens for ids, _ in row))


def _candidates(rows: Sequence[Row], tokenizer: Tokenizer, layout: Layout, part: str) -> list[list[Tokens]]:
    if not rows:
        raise InputError(f"{part} has no rows")
    tokens = []
    for number, row in enumerate(rows):
        encoded = _plain if row.question is None else _answered
        with inside(f"{part}, row {number} (from 0)"):
            if len(row.choices) != len(rows[0].choices):
                raise InputError(f"candidate answers are {len(row.choices)}, but {len(rows[0].choices)} of row 0")
            tokens.append([encoded(row, choice, tokenizer, layout) for choice in row.choices])
    return tokens


def _answered(row: Row, answer: str, tokenizer: Tokenizer, layout: Layout) -> Tokens:
    """The answer's tokens are those after the longest common prefix of the prompt and of the prompt with the answer.

    The last word of a prompt can become another token when an answer follows; the prompt's number of tokens is then
    not where the answer begins.
    """
    if not answer.strip():
        raise InputError("an answer is empty")
    prompt = layout.prompt(row.question or "")
    alone, ids = tokenizer.encode(prompt), tokenizer.encode(prompt + answer)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(alone, ids, strict=False)))
    start = max(common, 1)
    if len(ids) <= start:
        raise InputError("an answer adds no token to its prompt")
    ids += _end(tokenizer, layout)
    if len(ids) > layout.max_length:
        raise InputError(f"question and answer are {len(ids)} tokens, more than max_length {layout.max_length}")
    return ids, start


def _plain(row: Row, text: str, tokenizer: Tokenizer, layout: Layout) -> Tokens:
    """The first tokens of the row's own text, then what follows as many tokens in `text`."""
    start = layout.prompt_tokens
    own = tokenizer.encode(row.answer)
    whole = own if text == row.answer else tokenizer.encode(text)
    ids = own[:start] + (whole + _end(tokenizer, layout))[start : layout.max_length]
    if len(ids) <= start:
        raise InputError(f"a text has no token after its first {start}")
    return ids, start


def _end(tokenizer: Tokenizer, layout: Layout) -> list[int]:
    return [tokenizer.end] if layout.end and tokenizer.end is not None else []


def _padded(tokens: Sequence[Sequence[Tokens]], rows: Sequence[Row], length: int) -> Encoded:
    shape = (len(tokens), len(tokens[0]), length)
    inputs, targets = np.full(shape, PADDING, np.int64), np.full(shape, IGNORED, np.int64)
    for row, candidates in enumerate(tokens):
        for number, (ids, start) in enumerate(candidates):
            inputs[row, number, : len(ids)] = ids
            targets[row, number, start - 1 : len(ids) - 1] = ids[start:]
    return Encoded(inputs, targets, np.array([row.right for row in rows], np.int64))
