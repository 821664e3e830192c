"""Greedy continuations, and how they compare with the answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sweep.tasks.language import generation
from sweep.tasks.language.encoding import IGNORED, Encoded
from sweep.tasks.language.tiny_llama import tiny_llama

CPU = torch.device("cpu")


def rows(*samples):
    """Rows of one candidate, from pairs of a prompt and an answer."""
    width = max(len(prompt) + len(answer) for prompt, answer in samples)
    inputs = np.zeros((len(samples), 1, width), np.int64)
    targets = np.full_like(inputs, IGNORED)
    for row, (prompt, answer) in enumerate(samples):
        inputs[row, 0, : len(prompt) + len(answer)] = [*prompt, *answer]
        targets[row, 0, len(prompt) - 1 : len(prompt) + len(answer) - 1] = answer
    return Encoded(inputs, targets, np.zeros(len(samples), np.int64))


def counting(ids):
    """Says that every number is followed by the next one, and 9 by 0."""
    return torch.nn.functional.one_hot((ids + 1) % 10, 10).float()


def test_answers_are_what_follows_the_prompts():
    assert generation.answers(rows(([1], [2, 3]), ([4, 5], [6]))) == [[2, 3], [6]]


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_prompts_are_continued_by_as_many_tokens_as_the_answer_has(batch_size):
    encoded = rows(([1], [2, 3]), ([4, 5], [1]), ([7], [0, 0, 0, 0]), ([2, 3, 4], [9, 9]))
    written = generation.greedy(counting, encoded, None, CPU, batch_size)
    assert written == [[2, 3], [6], [8, 9, 0, 1], [5, 6]]


def test_the_end_token_ends_a_continuation_and_is_part_of_it():
    written = generation.greedy(counting, rows(([7], [8, 9, 0, 1]), ([3], [4, 5])), 9, CPU, 8)
    assert written == [[8, 9], [4, 5]]


def test_a_continuation_is_the_likeliest_token_again_and_again():
    torch.manual_seed(0)
    network = tiny_llama(17, 12, width=16, layers=2, heads=2).eval()
    generator = np.random.default_rng(0)
    samples = [
        (generator.integers(17, size=prompt).tolist(), generator.integers(17, size=answer).tolist())
        for prompt, answer in ((3, 4), (5, 2), (3, 6), (1, 1))
    ]
    for (prompt, answer), written in zip(
        samples, generation.greedy(network, rows(*samples), None, CPU, 2), strict=True
    ):
        ids = [*prompt]
        for _ in answer:
            ids.append(int(network(torch.tensor([ids]))[0, -1].argmax()))
        assert written == ids[len(prompt) :]


def test_exact_match():
    assert generation.exact_match([[1, 2], [1], [3]], [[1, 2], [1, 2], [4]]) == pytest.approx(100 / 3)


WORDS = st.lists(st.sampled_from("abc"), max_size=6)


@given(WORDS, WORDS.filter(bool))
def test_rouge_is_the_longest_subsequence_of_words(said, wanted):
    """The longest that is found by trying all."""
    longest = max(
        size
        for size in range(len(wanted) + 1)
        for part in combinations(wanted, size)
        if any(part == other for other in combinations(said, size))
    )
    assert generation.rouge_l_recall(" ".join(said), " ".join(wanted)) == pytest.approx(longest / len(wanted))


@pytest.mark.parametrize(
    ("written", "wanted", "share"),
    [
        ("The cat sat.", "the CAT, sat", 1),
        ("a cat sat there for long", "the cat sat", 2 / 3),
        ("sat cat", "cat sat", 1 / 2),
        ("", "cat", 0),
        ("cat", "...", 0),
        ("größe 5", "Größe_5", 1),
    ],
)
def test_rouge_of_texts(written, wanted, share):
    assert generation.rouge_l_recall(written, wanted) == pytest.approx(share)


def test_extraction_strength_is_the_share_that_follows_from_the_shortest_part():
    encoded = rows(([1], [2, 3, 4, 5]), ([1], [2, 9, 0, 1]), ([1], [2, 3, 3]), ([5], [7, 8]), ([1, 1], [2]))
    shares = generation.extraction_strength(counting, encoded, CPU, 2)
    np.testing.assert_allclose(shares, [1, 2 / 4, 0, 1 / 2, 1])


def test_extraction_strength_is_what_greedy_continuations_of_ever_longer_parts_say():
    torch.manual_seed(1)
    network = tiny_llama(3, 12, width=16, layers=1, heads=2).eval()
    generator = np.random.default_rng(1)
    samples = [(generator.integers(3, size=2).tolist(), generator.integers(3, size=5).tolist()) for _ in range(40)]
    wanted = []
    for prompt, answer in samples:
        given = 0
        while generation.greedy(network, rows((prompt + answer[:given], answer[given:])), None, CPU, 1) != [
            answer[given:]
        ]:
            given += 1
            if given == len(answer):
                break
        wanted.append(1 - given / len(answer))
    np.testing.assert_allclose(generation.extraction_strength(network, rows(*samples), CPU, 7), wanted)
    assert len(set(wanted)) > 2
