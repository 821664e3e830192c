from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from watched_samples import unreadable, watched

from methods import Diverged, Samples
from methods.descent import loss_gradients, trainable
from methods.finetune import FineTune
from methods.neggrad import NegGrad
from methods.original import Original
from methods.randomlabel import RandomLabel
from methods.retrain import Retrain
from methods.uam import UAM

WALKS = [FineTune, NegGrad, RandomLabel, UAM]
USES_BOTH = [NegGrad(retain_weight=0.9), RandomLabel(), UAM(hessian="exact")]


def gradient_of(loss: Tensor, model: nn.Module) -> list[Tensor]:
    return [part.clone() for part in torch.autograd.grad(loss, trainable(model))]


class TestBatches:
    @pytest.fixture
    def batches(self, network: Callable, make_task: Callable) -> Callable:
        """(method, seed) -> the rows of every retain batch and of every forget batch that it draws."""

        def run(method: object, seed: int = 0) -> tuple[list[list[int]], list[list[int]]]:
            retain, forget = [], []
            task = make_task(network(seed), seed)
            method.unlearn(replace(task, retain=watched(task.retain, retain), forget=watched(task.forget, forget)))
            return retain, forget

        return run

    @pytest.mark.parametrize("method", USES_BOTH)
    def test_every_method_of_a_seed_sees_the_same(self, batches: Callable, method: object) -> None:
        shape = {"epochs": 3, "batch_size": 4}
        retain, forget = batches(replace(method, **shape))
        assert retain == batches(FineTune(**shape))[0]
        assert forget == batches(replace(USES_BOTH[0], **shape))[1]
        assert retain != batches(replace(method, **shape), seed=1)[0]

    def test_an_epoch_is_a_pass_over_the_retain_set(self, batches: Callable, make_task: Callable) -> None:
        retain, _ = batches(FineTune(epochs=2, batch_size=5))
        rows = sorted(make_task(nn.Identity()).retain.index.tolist())
        assert [len(batch) for batch in retain] == [5] * 8
        assert sorted(chain(*retain[:4])) == sorted(chain(*retain[4:])) == rows
        assert retain[:4] != retain[4:]

    def test_the_forget_set_is_cycled_beside_it(self, batches: Callable, make_task: Callable) -> None:
        _, forget = batches(UAM(epochs=3, batch_size=4))
        rows = sorted(make_task(nn.Identity()).forget.index.tolist())
        assert [len(batch) for batch in forget] == [4, 2] * 7 + [4]
        passes = [forget[i] + forget[i + 1] for i in range(0, 14, 2)]
        assert all(sorted(one) == rows for one in passes)
        assert len({tuple(one) for one in passes}) > 1

    @pytest.mark.parametrize("method", [NegGrad(), RandomLabel(retain_weight=0.0)])
    def test_without_retain_data_an_epoch_is_a_pass_over_the_forget_set(
        self, batches: Callable, method: object
    ) -> None:
        retain, forget = batches(replace(method, epochs=3, batch_size=4))
        assert retain == []
        assert [len(batch) for batch in forget] == [4, 2] * 3

    def test_fine_tuning_reads_no_forget_data(self, batches: Callable) -> None:
        assert batches(FineTune(epochs=2))[1] == []


@pytest.mark.parametrize("method", [replace(method, epochs=3, batch_size=4) for method in [FineTune(), *USES_BOTH]])
def test_epochs_and_steps_are_recorded(network: Callable, make_task: Callable, method: object) -> None:
    task = make_task(network(), retain=20)
    model = method.unlearn(task)
    assert [(row["epoch"], row["step"]) for row in task.recorder.rows] == [(1, 5), (2, 10), (3, 15)]
    assert task.recorder.rows[-1]["samples"] == task.recorder.samples_processed
    assert model is task.model
    assert not model.training


def test_losses_are_recorded_as_the_mean_over_the_steps_of_an_epoch(network: Callable, make_task: Callable) -> None:
    losses = []

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        losses.append(cross_entropy(outputs, targets))
        return losses[-1]

    task = make_task(network(), criterion=criterion)
    FineTune(epochs=2, batch_size=5).unlearn(task)
    means = [sum(loss.item() for loss in losses[i : i + 4]) / 4 for i in (0, 4)]
    assert [row["retain_loss"] for row in task.recorder.rows] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize(("method", "samples"), [(FineTune(), 60), (NegGrad(), 18), (RandomLabel(), 60 + 3 * 4 * 6)])
def test_samples_are_counted(network: Callable, make_task: Callable, method: object, samples: int) -> None:
    task = make_task(network(), retain=20, forget=6)
    replace(method, epochs=3, batch_size=5).unlearn(task)
    assert task.recorder.samples_processed == samples


@pytest.mark.parametrize("method", WALKS)
def test_a_loss_that_is_not_finite_ends_it(network: Callable, make_task: Callable, method: type) -> None:
    task = make_task(network(), criterion=lambda outputs, targets: outputs.sum() * math.nan)
    with pytest.raises(Diverged, match="loss is nan in epoch 1"):
        method(epochs=5).unlearn(task)
    assert len(task.recorder.rows) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_fine_tuning_is_a_plain_sgd_loop(network: Callable, make_task: Callable, seed: int, momentum: float) -> None:
    task = make_task(network(seed, batchnorm=True), seed)
    model, random = copy.deepcopy(task.model), task.generator("retain")
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for _ in range(3):
        for inputs, targets in task.retain.epoch(8, random):
            gradients = gradient_of(cross_entropy(model(inputs), targets), model)
            for p, v, g in zip(model.parameters(), velocity, gradients, strict=True):
                v.mul_(momentum).add_(g + 0.01 * p.detach())
                p.data -= 0.1 * v
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(8, task.generator("batchnorm"))], model)
    tuned = FineTune(epochs=3, lr=0.1, momentum=momentum, weight_decay=0.01, batch_size=8).unlearn(task)
    torch.testing.assert_close(tuned.state_dict(), model.state_dict(), rtol=0, atol=1e-12)


