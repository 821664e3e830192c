"""Paragraphs of Python's own language reference, as the interpreter brings them. No download."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from methods.task import derived_seed
from sweep.errors import InputError
from sweep.tasks.dataset import Dataset
from sweep.tasks.language.texts import Layout, Row, Texts
from sweep.tasks.language.tokenizer import trained_byte_pairs
from sweep.tasks.sections import Count

WRONG = 3


@dataclass(frozen=True)
class PythonManual(Dataset):
    """Prose of the topics that `help()` shows: text to be learned word for word. A paragraph is forgotten as a whole.

    A paragraph is its first tokens, up to `tokens`; its first `prompt` tokens are given, the rest is to be continued.
    The candidates of a row are its own continuation and those of three paragraphs that are in none of the parts. What
    the paragraphs are depends on the version of Python, so the fingerprint does too.
    """

    kind = "language"

    paragraphs: Count = field(default=60, metadata={"meaning": "paragraphs that are trained on"})
    test: Count = field(default=20, metadata={"meaning": "unseen paragraphs of the test set"})
    outsiders: Count = field(
        default=20, metadata={"meaning": "unseen paragraphs that forgotten ones are compared with"}
    )
    tokens: Annotated[int, Field(ge=2)] = field(default=96, metadata={"meaning": "tokens of a paragraph"})
    prompt: Count = field(default=16, metadata={"meaning": "tokens given before the continuation"})
    seed: int = field(default=0, metadata={"meaning": "seed of the choice of paragraphs"})

    def fingerprint(self) -> str:
        return self.load().fingerprint()

    def load(self) -> Texts:
        """The rows, and a byte-pair encoding of 512 tokens that is trained on all paragraphs there are.

        Raises:
            InputError: this Python's manual has too few paragraphs of as many tokens.
        """
        known = _prose()
        tokenizer = trained_byte_pairs(known.values())
        long = [name for name, text in known.items() if len(tokenizer.encode(text)) >= self.tokens]
        parts = (self.paragraphs, self.test, self.outsiders)
        if len(long) < sum(parts) + WRONG:
            raise InputError(
                f"Python's manual has {len(long)} paragraphs of {self.tokens} tokens, not {sum(parts)} and {WRONG} more"
            )
        generator = np.random.default_rng(derived_seed(self.seed, "python manual"))
        order = [long[place] for place in generator.permutation(len(long)).tolist()]
        chosen, rest = order[: sum(parts)], order[sum(parts) :]

        def row(name: str) -> Row:
            names = [name, *(rest[place] for place in generator.choice(len(rest), WRONG, replace=False).tolist())]
            places = generator.permutation(len(names)).tolist()
            return Row(None, tuple(known[names[place]] for place in places), places.index(0), name)

        rows = tuple(map(row, chosen))
        train, test = rows[: self.paragraphs], rows[self.paragraphs : -self.outsiders]
        return Texts(
            train=train,
            test=test,
            outsiders=rows[-self.outsiders :],
            eligible=frozenset(row.group for row in train),
            layout=Layout(max_length=self.tokens, prompt_tokens=self.prompt),
            tokenizer=tokenizer,
        )


def _prose() -> dict[str, str]:
    """Each paragraph of prose under its topic and number, with single spaces; none is there twice."""
    from pydoc_data.topics import topics

    found: dict[str, str] = {}
    for topic, content in sorted(topics.items()):
        for number, paragraph in enumerate(re.split(r"\n\s*\n", content)):
            text = " ".join(paragraph.split())
            if _is_prose(text):
                found.setdefault(text, f"{topic} {number}")
    return {name: text for text, name in found.items()}


def _is_prose(text: str) -> bool:
    """Whether it is a paragraph of sentences, neither code, nor a grammar, nor a table."""
    words = text.split()
    plain = sum(re.fullmatch(r"\(?[A-Za-z][a-z]*[.,;:]?\)?", word) is not None for word in words)
    return text[:1].isupper() and text.endswith((".", ":", ")")) and plain >= 0.7 * len(words) and len(text) >= 200
