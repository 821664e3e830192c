"""Which rows the numbers of recall are about, in which direction they count, and that they are what they say."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from sweep.store.metrics import FURTHER
from sweep.tasks.language.encoding import IGNORED, Encoded
from sweep.tasks.language.recall import Reader, recall

CPU = torch.device("cpu")
VOCABULARY = 26
GENERATED = {"forget_exact_match", "retain_exact_match", "forget_rouge_l_recall", "retain_rouge_l_recall"}


class Letters:
    """The letters a to z, each a word."""

    vocabulary = VOCABULARY
    end = None

    def decode(self, ids):
        return " ".join(chr(97 + number) for number in ids)


class Remembers:
    """Follows what it has learned with so much certainty; after anything else, all tokens are nearly as likely."""

    def __init__(self, *learned, certainty=9.0):
        self.learned = [row.tolist() for part in learned for row in part.samples[0]]
        self.certainty = certainty
        self.prompts = []

    def __call__(self, ids):
        logits = 0.1 * torch.sin(torch.arange(VOCABULARY) + 1.0).expand(*ids.shape, -1).clone()
        self.prompts.append(ids.tolist())
        for row, place in np.ndindex(*ids.shape):
            seen = ids[row, : place + 1].tolist()
            for known in self.learned:
                if known[: len(seen)] == seen and len(seen) < len(known):
                    logits[row, place] += self.certainty * one_hot(torch.tensor(known[len(seen)]), VOCABULARY)
        return logits


def made(seed, count, *, prompt=2, answer=5):
    """Rows of one candidate with a first token of their own."""
    generator = np.random.default_rng(seed)
    inputs = generator.integers(VOCABULARY, size=(count, 1, prompt + answer))
    inputs[:, 0, 0] = (6 * seed + np.arange(count)) % VOCABULARY
    targets = np.full_like(inputs, IGNORED)
    targets[..., prompt - 1 : -1] = inputs[..., prompt:]
    return Encoded(inputs, targets, np.zeros(count, np.int64))


PARTS = {name: made(place, 5) for place, name in enumerate(("retain", "forget", "test", "outsiders"))}


def judged(network, generate=0, seed=0, parts=PARTS):
    return recall(Reader(network, Letters(), CPU, 3), parts, generate, seed)


def rows_of(*names):
    return [PARTS[name] for name in names]


def said(network, encoded):
    """The log-probabilities of each row's answer tokens, and the whole distributions, one position at a time."""
    found = []
    for ids, wanted in zip(*encoded.samples, strict=True):
        logits = network(torch.tensor(ids)[None])[0].double().tolist()
        every = [[one - math.log(math.fsum(map(math.exp, row))) for one in row] for row in logits]
        found.append([(every[place][token], every[place]) for place, token in enumerate(wanted) if token != IGNORED])
    return found


def independent_scores(tokens, ids):
    """Of one answer: Min-K%, Min-K%++ and zlib, high where it is remembered."""
    lowest = min(own for own, _ in tokens)  # of five tokens, 20 % are one
    standard = []
    for own, every in tokens:
        mean = math.fsum(math.exp(one) * one for one in every)
        standard.append((own - mean) / math.sqrt(math.fsum(math.exp(one) * (one - mean) ** 2 for one in every)))
    size = len(zlib.compress(Letters().decode(ids).encode()))
    return lowest, min(standard), math.fsum(own for own, _ in tokens) / len(tokens) / size


def independent_aucs(network, parts):
    scores = {}
    for name in ("forget", "outsiders"):
        answers = [row[row != IGNORED].tolist() for row in parts[name].samples[1]]
        scores[name] = [independent_scores(*row) for row in zip(said(network, parts[name]), answers, strict=True)]
    found = []
    for attack in range(3):
        pairs = [
            (one[attack] > other[attack]) + (one[attack] == other[attack]) / 2
            for one in scores["forget"]
            for other in scores["outsiders"]
        ]
        found.append(100 * math.fsum(pairs) / len(pairs))
    return found


def aucs(found):
    return [found[name] for name in ("min_k_auc", "min_k_plus_plus_auc", "zlib_auc")]


