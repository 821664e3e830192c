from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from methods import Recorder, Samples, Unsuitable
from methods.check import checks
from methods.mu_mis import MUMis, sensitivities


def unreadable(raw: Tensor, draws: Tensor | None) -> Tensor:
    raise AssertionError("these samples must not be read")


@pytest.mark.parametrize("batchnorm", [False, True])
def test_sensitivities_are_squared_rows_of_the_jacobian(
    network: Callable, make_task: Callable, whole: Callable, batchnorm: bool
) -> None:
    task = make_task(network(batchnorm=batchnorm).eval())
    inputs, labels = whole(task.forget)
    own, other = sensitivities(task, inputs, labels, (labels + 1) % 3)
    for number, (x, label) in enumerate(zip(inputs, labels, strict=True)):
        rows = jacrev(lambda x: task.model(x[None])[0])(x)
        torch.testing.assert_close(own[number], rows[label].square().sum(), rtol=1e-12, atol=0)
        torch.testing.assert_close(other[number], rows[(label + 1) % 3].square().sum(), rtol=1e-12, atol=0)


def test_a_step_follows_the_derivative_of_their_difference(
    network: Callable, make_task: Callable, whole: Callable
) -> None:
    task = make_task(network(batchnorm=True).eval(), forget=3)
    before, states = copy.deepcopy(task.model), dict(task.model.named_buffers())
    inputs, labels = whole(task.forget)

    def loss(weights: dict[str, Tensor], chosen: Tensor) -> Tensor:
        total = 0
        for x, label, k in zip(inputs, labels, chosen, strict=True):
            rows = jacrev(lambda x: functional_call(before, weights | states, (x[None],))[0])(x)
            total = total + rows[label].square().sum() - rows[k].square().sum()
        return total / len(labels)

    weights = {name: p.detach() for name, p in before.named_parameters()}
    MUMis(epochs=1, lr=0.1, momentum=0.0, weight_decay=0.0).unlearn(task)
    moves = {name: (weights[name] - p).detach() / 0.1 for name, p in task.model.named_parameters()}
    others = list(product(range(3), repeat=3))
    possible = [torch.func.grad(loss)(weights, torch.tensor(chosen)) for chosen in others]
    errors = torch.tensor([max((g[name] - moves[name]).abs().max().item() for name in g) for g in possible])
    wrong = [label != k for label, k in zip(labels.tolist(), others[int(errors.argmin())], strict=True)]
    assert task.recorder.samples_processed == 3 * 3
    assert errors.min() < 1e-12
    assert errors.sort().values[1] > 1e-6
    assert all(wrong)


@pytest.mark.parametrize("classes", [2, 5])
def test_of_a_linear_network_a_step_scales_two_rows(make_task: Callable, classes: int) -> None:
    model = nn.Linear(4, classes)
    before = copy.deepcopy(model)
    task = make_task(model, forget=1, targets=torch.zeros(21, dtype=torch.long), classes=classes)
    MUMis(epochs=1, lr=0.01, momentum=0.0, weight_decay=0.0).unlearn(task)
    torch.testing.assert_close(model.weight[0], 0.98 * before.weight[0], rtol=1e-12, atol=0)
    scaled = [k for k in range(1, classes) if not torch.equal(model.weight[k], before.weight[k])]
    assert len(scaled) == 1
    torch.testing.assert_close(model.weight[scaled[0]], 1.02 * before.weight[scaled[0]], rtol=1e-12, atol=0)
    assert torch.equal(model.bias, before.bias)


@pytest.mark.parametrize(("stop", "epochs"), [(0.0, 2), (1.0, 2), (3.0, 30)])
def test_it_ends_where_the_other_classs_sensitivity_has_risen(make_task: Callable, stop: float, epochs: int) -> None:
    """Of two classes and a linear network, it grows by the same factor in every step."""
    torch.manual_seed(0)
    task = make_task(nn.Linear(4, 2), forget=1, targets=torch.zeros(21, dtype=torch.long), classes=2)
    MUMis(epochs=30, lr=0.005, momentum=0.0, weight_decay=0.0, stop=stop).unlearn(task)
    seen = [row["other_sensitivity"] for row in task.recorder.rows]
    expected = [seen[0] * 1.01 ** (2 * epoch) for epoch in range(30)]
    assert seen == pytest.approx(expected[:epochs], rel=1e-9)


@pytest.mark.parametrize(
    ("seen", "stop", "ended"),
    [
        ([4.0], 0.0, False),
        ([4.0, 3.0], 0.0, False),
        ([4.0, 3.0, 3.5], 0.0, True),
        ([4.0, 3.0, 3.5], 1.0, False),
        ([4.0, 3.0, 4.0], 1.0, True),
        ([4.0, 3.0, 2.0, 2.5], 0.5, True),
    ],
)
def test_the_end_is_past_the_minimum(make_task: Callable, seen: list[float], stop: float, ended: bool) -> None:
    recorder = Recorder()
    for epoch, value in enumerate([9.0, *seen]):  # the first row is another part's
        recorder.record(epoch=epoch, step=epoch, other_sensitivity=value)
    assert MUMis(stop=stop).rose(make_task(None, recorder=recorder), len(seen)) == ended


def test_running_statistics_stay_and_retain_data_is_not_read(network: Callable, make_task: Callable) -> None:
    task = make_task(network(batchnorm=True))
    before = copy.deepcopy(task.model)
    task = replace(task, retain=replace(task.retain, prepare=unreadable))
    model = MUMis(epochs=3, lr=0.1, batch_size=4).unlearn(task)
    assert all(torch.equal(value, dict(before.named_buffers())[name]) for name, value in model.named_buffers())
    assert not torch.equal(model[1].weight, before[1].weight)


def test_frozen_parameters_stay(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    MUMis(epochs=1).unlearn(make_task(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert model[0].weight.grad is None
    assert not torch.equal(model[2].weight, before[2].weight)


def test_under_autocast_lengths_are_summed_in_float32(network: Callable, make_task: Callable, whole: Callable) -> None:
    model = network().float()
    task = make_task(model, dtype=torch.float32, autocast=partial(torch.autocast, "cpu", dtype=torch.bfloat16))
    inputs, labels = whole(task.forget)
    (found,) = sensitivities(task, inputs, labels)
    (exact,) = sensitivities(replace(task, autocast=nullcontext), inputs, labels)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    torch.testing.assert_close(found, exact, rtol=0.05, atol=1e-3)


def test_it_refuses_inputs_and_targets_that_it_cannot_use(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    words = Samples(torch.ones(26, 4, dtype=torch.long), task.forget.targets, task.forget.index, lambda raw, draws: raw)
    with pytest.raises(Unsuitable, match="real numbers"):
        MUMis().unlearn(replace(task, forget=words))
    with pytest.raises(Unsuitable, match="a class per sample"):
        MUMis().unlearn(make_task(network(), targets=torch.randn(26, 2)))


def test_it_keeps_a_methods_promises() -> None:
    assert [(promise, problem) for promise, problem in checks(MUMis, stop=0.0) if problem is not None] == []
