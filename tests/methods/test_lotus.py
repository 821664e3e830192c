from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import nn

from methods import Samples, Task, Unsuitable
from methods.check import checks
from methods.lotus import LoTUS, accuracy, distillation_targets, target_accuracy


@pytest.fixture
def with_reference(make_task: Callable) -> Callable:
    """(model, **options of make_task) -> a task with 20 retain, 6 forget and 10 held-out samples.

    Of these, all, 5 and 1 have the label that the model predicts.
    """

    def build(model: nn.Module, **options: object) -> Task:
        task = make_task(model, retain=30, **options)
        if "targets" not in options:
            labels = copy.deepcopy(model).eval()(task.retain.inputs).argmax(1)
            wrong = torch.cat([task.retain.index[21:], task.forget.index[5:]])
            labels[wrong] = (labels[wrong] + 1) % 3
            task = replace(
                task, **{name: replace(getattr(task, name), targets=labels) for name in ("retain", "forget")}
            )
        held_out = task.retain.subset(torch.arange(20, 30))
        return replace(task, retain=task.retain.subset(torch.arange(20)), reference=held_out)

    return build


def right(model: nn.Module, samples: Samples) -> float:
    model.eval()
    inputs, targets = samples.inputs[samples.index], samples.targets[samples.index]
    return (model(inputs).argmax(1) == targets).double().mean().item()


class TestTargets:
    def test_of_retain_samples_are_draws_of_the_originals_predictions(self) -> None:
        logits = torch.tensor([[0.0, 1.0, -1.0, 0.5]])
        random = torch.Generator().manual_seed(0)
        found = distillation_targets(logits.expand(20000, -1), torch.zeros(20000), 3.0, random)
        assert torch.equal(found.sum(1), torch.ones(20000))
        assert set(found.unique().tolist()) == {0.0, 1.0}
        expected = 20000 * logits[0].softmax(0)
        assert stats.chisquare(found.sum(0).numpy(), expected.numpy()).pvalue > 1e-3

    @pytest.mark.parametrize("temperature", [0.3, 1.0, 50.0])
    def test_of_forget_samples_are_softened(self, temperature: float) -> None:
        logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
        forgotten = torch.tensor([1, 0, 1, 1, 0, 1])
        found = distillation_targets(logits, forgotten, temperature, torch.Generator().manual_seed(2))
        exponential = torch.empty(6, 4).exponential_(generator=torch.Generator().manual_seed(2))
        powers = (logits.exp() / exponential) ** (1 / temperature)  # softmax((z + G) / tau), G = -log(exponential)
        soft = powers / powers.sum(1, keepdim=True)
        rows = forgotten.bool()
        torch.testing.assert_close(found[rows], soft[rows], rtol=1e-10, atol=1e-14)
        assert torch.equal(found[~rows], (powers == powers.amax(1, keepdim=True))[~rows].double())


LR = 0.1


@pytest.mark.parametrize("batchnorm", [False, True])
def test_steps_are_those_of_a_plain_loop(network: Callable, with_reference: Callable, batchnorm: bool) -> None:
    task = with_reference(network(batchnorm=batchnorm))
    method = LoTUS(epochs=2, batch_size=5, lr=LR, alpha=3.0, share=0.4, momentum=0.8, weight_decay=0.1)
    model, teacher = copy.deepcopy(task.model), copy.deepcopy(task.model).eval()
    chosen = torch.randperm(20, generator=task.generator("retain share"))[:8]
    rows = torch.cat([task.retain.index[chosen], task.forget.index])
    flags = torch.cat([torch.zeros(8), torch.ones(6)])
    order, noise = task.generator("forget"), task.generator("gumbel")
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in model.named_parameters()}
    temperatures, steps = [], 0
    forgotten, retained = (part.targets[part.index] for part in (task.forget, task.retain))
    target = right(teacher, task.reference) * sum(label in retained for label in forgotten) / 6
    for epoch in range(2):
        measured = copy.deepcopy(model)
        if epoch:
            method.settle(measured, task.retain, task, 8)
        temperatures.append(math.exp(3 * (right(measured, task.forget) - target)))
        model.train()
        for batch in torch.randperm(14, generator=order).split(5):
            inputs = task.retain.inputs[rows[batch]]
            wanted = distillation_targets(teacher(inputs).detach(), flags[batch], temperatures[-1], noise)
            model.zero_grad()
            nn.functional.cross_entropy(model(inputs), wanted).backward()
            steps += 1
            for name, p in model.named_parameters():
                first, second = moments[name]
                first.mul_(0.8).add_(0.2 * p.grad)
                second.mul_(0.999).add_(0.001 * p.grad**2)
                step = (first / (1 - 0.8**steps)) / ((second / (1 - 0.999**steps)).sqrt() + 1e-8)
                p.data = p.data * (1 - LR * 0.1) - LR * step
    found = dict(method.unlearn(task).named_parameters())
    assert len({1.0, *temperatures}) == 3
    assert [row["temperature"] for row in task.recorder.rows] == pytest.approx(temperatures)
    assert [row["step"] for row in task.recorder.rows] == [3, 6]
    assert task.recorder.samples_processed == 2 * 14
    for name, p in model.named_parameters():
        # BatchNorm takes out the bias before it: its gradient is rounding, which AdamW enlarges
        torch.testing.assert_close(found[name], p, rtol=0, atol=1e-8 if batchnorm else 1e-11)