def test_attacks_are_at_100_where_the_forget_set_is_remembered_and_at_0_where_only_outsiders_are():
    assert aucs(judged(Remembers(*rows_of("retain", "forget")))) == [100, 100, 100]
    assert aucs(judged(Remembers(*rows_of("retain", "outsiders")))) == [0, 0, 0]


def uneven(ids):
    """How sure it is, and of what, depends on the last token."""
    places = torch.arange(VOCABULARY) + 1.0
    return torch.sin(places * (ids[..., None] + 1.0)) * (1 + 2 * (ids[..., None] % 3))


def test_each_attack_looks_at_what_it_says():
    parts = dict(PARTS)
    for place, name in enumerate(("forget", "outsiders")):
        encoded = made(5 + place, 30, answer=9)
        last = np.random.default_rng(place).integers(3, 10, 30)
        encoded.inputs[::2, 0, 3:] = encoded.inputs[::2, 0, 3:4]  # says the same again and again: small for zlib
        encoded.targets[..., 1:-1] = encoded.inputs[..., 2:]
        for row, count in enumerate(last):
            encoded.targets[row, 0, 1 + count :] = IGNORED
        parts[name] = encoded
    found, expected = aucs(judged(uneven, parts=parts)), independent_aucs(uneven, parts)
    assert found == pytest.approx(expected)
    assert len({*found}) == 3


def test_perplexity_is_of_forget_and_test_answers():
    network = Remembers(PARTS["forget"], certainty=2.0)
    found = judged(network)
    for name in ("forget", "test"):
        tokens = [own for row in said(network, PARTS[name]) for own, _ in row]
        assert found[f"{name}_perplexity"] == pytest.approx(math.exp(-math.fsum(tokens) / len(tokens)), rel=1e-5)
    assert found["forget_perplexity"] < 10 < found["test_perplexity"]


def test_a_perplexity_that_is_no_number_any_more_is_missing():
    def sure(ids):
        return torch.full((*ids.shape, VOCABULARY), -1e4) + 1e4 * one_hot(torch.full_like(ids, 25), VOCABULARY)

    assert judged(sure)["forget_perplexity"] is None


def test_extraction_strength_is_of_forget_and_test_answers():
    found = judged(Remembers(PARTS["forget"].subset(np.array([1])), PARTS["test"]))
    assert found["forget_extraction_strength"] == pytest.approx(20)
    assert found["test_extraction_strength"] == 100


def test_continuations_are_of_forget_and_retain_rows():
    found = judged(Remembers(PARTS["retain"], PARTS["forget"].subset(np.array([0, 1]))), generate=100)
    assert found["retain_exact_match"] == found["retain_rouge_l_recall"] == 100
    assert found["forget_exact_match"] == pytest.approx(40)
    assert 40 <= found["forget_rouge_l_recall"] < 80


def test_without_a_wish_nothing_is_generated():
    network = Remembers(PARTS["retain"])
    assert set(judged(network)) == {metric.column for metric in FURTHER["language"]} - GENERATED
    assert continued_rows(network) == set()


def continued_rows(network):
    """First tokens of the prompts that were continued."""
    return {row[0] for prompts in network.prompts for row in prompts if len(row) == 2}


def test_as_many_rows_are_continued_as_are_asked_for_and_the_same_ones_for_every_method():
    drawn = {}
    for seed in range(4):
        networks = Remembers(PARTS["retain"]), Remembers(PARTS["forget"])
        for network in networks:
            found = judged(network, generate=2, seed=seed)
            assert set(found) == {metric.column for metric in FURTHER["language"]}
        rows = [continued_rows(network) for network in networks]
        assert rows[0] == rows[1]
        assert len([first for first in rows[0] if first < 6]) == len([first for first in rows[0] if first >= 6]) == 2
        drawn[seed] = tuple(sorted(rows[0]))
    assert len({*drawn.values()}) > 1


def test_without_outsiders_there_is_no_attack():
    parts = {name: part for name, part in PARTS.items() if name != "outsiders"}
    found = judged(Remembers(PARTS["forget"]), parts=parts)
    assert set(found) == {metric.column for metric in FURTHER["language"] if "auc" not in metric.column} - GENERATED
    assert found["forget_extraction_strength"] == 100
