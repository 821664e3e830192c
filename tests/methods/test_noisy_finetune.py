from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from distinguishing import least_epsilon
from scipy.optimize import minimize
from torch import Tensor, nn

from methods import Recorder, Task, Unsuitable, noisy_finetune
from methods.check import checks
from methods.finetune import FineTune
from methods.noisy_finetune import NoisyFineTune, clip, least_sigma

CHAINS = [
    {"start": 2.0, "push": 0.3, "shrink": 0.9, "steps": 7, "rho": 0.02},
    {"start": 0.1, "push": 0.5, "shrink": 1.0, "steps": 40, "rho": 1.0},
    {"start": 3.0, "push": 0.0, "shrink": 0.5, "steps": 1, "rho": 0.3},
    {"start": 1.0, "push": 0.2, "shrink": 0.0, "steps": 3, "rho": 0.5},
    {"start": 1.0, "push": 1e-3, "shrink": 1 - 1e-9, "steps": 500, "rho": 0.1},
]


def worst_ends(sigma: float, start: float, push: float, shrink: float, steps: int) -> tuple[float, float]:
    """How far apart the means of two one-dimensional chains end that are pushed apart, and their common variance."""
    above, below, variance = start / 2, -start / 2, 0.0
    for _ in range(steps):
        above, below = shrink * above + push / 2, shrink * below - push / 2
        variance = shrink**2 * variance + sigma**2
    return above - below, variance


class TestSigma:
    @pytest.mark.parametrize("chain", CHAINS)
    def test_the_worst_chains_attain_the_bound_at_every_order(self, chain: dict[str, Any]) -> None:
        rho = chain["rho"]
        apart, variance = worst_ends(least_sigma(**chain), **{key: chain[key] for key in chain if key != "rho"})
        for order in (1.5, 2.0, 10.0):
            divergence = order * apart**2 / (2 * variance)  # of two Gaussians of one variance
            assert divergence == pytest.approx(order * rho, rel=1e-12)

    def test_no_way_to_take_the_distance_away_is_cheaper(self) -> None:
        start, push, shrink, steps = 2.0, 0.3, 0.9, 6
        sigma = least_sigma(start, push, shrink, steps, rho=1.0)

        def left(taken: Any) -> float:
            distance = start
            for part in taken:
                distance = shrink * distance + push - part
            return distance

        found = minimize(
            lambda taken: (taken**2).sum() / (2 * sigma**2),
            [1.0] * steps,
            constraints=[{"type": "eq", "fun": left}],
            tol=1e-12,
        )
        assert found.fun == pytest.approx(1.0, rel=1e-6)

    def test_one_step_without_gradient_is_the_gaussian_mechanism(self) -> None:
        assert least_sigma(2 * 0.7, 0.0, 1.0, 1, rho=0.08) == pytest.approx(2 * 0.7 / math.sqrt(2 * 0.08), rel=1e-15)

    def test_it_belongs_to_epsilon_and_the_clips(self) -> None:
        method = NoisyFineTune(
            epsilon=3.0, delta=1e-6, start_clip=0.5, gradient_clip=2.0, noise_steps=9, noise_lr=0.05, noise_decay=4.0
        )
        apart, variance = worst_ends(method.sigma, 1.0, 0.05 * 4.0, 1 - 0.05 * 4.0, 9)
        rho = apart**2 / (2 * variance)
        assert rho + 2 * math.sqrt(rho * math.log(1e6)) == pytest.approx(3.0, rel=1e-12)


