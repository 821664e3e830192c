"""Scores and token metrics, against loops over tokens in float64."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch

from sweep.tasks.language import scoring
from sweep.tasks.language.encoding import IGNORED, Encoded
from sweep.tasks.language.tiny_llama import tiny_llama

CPU = torch.device("cpu")
VOCABULARY = 13


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = tiny_llama(VOCABULARY, 9, width=16, layers=1, heads=2).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)  # so that it is sure of something
    return network


@pytest.fixture(scope="module")
def encoded():
    """Five rows of three candidates; prompts and answers of any length."""
    generator = np.random.default_rng(0)
    inputs = generator.integers(VOCABULARY, size=(5, 3, 9))
    targets = np.full_like(inputs, IGNORED)
    for row, candidate in np.ndindex(5, 3):
        start = generator.integers(1, 5)
        stop = generator.integers(start + 1, 10)
        targets[row, candidate, start - 1 : stop - 1] = inputs[row, candidate, start:stop]
    return Encoded(inputs, targets, np.array([0, 2, 1, 1, 0]))


def log_probs(logits):
    """The distribution of one position, in float64."""
    numbers = [float(number) for number in logits]
    top = max(numbers)
    total = math.log(math.fsum(math.exp(number - top) for number in numbers))
    return [number - top - total for number in numbers]


@pytest.fixture(scope="module")
def looped(network, encoded):
    """The log-probabilities of every candidate's tokens, and the same standardised, one position at a time."""
    said, standard = {}, {}
    for row, candidate in np.ndindex(5, 3):
        logits = network(torch.tensor(encoded.inputs[row, candidate])[None])[0].detach()
        said[row, candidate], standard[row, candidate] = [], []
        for place, wanted in enumerate(encoded.targets[row, candidate].tolist()):
            if wanted != IGNORED:
                every = log_probs(logits[place])
                mean = math.fsum(math.exp(one) * one for one in every)
                variance = math.fsum(math.exp(one) * (one - mean) ** 2 for one in every)
                said[row, candidate].append(every[wanted])
                standard[row, candidate].append((every[wanted] - mean) / math.sqrt(variance))
    return said, standard


def mean(numbers):
    return math.fsum(numbers) / len(numbers)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_score_is_the_mean_log_likelihood_of_a_candidates_tokens(network, encoded, looped, batch_size):
    scores = scoring.candidate_scores(network, encoded, CPU, batch_size)
    assert (scores.dtype, scores.shape) == (np.float32, (5, 3))
    for place, tokens in looped[0].items():
        assert scores[place] == pytest.approx(mean(tokens), rel=1e-5)


def test_a_loss_is_that_of_transformers(network, encoded):
    inputs, targets = map(torch.from_numpy, encoded.samples)
    losses = scoring.sample_losses(network(inputs), targets)
    assert losses.shape == (5,)
    for row in range(5):
        labels = torch.full((1, 9), IGNORED)
        labels[0, 1:] = targets[row, :-1]  # transformers shifts them itself
        wanted = network.network(input_ids=inputs[row : row + 1], labels=labels).loss
        torch.testing.assert_close(losses[row], wanted)


def test_a_loss_can_be_differentiated_and_ignores_what_is_no_target(network, encoded):
    logits = torch.randn(2, 3, VOCABULARY, requires_grad=True)
    targets = torch.tensor([[IGNORED, 5, IGNORED], [1, 2, 3]])
    scoring.sample_losses(logits, targets).sum().backward()
    assert (logits.grad[targets == IGNORED] == 0).all()
    wanted = logits.detach().softmax(-1)
    wanted[0, 1, 5] -= 1
    torch.testing.assert_close(logits.grad[0, 1], wanted[0, 1])
    wanted[1, 2, 3] -= 1
    torch.testing.assert_close(logits.grad[1, 2], wanted[1, 2] / 3)


@pytest.mark.parametrize("batch_size", [2, 100])
def test_the_tokens_of_the_right_answers(network, encoded, looped, batch_size):
    tokens = scoring.answer_tokens(network, encoded, CPU, batch_size)
    said, standard = looped
    for row, right in enumerate(encoded.right):
        np.testing.assert_allclose(tokens.log_probs[row], said[row, right], rtol=1e-5)
        np.testing.assert_allclose(tokens.standardised[row], standard[row, right], rtol=1e-4, atol=1e-5)
        assert tokens.means[row] == pytest.approx(mean(said[row, right]), rel=1e-5)


