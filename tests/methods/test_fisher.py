from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import methods.fisher
from methods import Samples
from methods.fisher import Fisher, diagonal_fisher, gradient_budget, random_subset


def scores(model: nn.Module, example: Tensor, label: int) -> dict[str, Tensor]:
    """d log p(label | example) / d w."""
    model.zero_grad()
    model(example[None]).log_softmax(dim=1)[0, label].backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def plain_fisher(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters() if p.requires_grad}
    for example in inputs:
        probabilities = model(example[None]).softmax(dim=1)[0].detach()
        for label, probability in enumerate(probabilities):
            for name, score in scores(model, example, label).items():
                total[name] += probability * score**2 / len(inputs)
    return total


@pytest.mark.parametrize("budget", [methods.fisher.GRADIENT_BUDGET, 100])
@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_diagonal_is_that_of_a_plain_loop(
    network: Callable, make_task: Callable, monkeypatch: pytest.MonkeyPatch, seed: int, batchnorm: bool, budget: int
) -> None:
    monkeypatch.setattr(methods.fisher, "GRADIENT_BUDGET", budget)
    task = make_task(network(seed, batchnorm).eval(), seed)
    expected = plain_fisher(task.model, task.retain.inputs[task.retain.index])
    torch.testing.assert_close(diagonal_fisher(task.model, task.retain), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("gibibytes", "budget"), [(80, 2**30), (16, 2**28), (1, methods.fisher.GRADIENT_BUDGET)])
def test_a_gpus_chunk_is_a_share_of_its_memory(monkeypatch: pytest.MonkeyPatch, gibibytes: int, budget: int) -> None:
    card = SimpleNamespace(total_memory=gibibytes * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert gradient_budget(torch.device("cuda")) == budget
    assert gradient_budget(torch.device("cpu")) == methods.fisher.GRADIENT_BUDGET


def test_it_is_that_of_images_and_shared_and_frozen_weights_too() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(1, 2, 3)
            self.frozen = nn.Linear(8, 8).requires_grad_(False)
            self.again = nn.Linear(8, 8)
            self.out = nn.Linear(8, 8)
            self.out.weight = self.again.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.again(self.frozen(self.convolution(x).flatten(1)).tanh()).tanh())

    model, images = Tied().eval(), torch.randn(6, 1, 4, 4)
    samples = Samples(images, torch.zeros(6, dtype=torch.long), torch.arange(6), lambda raw, draws: raw)
    expected = plain_fisher(model, images)
    assert set(expected) == {"convolution.weight", "convolution.bias", "again.weight", "again.bias", "out.bias"}
    torch.testing.assert_close(diagonal_fisher(model, samples), expected, rtol=1e-10, atol=1e-14)


def test_the_sampled_estimate_is_unbiased(network: Callable) -> None:
    model, draws = network().eval(), 4000
    inputs = 2 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    model[2].weight.data *= 3
    repeated = Samples(inputs, torch.zeros(5, dtype=torch.long), torch.arange(5).repeat(draws), lambda raw, _: raw)
    sampled = diagonal_fisher(model, repeated, torch.Generator().manual_seed(0))

    variance = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for example in inputs:
        probabilities = model(example[None]).softmax(dim=1)[0].detach()
        squares = [{n: s**2 for n, s in scores(model, example, label).items()} for label in range(3)]
        for name in variance:
            first, second = (
                sum(p * square[name] ** k for p, square in zip(probabilities, squares, strict=True)) for k in (1, 2)
            )
            variance[name] += (second - first**2) / (draws * 5**2)

    for name, exact in plain_fisher(model, inputs).items():
        assert ((sampled[name] - exact).abs() < 4.5 * variance[name].sqrt()).all()
        assert (sampled[name] != exact).all()


class TestNoise:
    @pytest.fixture
    def noise(self, network: Callable, make_task: Callable) -> Callable:
        """(method, seed) -> the change of each weight, and F of the network before it."""

        def run(method: Fisher, seed: int = 0) -> tuple[Tensor, Tensor]:
            task = make_task(network(hidden=2000), seed)
            task.retain.inputs[:, 0] = 0
            before = copy.deepcopy(task.model)
            information = plain_fisher(before.eval(), task.retain.inputs[task.retain.index])
            after = dict(method.unlearn(task).named_parameters())
            change = [(after[name] - p).detach().reshape(-1) for name, p in before.named_parameters()]
            return torch.cat(change), torch.cat([f.reshape(-1) for f in information.values()])

        return run

    def test_its_variance_is_alpha_over_f_up_to_the_largest(self, noise: Callable) -> None:
        change, information = noise(Fisher(alpha=1e-6, max_variance=1e-3))
        silent, loud = 1e-6 / information > 1e-3, 1e-6 / information < 1e-3
        assert silent.sum() > 2000
        assert loud.sum() > 2000
        assert (information == 0).sum() == 2000
        for group, variance in [
            (loud, 1e-6 / information),
            (silent, torch.full_like(information, 1e-3)),
            (information == 0, torch.full_like(information, 1e-3)),
        ]:
            standardised = change[group] / variance[group].sqrt()
            assert stats.kstest(standardised.numpy(), "norm").pvalue > 1e-3
            assert 1e-3 < stats.chi2.cdf(standardised.square().sum().item(), len(standardised)) < 1 - 1e-3

    def test_it_scales_with_the_root_of_alpha(self, noise: Callable) -> None:
        one, information = noise(Fisher(alpha=1e-8, max_variance=1e6))
        four, _ = noise(Fisher(alpha=4e-8, max_variance=1e6))
        seen = information > 0
        torch.testing.assert_close(four[seen], 2 * one[seen], rtol=1e-6, atol=1e-12)

    def test_it_is_the_same_for_a_seed_and_another_for_another(self, noise: Callable) -> None:
        assert torch.equal(noise(Fisher(), seed=3)[0], noise(Fisher(), seed=3)[0])
        assert not torch.equal(noise(Fisher(), seed=3)[0], noise(Fisher(), seed=4)[0])


@pytest.mark.parametrize(
    "method", [Fisher(alpha=0.0), Fisher(max_variance=0.0), Fisher(alpha=0.0, expectation="sampled")]
)
def test_no_variance_changes_nothing(method: Fisher, network: Callable, make_task: Callable) -> None:
    task = make_task(network(batchnorm=True))
    task.retain.inputs[:, 0] = 0
    before = copy.deepcopy(task.model).state_dict()
    after = method.unlearn(task).state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_frozen_weights_get_no_noise(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    after = Fisher(alpha=1.0).unlearn(make_task(model))
    assert torch.equal(after[0].weight, before[0].weight)
    assert (after[2].weight != before[2].weight).all()


@pytest.mark.parametrize(
    ("method", "passes"), [(Fisher(), 20 * 3), (Fisher(expectation="sampled"), 20), (Fisher(samples=7), 7 * 3)]
)
def test_samples_are_counted_per_gradient(method: Fisher, passes: int, network: Callable, make_task: Callable) -> None:
    task = make_task(network(), retain=20)
    method.unlearn(task)
    assert task.recorder.samples_processed == passes


def test_a_random_subset_holds_different_samples_of_the_set(network: Callable, make_task: Callable) -> None:
    retain = make_task(network()).retain
    subset = random_subset(retain, 7, torch.Generator().manual_seed(0))
    assert len(set(subset.index.tolist()) & set(retain.index.tolist())) == 7
    assert random_subset(retain, None, torch.Generator()) is retain
    assert random_subset(retain, 99, torch.Generator()) is retain