class Weightless(nn.Module):
    """As many weights as asked for, in two tensors, and logits that do not depend on them."""

    def __init__(self, count: int, value: float) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.full((count // 2,), value))
        self.second = nn.Parameter(torch.full((count // 2,), value))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, :3] + 0 * (self.first[0] + self.second[0])


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


class TestNoise:
    CHAIN: dict[str, Any] = {  # noqa: RUF012
        "start_clip": 0.8,
        "gradient_clip": 2.0,
        "noise_steps": 5,
        "noise_lr": 0.1,
        "noise_decay": 2.0,
        "epochs": 0,
    }

    def test_its_variance_is_that_of_the_chain(self, make_task: Callable) -> None:
        method = NoisyFineTune(**self.CHAIN)
        model = Weightless(100_000, 1.0)
        found = weights_of(method.unlearn(make_task(model)))
        _, variance = worst_ends(method.sigma, 0.0, 0.0, 0.8, 5)
        assert found.std().item() == pytest.approx(math.sqrt(variance), rel=0.01)
        left = 0.8 / math.sqrt(100_000) * 0.8**5  # of each weight
        assert found.mean().item() == pytest.approx(left, abs=4 * math.sqrt(variance / 100_000))

    @pytest.fixture
    def measured(self, make_task: Callable) -> Callable[[NoisyFineTune], float]:
        """What 100,000 draws say of epsilon at least: the noise on as many weights, and the same moved by as much as
        two chains are apart at most."""

        def measure(method: NoisyFineTune) -> float:
            noise = [weights_of(method.unlearn(make_task(Weightless(100_000, 0.0), seed))).numpy() for seed in (0, 1)]
            push = 2 * method.noise_lr * method.gradient_clip
            shrink = 1 - method.noise_lr * method.noise_decay
            apart, _ = worst_ends(0.0, 2 * method.start_clip, push, shrink, method.noise_steps)
            return least_epsilon(noise[0], noise[1] + apart, method.delta)

        return measure

    @pytest.mark.parametrize("epsilon", [0.5, 2.0])
    def test_an_experiment_does_not_refute_epsilon(self, measured: Callable, epsilon: float) -> None:
        found = measured(NoisyFineTune(epsilon=epsilon, delta=0.01, **self.CHAIN))
        assert 0.2 * epsilon < found <= epsilon

    def test_the_experiment_would_refute_a_tenth_of_the_noise(
        self, measured: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enough = noisy_finetune.least_sigma
        monkeypatch.setattr(noisy_finetune, "least_sigma", lambda *claim: enough(*claim) / 10)
        assert measured(NoisyFineTune(epsilon=0.5, delta=0.01, **self.CHAIN)) > 2


class TestSteps:
    @pytest.mark.parametrize("batchnorm", [False, True])
    def test_without_noise_clips_and_decay_they_are_those_of_finetune(
        self, network: Callable, make_task: Callable, monkeypatch: pytest.MonkeyPatch, batchnorm: bool
    ) -> None:
        monkeypatch.setattr(noisy_finetune, "least_sigma", lambda *claim: 0.0)
        free = {"start_clip": math.inf, "gradient_clip": math.inf, "noise_decay": 0.0, "noise_lr": 0.05}
        method = NoisyFineTune(epochs=0, noise_steps=12, batch_size=5, **free)
        walked = FineTune(epochs=3, lr=0.05, momentum=0.0, weight_decay=0.0, batch_size=5)
        ends = [one.unlearn(make_task(network(batchnorm=batchnorm))).state_dict() for one in (method, walked)]
        assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())

    def test_a_step_clips_shrinks_descends_and_adds_noise(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        method = NoisyFineTune(
            epochs=0, noise_steps=2, batch_size=20, start_clip=0.6, gradient_clip=0.1, noise_lr=0.2, noise_decay=1.5
        )
        task = make_task(network())
        vector = weights_of(task.model)
        reference, inputs = copy.deepcopy(task.model), whole(task.retain)
        vector = vector * 0.6 / vector.norm()
        random = task.generator("noise")
        for _ in range(2):
            nn.utils.vector_to_parameters(vector, reference.parameters())
            gradient = torch.cat(
                [part.flatten() for part in torch.autograd.grad(task.loss(reference, inputs), reference.parameters())]
            )
            assert gradient.norm() > 0.1
            noise = method.sigma * torch.randn(len(vector), generator=random)
            vector = 0.7 * vector - 0.2 * 0.1 * gradient / gradient.norm() + noise
        torch.testing.assert_close(weights_of(method.unlearn(task)), vector, rtol=1e-12, atol=1e-13)

    def test_what_is_short_enough_is_not_clipped(self) -> None:
        long, short, nothing = ([torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])] for _ in range(3))
        clip(long, 2.5)
        clip(short, 5.5)
        torch._foreach_zero_(nothing)
        clip(nothing, 1.0)
        assert [part.flatten().tolist() for part in long] == [[1.5], [0.0, 2.0]]
        assert [part.flatten().tolist() for part in short] == [[3.0], [0.0, 4.0]]
        assert [part.flatten().tolist() for part in nothing] == [[0.0], [0.0, 0.0]]

    def test_frozen_weights_are_neither_clipped_nor_noised(self, network: Callable, make_task: Callable) -> None:
        model = network()
        model[0].requires_grad_(False)
        before = copy.deepcopy(model)
        NoisyFineTune(epochs=1).unlearn(make_task(model))
        assert torch.equal(model[0].weight, before[0].weight)
        assert not torch.equal(model[2].weight, before[2].weight)

    def test_running_statistics_are_of_the_retain_set_and_not_of_the_original(
        self, network: Callable, make_task: Callable
    ) -> None:
        ends = []
        for mean in (0.0, 100.0):
            model = network(batchnorm=True)
            model[1].running_mean.fill_(mean)
            ends.append(NoisyFineTune(epochs=0, noise_steps=3).unlearn(make_task(model)).state_dict())
        assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())

    def test_after_the_noise_it_fine_tunes(self, network: Callable, make_task: Callable) -> None:
        settings = {"epochs": 2, "lr": 0.3, "batch_size": 4, "noise_steps": 3}
        method = NoisyFineTune(**settings)
        start = replace(method, epochs=0).unlearn(make_task(network()))

        class Risen(FineTune):
            def rate(self, epoch: int, progress: float) -> float:
                return min(0.04 + 3.2 * progress, (1 - progress) / 0.7)

        expected = Risen(epochs=2, lr=0.3, batch_size=4).unlearn(make_task(start))
        found = method.unlearn(make_task(network()))
        torch.testing.assert_close(weights_of(found), weights_of(expected), rtol=1e-12, atol=1e-14)

    def test_the_path_begins_with_the_noise(self, network: Callable, make_task: Callable) -> None:
        task = make_task(network(batchnorm=True), recorder=Recorder(lambda model: {"probed": 1.0}))
        NoisyFineTune(epochs=2, batch_size=5, noise_steps=7).unlearn(task)
        rows = task.recorder.rows
        assert [(row["epoch"], row["step"], row["samples"]) for row in rows] == [(1, 7, 35), (2, 11, 55), (3, 15, 75)]
        assert [row.get("probed") for row in rows] == [1.0, 1.0, None]  # the end is probed by whoever called


def test_it_says_what_it_certifies(network: Callable, make_task: Callable) -> None:
    method = NoisyFineTune(epsilon=2.0, delta=1e-4, epochs=1)
    task = make_task(network())
    method.unlearn(task)
    notes = task.recorder.notes
    assert (notes["epsilon"], notes["delta"], notes["sigma"]) == (2.0, 1e-4, method.sigma)
    assert "any model trained without the forget set" in notes["certificate"]
    assert json.loads(json.dumps(notes)) == notes


def test_a_decay_that_turns_the_weights_around_is_refused(network: Callable, make_task: Callable) -> None:
    with pytest.raises(Unsuitable, match="at most 1"):
        NoisyFineTune(noise_lr=0.1, noise_decay=10.1).unlearn(make_task(network()))


@pytest.mark.parametrize("variant", [{}, {"noise_decay": 0.0, "noise_steps": 3}, {"noise_steps": 1}])
def test_it_keeps_its_promises(variant: dict[str, object]) -> None:
    assert [found for found in checks(NoisyFineTune, **variant) if found[1] is not None] == []


def test_the_forget_set_is_never_read(network: Callable, make_task: Callable) -> None:
    def unlearned(forget: int) -> Tensor:
        task: Task = make_task(network())
        task = replace(task, forget=task.forget.subset(torch.arange(forget)))
        return weights_of(NoisyFineTune(epochs=1).unlearn(task))

    assert torch.equal(unlearned(6), unlearned(0))