def test_an_integer_is_a_momentum(network: Callable, with_reference: Callable) -> None:
    models = [LoTUS(epochs=1, momentum=momentum).unlearn(with_reference(network())) for momentum in (0, 0.0)]
    assert all(torch.equal(*pair) for pair in zip(*(model.parameters() for model in models), strict=True))


def test_accuracy_is_measured_in_evaluation_mode(network: Callable, with_reference: Callable) -> None:
    task = with_reference(network(batchnorm=True))
    with torch.no_grad():
        task.model[1].running_mean.add_(1.0)
        task.model[1].running_var.mul_(0.1)
    before = copy.deepcopy(task.model)
    assert accuracy(task, task.retain) == pytest.approx(right(copy.deepcopy(before), task.retain))
    assert task.model.training
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in task.model.state_dict().items())


@pytest.mark.parametrize(("retained", "share"), [([0, 1, 2], 1.0), ([0, 1], 0.5), ([0], 0.0)])
def test_classes_that_are_not_retained_would_be_wrong(
    network: Callable, with_reference: Callable, retained: list[int], share: float
) -> None:
    task = with_reference(network(), targets=torch.arange(36) % 3)
    labels = task.retain.targets[task.retain.index]
    forgotten = torch.tensor([1, 2, 1, 2, 2, 1])
    task = replace(task, forget=task.forget.with_targets(forgotten))
    task = replace(task, retain=task.retain.subset(torch.isin(labels, torch.tensor(retained)).nonzero()[:, 0]))
    known = right(task.model, task.reference)
    assert 0 < known < 1
    assert target_accuracy(task) == pytest.approx(share * known)


class TestEnd:
    @pytest.fixture
    def task(self, with_reference: Callable) -> Callable:
        """(forget accuracy) -> a task whose held-out accuracy is 1."""

        def build(forget_accuracy: float) -> Task:
            torch.manual_seed(0)
            task = with_reference(nn.Linear(4, 3))
            inputs = task.retain.inputs
            labels = task.model(inputs).argmax(1)
            wrong = task.forget.index[: round((1 - forget_accuracy) * 6)]
            labels[wrong] = (labels[wrong] + 1) % 3
            return replace(
                task,
                **{name: replace(getattr(task, name), targets=labels) for name in ("retain", "forget", "reference")},
            )

        return build

    def test_is_before_the_first_step_where_too_little_is_known(self, task: Callable) -> None:
        given = task(0.5)
        before = copy.deepcopy(given.model.state_dict())
        model = LoTUS(epochs=5).unlearn(given)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert [(row["epoch"], row["step"]) for row in given.recorder.rows] == [(1, 0)]
        assert given.recorder.samples_processed == 0
        assert not model.training

    def test_is_not_while_it_is_known_as_well(self, task: Callable) -> None:
        given = task(1.0)
        LoTUS(epochs=5, lr=1e-9).unlearn(given)
        assert [row["temperature"] for row in given.recorder.rows] == [1.0] * 5

    def test_is_not_where_the_temperature_is_beyond_floats(self, task: Callable) -> None:
        given = task(1.0)
        wrong = (given.reference.targets + 1) % 3
        given = replace(given, reference=replace(given.reference, targets=wrong), model=given.model.float())
        single = {"prepare": lambda raw, draws: raw.float()}
        sets = {name: replace(getattr(given, name), **single) for name in ("retain", "forget", "reference")}
        model = LoTUS(epochs=1, alpha=1e30).unlearn(replace(given, **sets))
        assert 1e38 < given.recorder.rows[0]["temperature"] < 3.4e38
        assert all(bool(value.isfinite().all()) for value in model.state_dict().values())

    def test_is_once_it_is_known_less_well(self, task: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        given, values = task(1.0), iter([0.9, 1.0, 0.895, 0.885])  # held-out, then before each epoch
        monkeypatch.setattr("methods.lotus.accuracy", lambda task, samples: next(values))
        LoTUS(epochs=5, alpha=2.0).unlearn(given)
        seen = [row.get("temperature") for row in given.recorder.rows]
        assert seen == [pytest.approx(math.exp(0.2)), pytest.approx(math.exp(-0.01)), None]


def test_it_refuses_what_it_cannot_use(network: Callable, make_task: Callable, with_reference: Callable) -> None:
    with pytest.raises(Unsuitable, match=r"held-out samples: set dataset\.reference"):
        LoTUS().unlearn(make_task(network()))
    with pytest.raises(Unsuitable, match="a class per sample"):
        LoTUS().unlearn(with_reference(network(), targets=torch.randn(36, 2)))
    assert LoTUS().needs_reference


def test_frozen_parameters_stay(network: Callable, with_reference: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    LoTUS(epochs=1, lr=0.1).unlearn(with_reference(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[2].weight, before[2].weight)


@pytest.mark.parametrize("variant", [{"share": 1.0}, {"share": 0.0, "alpha": 0.0}], ids=str)
def test_it_keeps_a_methods_promises(variant: dict[str, float]) -> None:
    assert [(promise, problem) for promise, problem in checks(LoTUS, **variant) if problem is not None] == []