def test_a_rate_is_asked_for_each_step_with_the_share_of_steps_before_it(
    network: Callable, make_task: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, float]] = []
    monkeypatch.setattr(FineTune, "rate", lambda self, *given: asked.append(given) or 1.0)
    task = make_task(network(0), 0)
    FineTune(epochs=2, batch_size=16).unlearn(task)
    steps = task.retain.steps(16)
    assert steps > 1
    assert asked == [(1 + step // steps, step / (2 * steps)) for step in range(2 * steps)]


class TestGradients:
    @pytest.mark.parametrize("seed", range(3))
    def test_neggrad_is_minus_the_forget_gradient(
        self, network: Callable, make_task: Callable, whole: Callable, seed: int
    ) -> None:
        task = make_task(network(seed, batchnorm=True), seed)
        inputs, targets = whole(task.forget)
        expected = gradient_of(cross_entropy(task.model(inputs), targets), task.model)
        NegGrad(retain_weight=0.0).gradients(task, (torch.empty(0), torch.empty(0)), (inputs, targets), 0.0)
        for p, g in zip(task.model.parameters(), expected, strict=True):
            assert torch.equal(p.grad, -g)

    @pytest.mark.parametrize(("method", "sign"), [(NegGrad, -1), (RandomLabel, 1)])
    @pytest.mark.parametrize("weight", [0.1, 0.5, 0.95])
    def test_retain_and_forget_are_combined_by_their_weights(
        self, network: Callable, make_task: Callable, whole: Callable, method: type, sign: int, weight: float
    ) -> None:
        task = make_task(network())
        retain, forget = whole(task.retain), whole(task.forget)
        g_r = gradient_of(cross_entropy(task.model(retain[0]), retain[1]), task.model)
        g_f = gradient_of(cross_entropy(task.model(forget[0]), forget[1]), task.model)
        values = method(retain_weight=weight).gradients(task, retain, forget, 0.0)
        for p, r, f in zip(task.model.parameters(), g_r, g_f, strict=True):
            torch.testing.assert_close(p.grad, weight * r + sign * (1 - weight) * f, rtol=1e-12, atol=1e-14)
        assert set(values) == {"retain_loss", "forget_loss"}

    def test_random_labels_normalise_retain_and_forget_batches_as_one(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        task = make_task(network(batchnorm=True))
        retain, forget = whole(task.retain), whole(task.forget)
        outputs = task.model(torch.cat([retain[0], forget[0]]))
        losses = cross_entropy(outputs[:20], retain[1]), cross_entropy(outputs[20:], forget[1])
        expected = gradient_of(0.9 * losses[0] + 0.1 * losses[1], task.model)
        RandomLabel(retain_weight=0.9).gradients(task, retain, forget, 0.0)
        for p, g in zip(task.model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, g, rtol=1e-12, atol=1e-14)

    def test_a_term_of_weight_zero_is_not_computed(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        task, none = make_task(network()), (torch.empty(0), torch.empty(0))
        assert set(NegGrad(retain_weight=0.0).gradients(task, none, whole(task.forget), 0.0)) == {"forget_loss"}
        assert set(RandomLabel(retain_weight=0.0).gradients(task, none, whole(task.forget), 0.0)) == {"forget_loss"}
        assert task.recorder.samples_processed == 2 * 6

    def test_a_loss_is_named_and_its_factor_is_in_the_gradient_alone(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        task = make_task(network())
        inputs, targets = whole(task.forget)
        loss = cross_entropy(task.model(inputs), targets)
        expected = gradient_of(-3 * loss, task.model)
        values = loss_gradients(task, (inputs, targets), "climbed", -3.0)
        assert values["climbed"].item() == pytest.approx(loss.item(), rel=1e-14)
        assert values.keys() == {"climbed"}
        assert task.recorder.samples_processed == 6
        for p, g in zip(task.model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, g, rtol=1e-12, atol=1e-14)

    def test_neggrad_raises_the_forget_loss(self, network: Callable, make_task: Callable) -> None:
        task = make_task(network())
        NegGrad(epochs=5, lr=0.1).unlearn(task)
        losses = [row["forget_loss"] for row in task.recorder.rows]
        assert losses == sorted(losses)


def test_the_original_is_left_alone(network: Callable, make_task: Callable) -> None:
    task = make_task(network(batchnorm=True))
    before = copy.deepcopy(task.model.state_dict())
    model = Original().unlearn(task)
    assert model is task.model
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_retraining_fits_a_fresh_network_to_the_retain_set_alone(network: Callable, make_task: Callable) -> None:
    fresh, fitted = network(seed=7), nn.Identity()

    def fit(model: nn.Module, samples: Samples, **part: object) -> nn.Module:
        assert model is fresh
        assert samples is task.retain
        return fitted

    task = make_task(None, build=lambda: fresh, fit=fit)
    assert Retrain().unlearn(replace(task, forget=unreadable(task.forget))) is fitted
    assert not Retrain.needs_original


def test_frozen_parameters_are_not_trained(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    FineTune(epochs=1).unlearn(make_task(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[2].weight, before[2].weight)
