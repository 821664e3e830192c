"""Texts and questions before they are tokens: rows, and a data set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError
from sweep.store.content_ids import canonical_json, content_id
from sweep.tasks.language.tokenizer import Tokenizer

ANSWER = "{answer}"
QUESTION = "{question}"


@dataclass(frozen=True)
class Row:
    """A question with candidate answers, or a plain text.

    Attributes:
        question: None for a plain text.
        choices: the candidate answers, the right one among them. Of a plain text: the text itself and any other texts,
            of which what follows their prompt tokens competes with what follows in this one.
        right: which of the choices is the right answer, or the text itself.
        group: what is forgotten as a whole: a person, a book.
    """

    question: str | None
    choices: tuple[str, ...]
    right: int = 0
    group: str = ""

    @property
    def answer(self) -> str:
        """The right answer, or the plain text."""
        return self.choices[self.right]


@dataclass(frozen=True)
class Layout:
    """How rows become tokens.

    Attributes:
        template: the text of a row with a question; it contains `{question}` and ends with `{answer}`.
        max_length: the most tokens of a row. A longer plain text is cut; a longer question is bad input.
        prompt_tokens: so many tokens of a plain text come before what is learned and judged, at least one.
        end: whether the tokenizer's end-of-text token closes each answer, and each plain text that is not cut.

    Raises:
        InputError: the template is not as described, or a number is too low.
    """

    template: str = f"{QUESTION} {ANSWER}"
    max_length: int = 512
    prompt_tokens: int = 1
    end: bool = True

    def __post_init__(self) -> None:
        if QUESTION not in self.template or not self.template.endswith(ANSWER) or self.template.count(ANSWER) > 1:
            raise InputError(f"template '{self.template}' must contain {QUESTION} and end with {ANSWER}")
        if not 1 <= self.prompt_tokens < self.max_length:
            raise InputError(f"prompt_tokens {self.prompt_tokens} is not from 1 to below max_length {self.max_length}")

    def prompt(self, question: str) -> str:
        """What comes before the answer."""
        return self.template.removesuffix(ANSWER).replace(QUESTION, question)


@dataclass(frozen=True)
class Texts:
    """A data set of texts and questions.

    Attributes:
        train: what the original model is trained on.
        test: what is asked besides; nothing of it may be forgotten.
        outsiders: never trained on, else distributed as `train`; they show what a model says of what it never saw. May
            be empty.
        eligible: the groups of `train` that may be forgotten.
        layout: how the rows become tokens.
        tokenizer: the data set's own; None: the model must bring one.
        asked: by the name of a part of the training rows (retain, forget): what is asked in place of these rows.
    """

    train: tuple[Row, ...]
    test: tuple[Row, ...]
    outsiders: tuple[Row, ...]
    eligible: frozenset[str]
    layout: Layout = Layout()
    tokenizer: Tokenizer | None = None
    asked: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the training rows' groups, in the order in which they first appear."""
        return tuple(dict.fromkeys(row.group for row in self.train))

    @property
    def group_numbers(self) -> NDArray[np.int64]:
        """For each training row the place of its group in `groups`, int64 [N]."""
        place = {group: number for number, group in enumerate(self.groups)}
        return np.array([place[row.group] for row in self.train], np.int64)

    def asked_of(self, part: str) -> tuple[Row, ...]:
        """What a model is asked of a part, by the numbers of stored predictions; retain and forget are of `train`."""
        others = {"test": self.test, "validation": self.test}
        others |= {"outsiders": self.outsiders, "validation_outsiders": self.outsiders}
        return self.asked.get(part) or others.get(part, self.train)

    def fingerprint(self) -> str:
        """16 hexadecimal digits of a hash of all rows, their layout and the data set's own tokenizer."""
        parts = [[astuple(row) for row in part] for part in (self.train, self.test, self.outsiders)]
        asked = {part: [astuple(row) for row in rows] for part, rows in self.asked.items()}
        own = None if self.tokenizer is None else self.tokenizer.fingerprint()
        return content_id(canonical_json([*parts, asked, sorted(self.eligible), astuple(self.layout), own]))