def test_scoring_needs_no_gradients_and_leaves_none(network, encoded):
    seen = []

    def watched(ids):
        seen.append(torch.is_inference_mode_enabled())
        return network(ids)

    scoring.candidate_scores(watched, encoded, CPU, 8)
    scoring.answer_tokens(watched, encoded, CPU, 8)
    assert seen == [True] * 3


TOKENS = scoring.AnswerTokens(
    (np.log([0.5, 0.125]), np.log([0.25]), np.log([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])), ()
)


def test_likelihood_is_a_geometric_mean_within_and_a_mean_between_answers():
    assert scoring.likelihood(np.array([np.log(0.25), np.log(0.75)])) == pytest.approx(50)
    assert scoring.likelihood(TOKENS.means[:2]) == pytest.approx(100 * (math.sqrt(0.0625) + 0.25) / 2)


def test_perplexity_counts_every_token_alike():
    tokens = scoring.AnswerTokens((np.log([0.5, 0.5, 0.4]), np.log([0.1])), ())
    assert scoring.perplexity(tokens) == pytest.approx((0.5 * 0.5 * 0.4 * 0.1) ** (-1 / 4))


def test_least_likely_tokens():
    lowest = scoring.least_likely(TOKENS.log_probs)
    np.testing.assert_allclose(lowest, [math.log(8), math.log(4), -(math.log(0.1) + math.log(0.2)) / 2])
    half = scoring.least_likely(TOKENS.log_probs[2:], 0.5)
    np.testing.assert_allclose(half, -np.log([0.1, 0.2, 0.3, 0.4, 0.5]).mean())


def test_zlib_ratio():
    texts = ["abc", "é" * 100]
    sizes = [len(zlib.compress(text.encode("utf-8"))) for text in texts]
    np.testing.assert_allclose(scoring.zlib_ratio(np.array([2.0, 3.0]), texts), [2 / sizes[0], 3 / sizes[1]])


@pytest.fixture
def lettered():
    """Four rows of three candidates: one token each, after a prompt of any length that they share."""
    generator = np.random.default_rng(1)
    inputs = np.repeat(generator.integers(VOCABULARY, size=(4, 1, 9)), 3, axis=1)
    targets = np.full_like(inputs, IGNORED)
    for row, place in enumerate([2, 5, 3, 1]):
        inputs[row, :, place + 1] = targets[row, :, place] = generator.permutation(VOCABULARY)[:3]
        inputs[row, :, place + 2 :] = 0
    return Encoded(inputs, targets, np.array([0, 2, 1, 1]))


def test_single_tokens_after_one_prompt_are_scored_by_one_pass(network, lettered):
    seen = []

    def watched(ids):
        seen.append(tuple(ids.shape))
        return network(ids)

    found = scoring.candidate_scores(watched, lettered, CPU, 3)
    assert seen == [(3, 6), (1, 2)]
    for row, candidate in np.ndindex(4, 3):
        place = int(np.flatnonzero(lettered.targets[row, candidate] != IGNORED)[0])
        logits = network(torch.tensor(lettered.inputs[row, candidate])[None])[0, place].detach()
        wanted = log_probs(logits)[lettered.targets[row, candidate, place]]
        assert found[row, candidate] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("change", ["another prompt", "another place"])
def test_single_tokens_after_different_prompts_have_passes_of_their_own(network, lettered, change):
    if change == "another prompt":
        lettered.inputs[2, 1, 0] = (lettered.inputs[2, 1, 0] + 1) % VOCABULARY
    else:
        lettered.targets[2, 1] = np.roll(lettered.targets[2, 1], 1)
    found = scoring.candidate_scores(network, lettered, CPU, 5)
    for row, candidate in np.ndindex(4, 3):
        place = int(np.flatnonzero(lettered.targets[row, candidate] != IGNORED)[0])
        logits = network(torch.tensor(lettered.inputs[row, candidate])[None])[0, place].detach()
        wanted = log_probs(logits)[lettered.targets[row, candidate, place]]
        assert found[row, candidate] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("device", "length", "vocabulary", "rows"),
    [("cpu", 18, 512, 100), ("cuda", 18, 512, 1000), ("cuda", 512, 32_000, 16), ("cuda", 10_000, 128_000, 1)],
)
def test_the_logits_of_a_batch_fit_into_a_gibibyte(device, length, vocabulary, rows):
    assert scoring.batch_size(torch.device(device), length, vocabulary) == rows
