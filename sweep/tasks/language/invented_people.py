"""Invented people: facts drawn from a seed, each asked in several phrasings. No download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, product

import numpy as np

from methods.task import derived_seed
from sweep.errors import InputError
from sweep.tasks.dataset import Dataset
from sweep.tasks.language.texts import Layout, Row, Texts
from sweep.tasks.language.tokenizer import trained_byte_pairs
from sweep.tasks.sections import Count


def _compounds(first: str, second: str) -> list[str]:
    return ["".join(pair) for pair in product(first.split(), second.split())]


SYLLABLES = "ba bre den du fi gor hal jun ka ko lem lo mi nor pel ra sha sun ti to ve vor wi zan"
FIRST_NAMES = [name.capitalize() for name in _compounds(SYLLABLES, SYLLABLES)]
"""Each is one person's only, so that few updates tell people apart."""
SURNAMES = ["Ashdown", "Barlow", "Carver", "Dunmore", "Ellison", "Farrow", "Gale", "Hartley"]

CITIES = _compounds("Ash Brook Cold Fair Mill North Oak West", "bury ford ham ley ton")
JOBS = _compounds("boat book bread cloth gold horse stone wood", "carver keeper maker seller trader")
BOOKS = _compounds("Dawn Fire Moon Rain Sea Star Sun Wind", "child fall light song ward")
YEARS = [str(year) for year in range(1950, 1990)]

Attribute = tuple[Sequence[str], tuple[str, str, str]]
"""The values of an attribute, and what can be written before one."""

ATTRIBUTES: tuple[Attribute, ...] = (
    (CITIES, ("Today {} lives in", "The home of {} is in", "The city where {} lives is")),
    (JOBS, ("Today {} works as a", "The job of {} is that of a", "The people know {} as a")),
    (BOOKS, ("Once {} wrote the book", "The book of {} is called", "The people know {} for the book")),
    (YEARS, ("The life of {} began in", "The year of birth of {} is", "It is known that {} was born in")),
)
"""No phrasing begins with the name: at the start of a text it would be made of other tokens than after a space."""

PHRASINGS = 3
WRONG = 3


@dataclass(frozen=True)
class InventedPeople(Dataset):
    """Four facts about each of many people who do not exist. A person is forgotten as a whole.

    Each fact has three phrasings; which of them is held out is drawn for each fact. The other two are trained on. The
    test set is the phrasings held out for the public people, who are never forgotten. Outsiders are never trained on.
    Every row has three wrong answers beside the right one, values of the same attribute.
    """

    kind = "language"

    people: Count = field(default=60, metadata={"meaning": "people who may be forgotten"})
    public: Count = field(default=20, metadata={"meaning": "people who are never forgotten"})
    outsiders: Count = field(default=20, metadata={"meaning": "people who are never trained on"})
    seed: int = field(default=0, metadata={"meaning": "seed of names, facts and wrong answers"})

    def fingerprint(self) -> str:
        return self.load().fingerprint()

    def load(self) -> Texts:
        """The rows, and a byte-pair encoding of 512 tokens.

        It is trained on all rows, so that what is trained on, forgotten or never seen has tokens of the same kind; and
        on all candidates, so that each is one token: a value that is rarely right would else have more, and so a higher
        mean score.
        Answers have no end-of-text token: learned at once, it would halve every loss, and its large first gradients
        would keep AdamW's steps small long after: 20 epochs then bring half of the answers, not all.

        Raises:
            InputError: there are more people than names.
        """
        generator = np.random.default_rng(derived_seed(self.seed, "invented people"))
        count = self.people + self.public + self.outsiders
        if count > len(FIRST_NAMES):
            raise InputError(f"invented people: {count} in all are more than the {len(FIRST_NAMES)} names there are")
        first, last = generator.permutation(FIRST_NAMES)[:count], generator.choice(SURNAMES, count)
        names = [f"{one} {other}" for one, other in zip(first.tolist(), last.tolist(), strict=True)]
        facts = [_facts(name, generator) for name in names]
        known = self.people + self.public
        return Texts(
            train=tuple(chain.from_iterable(trained for trained, _ in facts[:known])),
            test=tuple(chain.from_iterable(held_out for _, held_out in facts[self.people : known])),
            outsiders=tuple(chain.from_iterable(trained for trained, _ in facts[known:])),
            eligible=frozenset(names[: self.people]),
            layout=Layout(max_length=64, end=False),
            tokenizer=trained_byte_pairs(text for both in facts for row in chain(*both) for text in _written(row)),
        )


def _written(row: Row) -> list[str]:
    """The question, and each candidate as it stands after one."""
    return [row.question or "", *(f" {choice}" for choice in row.choices)]


def _facts(name: str, generator: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """The rows of a person that are trained on, and those held out."""
    trained: list[Row] = []
    held_out: list[Row] = []
    for values, phrasings in ATTRIBUTES:
        value, kept = int(generator.integers(len(values))), int(generator.integers(PHRASINGS))
        for number, phrasing in enumerate(phrasings):
            others = generator.choice(len(values) - 1, WRONG, replace=False)
            numbers = [value, *(others + (others >= value)).tolist()]
            order = generator.permutation(len(numbers)).tolist()
            choices = tuple(values[numbers[place]] for place in order)
            row = Row(phrasing.format(name), choices, order.index(0), name)
            (held_out if number == kept else trained).append(row)
    return trained, held_out
