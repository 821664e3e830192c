from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import ClassVar

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Descent, Diverged, Pass, Recorder, Samples, Task, descent
from methods.descent import NOTHING, estimate_running_statistics, loss_gradients, over_one_set, trainable
from methods.finetune import FineTune
from methods.neggrad import NegGrad
from methods.original import Original
from methods.randomlabel import RandomLabel, other_labels
from methods.retrain import Retrain
from methods.task import Batch
from methods.uam import UAM

WALKS = [FineTune, NegGrad, RandomLabel, UAM]
USES_BOTH = [NegGrad(retain_weight=0.9), RandomLabel(), UAM(hessian="exact")]


def watched(samples: Samples, seen: list[list[int]]) -> Samples:
    """Notes each batch's rows of the training set in `seen`."""
    rows = {tuple(raw.tolist()): row for row, raw in enumerate(samples.inputs)}

    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        seen.append([rows[tuple(one.tolist())] for one in raw])
        return raw

    return replace(samples, prepare=prepare)


def unreadable(samples: Samples) -> Samples:
    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        raise AssertionError("these samples must not be read")

    return replace(samples, prepare=prepare)


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


class TestRunningStatistics:
    @pytest.mark.parametrize("method", [FineTune(), *USES_BOTH, UAM(rho_schedule="constant"), UAM(gamma=0.0)])
    def test_they_are_those_of_the_retain_set_at_the_final_weights(
        self, network: Callable, make_task: Callable, method: object
    ) -> None:
        task = make_task(network(batchnorm=True), retain=19)
        model = replace(method, epochs=2, batch_size=8).unlearn(task)
        batches = [model[0](x).detach() for x, _ in task.retain.epoch(8, task.generator("batchnorm"))]
        assert [len(batch) for batch in batches] == [8, 8, 3]
        torch.testing.assert_close(model[1].running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0))
        torch.testing.assert_close(model[1].running_var, torch.stack([batch.var(0) for batch in batches]).mean(0))
        assert not model.training

    @pytest.mark.parametrize("method", [FineTune(batch_size=4), UAM(batch_size=8)])
    def test_of_a_large_retain_set_they_are_those_of_its_first_samples_the_same_for_every_method(
        self, network: Callable, make_task: Callable, method: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(descent, "SETTLING_SAMPLES", 12)
        task, seen = make_task(network(batchnorm=True), retain=40), []
        model = replace(method, epochs=1).unlearn(replace(task, retain=watched(task.retain, seen)))
        steps, size = task.retain.steps(method.batch_size), method.batch_size
        batches = islice(task.retain.epoch(size, task.generator("batchnorm")), -(-12 // size))
        expected = torch.stack([model[0](inputs).detach().mean(0) for inputs, _ in batches]).mean(0)
        torch.testing.assert_close(model[1].running_mean, expected)
        order = torch.randperm(40, generator=task.generator("batchnorm"))
        assert list(chain(*seen[steps:]))[:12] == task.retain.index[order][:12].tolist()
        assert len(seen) == steps + -(-12 // size)

    @pytest.mark.parametrize("method", [NegGrad(), RandomLabel(retain_weight=0.0)])
    def test_a_method_without_retain_data_computes_with_the_originals_and_keeps_them(
        self, network: Callable, make_task: Callable, method: object
    ) -> None:
        task = make_task(network(batchnorm=True))
        with torch.no_grad():
            task.model[1].running_mean.add_(0.7)
            task.model[1].running_var.mul_(1.9)
        reference = copy.deepcopy(task.model).eval()
        model = replace(method, epochs=3, batch_size=4).unlearn(replace(task, retain=unreadable(task.retain)))
        buffers = dict(model.named_buffers())
        assert all(torch.equal(buffers[name], value) for name, value in reference.named_buffers())
        assert not model.training

        labelled, batches = method.prepare(task), task.generator("forget")
        optimizer = torch.optim.SGD(reference.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        for _ in range(3):
            for inputs, targets in labelled.forget.epoch(4, batches):
                optimizer.zero_grad()
                (cross_entropy(reference(inputs), targets) * (-1 if isinstance(method, NegGrad) else 1)).backward()
                optimizer.step()
        torch.testing.assert_close(model.state_dict(), reference.state_dict(), rtol=0, atol=1e-12)

    def test_they_are_estimated_as_torch_does_bit_for_bit(self, network: Callable) -> None:
        ours, torchs = network(batchnorm=True), network(batchnorm=True)
        batches = list(torch.randn(5, 7, 4))
        estimate_running_statistics(ours, batches)
        torch.optim.swa_utils.update_bn(batches, torchs)
        assert ours[1].momentum == torchs[1].momentum
        for name, value in torchs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name

    def test_dropout_is_off_while_they_are_estimated_and_draws_no_random_numbers(self, network: Callable) -> None:
        plain, batches, random = network(batchnorm=True), list(torch.randn(5, 7, 4)), torch.get_rng_state()
        dropping = copy.deepcopy(nn.Sequential(nn.Dropout(0.5), *plain))
        for model in (plain, dropping):
            estimate_running_statistics(model, batches)
        assert torch.equal(dropping[2].running_mean, plain[1].running_mean)
        assert torch.equal(torch.get_rng_state(), random)
        assert dropping[0].training

    @pytest.mark.parametrize("method", [FineTune(), *USES_BOTH])
    def test_a_probe_on_the_way_sees_them_too_and_changes_nothing(
        self, network: Callable, make_task: Callable, method: object
    ) -> None:
        shape, seen = {"epochs": 3, "batch_size": 4}, []

        def probe(model: nn.Module) -> dict[str, float]:
            seen.append(copy.deepcopy(model))
            return {}

        def task(**fields: object) -> Task:
            return make_task(network(batchnorm=True), retain=19, **fields)

        probed = replace(method, **shape).unlearn(task(recorder=Recorder(probe)))
        assert len(seen) == 2
        for epoch, model in enumerate(seen, start=1):
            stopped = replace(method, **shape | {"epochs": epoch}).unlearn(task())
            if isinstance(method, UAM):  # its radius depends on where the run ends
                assert not torch.equal(model[1].running_mean, task().model[1].running_mean)
            else:
                torch.testing.assert_close(model.state_dict(), stopped.state_dict(), rtol=0, atol=1e-12)
        plain = replace(method, **shape).unlearn(task()).state_dict()
        assert all(torch.equal(value, plain[name]) for name, value in probed.state_dict().items())


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


class TestRandomLabels:
    def test_they_are_uniform_among_the_others(self) -> None:
        labels = torch.arange(10).repeat(3000)
        drawn = other_labels(labels, 10, torch.Generator().manual_seed(0))
        for label in range(10):
            counts = drawn[labels == label].bincount(minlength=10)
            assert counts[label] == 0
            others = torch.cat([counts[:label], counts[label + 1 :]])
            assert stats.chisquare(others.numpy()).pvalue > 1e-3

    def test_of_two_classes_there_is_one_other(self) -> None:
        labels = torch.tensor([0, 1, 1, 0])
        assert other_labels(labels, 2, torch.Generator()).tolist() == [1, 0, 0, 1]

    @pytest.fixture
    def taught(self, network: Callable, make_task: Callable) -> Callable:
        """(seed) -> the task, and the set of labels taught for each forget row over four epochs."""

        def run(seed: int = 0) -> tuple[Task, dict[int, set[int]]]:
            rows, labels = [], []

            def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
                labels.append(targets.tolist())
                return cross_entropy(outputs, targets)

            task = make_task(network(), seed, forget=40, criterion=criterion)
            method = RandomLabel(epochs=4, batch_size=16, retain_weight=0.0)
            method.unlearn(replace(task, forget=watched(task.forget, rows), retain=unreadable(task.retain)))
            seen: dict[int, set[int]] = {}
            for row, label in zip(chain(*rows), chain(*labels), strict=True):
                seen.setdefault(row, set()).add(label)
            return task, seen

        return run

    def test_they_are_drawn_once_and_are_wrong(self, taught: Callable) -> None:
        task, seen = taught()
        assert set(seen) == set(task.forget.index.tolist())
        assert all(len(labels) == 1 for labels in seen.values())
        assert all(task.forget.targets[row].item() not in labels for row, labels in seen.items())

    def test_they_belong_to_the_seed(self, taught: Callable, network: Callable, make_task: Callable) -> None:
        assert taught(0)[1] == taught(0)[1]
        task = make_task(network(), forget=40)
        relabelled = [RandomLabel().prepare(replace(task, seed=seed)).forget for seed in (0, 1)]
        assert not torch.equal(*[forget.targets[forget.index] for forget in relabelled])

    def test_the_retain_set_and_the_caller_keep_theirs(self, network: Callable, make_task: Callable) -> None:
        task = make_task(network())
        before = task.forget.targets.clone()
        prepared = RandomLabel().prepare(task)
        assert torch.equal(task.forget.targets, before)
        assert torch.equal(prepared.retain.targets[prepared.retain.index], before[task.retain.index])
        assert torch.equal(prepared.forget.targets[task.retain.index], before[task.retain.index])


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


@dataclass(frozen=True)
class TwoParts(Descent):
    """In its first two epochs a pass over the forget set, then one over the retain set; at another rate each epoch."""

    name: ClassVar[str] = "two-parts"
    source: ClassVar[str] = "-"

    seen: list = field(default_factory=list, compare=False)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        def step(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            self.seen.append((len(retain[1]), len(forget[1]), round(progress, 6)))
            name, batch = ("retain_loss", retain) if len(retain[1]) else ("forget_loss", forget)
            loss = task.loss(task.model, batch)
            loss.backward()
            return {name: loss}

        forget = lambda: ((NOTHING, batch) for batch in task.forget.epoch(3, task.generator("forget")))  # noqa: E731
        retain = lambda: ((batch, NOTHING) for batch in task.retain.epoch(10, task.generator("retain")))  # noqa: E731
        return Pass(2, forget, step, range(1, 3)), Pass(2, retain, step)

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def rate(self, epoch: int, progress: float) -> float:
        return 1 / epoch


class TestPasses:
    def test_an_epoch_has_the_parts_that_name_it_in_their_order(self, network: Callable, make_task: Callable) -> None:
        method, task = TwoParts(epochs=3), make_task(network(), retain=20, forget=6)
        method.unlearn(task)
        sizes = [step[:2] for step in method.seen]
        assert sizes == [(0, 3), (0, 3), (10, 0), (10, 0)] * 2 + [(10, 0)] * 2
        assert [step[2] for step in method.seen] == [round(step / 10, 6) for step in range(10)]
        assert [row["step"] for row in task.recorder.rows] == [4, 8, 10]

    def test_a_part_over_one_set_has_its_batches_alone_in_its_own_epochs(
        self, network: Callable, make_task: Callable
    ) -> None:
        task, seen = make_task(network(), forget=6), []

        class Forgets(TwoParts):
            def passes(self, task: Task) -> tuple[Pass, ...]:
                def step(task: Task, batch: Batch, progress: float) -> dict[str, Tensor]:
                    seen.append((batch[1].tolist(), progress))
                    return loss_gradients(task, batch, "forget_loss")

                return (over_one_set(2, lambda: task.forget.in_order(3), step, range(2, 3)),)

        Forgets(epochs=3).unlearn(task)
        assert seen == [(batch[1].tolist(), step / 2) for step, batch in enumerate(task.forget.in_order(3))]
        assert [row["step"] for row in task.recorder.rows] == [0, 2, 2]

    def test_values_are_averaged_over_the_steps_that_have_them(self, network: Callable, make_task: Callable) -> None:
        losses = []

        def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
            losses.append(cross_entropy(outputs, targets))
            return losses[-1]

        task = make_task(network(), retain=20, forget=6, criterion=criterion)
        TwoParts(epochs=1).unlearn(task)
        assert task.recorder.rows[0]["forget_loss"] == pytest.approx((losses[0] + losses[1]).item() / 2, rel=1e-12)
        assert task.recorder.rows[0]["retain_loss"] == pytest.approx((losses[2] + losses[3]).item() / 2, rel=1e-12)

    def test_the_rate_scales_the_learning_rate_of_its_own_optimizer(
        self, network: Callable, make_task: Callable
    ) -> None:
        task = make_task(network(), retain=20, forget=6)
        model = copy.deepcopy(task.model)
        TwoParts(epochs=3, lr=0.1).unlearn(task)
        for epoch in (1, 2, 3):
            batches = [*task.retain.epoch(10, task.generator("retain"))]
            if epoch < 3:
                batches = [*task.forget.epoch(3, task.generator("forget")), *batches]
            for batch in batches:
                gradients = gradient_of(task.loss(model, batch), model)
                with torch.no_grad():
                    for weight, gradient in zip(model.parameters(), gradients, strict=True):
                        weight.sub_(0.1 / epoch * gradient)
        for ours, theirs in zip(task.model.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)

    def test_a_descent_can_be_ended_after_any_epoch(self, network: Callable, make_task: Callable) -> None:
        task, shorter = make_task(network(batchnorm=True)), make_task(network(batchnorm=True))
        asked = []
        FineTune(epochs=5).descend(task, lambda task, epoch: asked.append(epoch) or epoch == 2)
        FineTune(epochs=2).unlearn(shorter)
        assert asked == [1, 2]
        assert all(map(torch.equal, task.model.state_dict().values(), shorter.model.state_dict().values()))


def test_statistics_settle_on_the_retain_set_and_not_on_what_is_trained_on_in_its_place(
    network: Callable, make_task: Callable, whole: Callable
) -> None:
    class Mixed(FineTune):
        def prepare(self, task: Task) -> Task:
            return replace(task, retain=task.forget)

    task = make_task(network(batchnorm=True), retain=20)
    model = Mixed(epochs=1, batch_size=20).unlearn(task)
    features = model[0](whole(task.retain)[0])
    torch.testing.assert_close(model[1].running_mean, features.mean(dim=0))


def test_a_descent_needs_gradients_or_passes(network: Callable, make_task: Callable) -> None:
    with pytest.raises(NotImplementedError, match="Descent gives neither gradients nor passes"):
        Descent().unlearn(make_task(network()))
