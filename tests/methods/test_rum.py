from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from methods import METHODS, Method, Task, Unsuitable, hyperparameter
from methods.check import checks
from methods.finetune import FineTune
from methods.neggrad import NegGrad
from methods.rum import RUM


def same(left: nn.Module, right: nn.Module) -> bool:
    return all(torch.equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, list[int], list[int], Tensor]]:
    """What the inner method `spy` was given: its size, retain and forget rows, and a weight. It adds 1 to that."""
    seen = []

    @dataclass(frozen=True)
    class Spy(Method):
        """Adds 1 to a weight."""

        name: ClassVar[str] = "spy"
        source: ClassVar[str] = "this test"

        lr: float = hyperparameter(0.5, "nothing")
        size: int = hyperparameter(3, "nothing")

        def unlearn(self, task: Task) -> nn.Module:
            weight = task.model[0].weight
            seen.append((self.lr, task.retain.index.tolist(), task.forget.index.tolist(), weight.detach().clone()))
            model = copy.deepcopy(task.model)
            with torch.no_grad():
                model[0].weight += 1
            task.recorder.record(epoch=1, step=2)
            return model

    monkeypatch.setitem(METHODS, "spy", Spy)
    return seen


def test_parts_go_from_the_surest_to_the_least_sure(
    network: Callable, make_task: Callable, whole: Callable, spied: list
) -> None:
    task = make_task(network(batchnorm=True), forget=8)
    inputs, labels = whole(task.forget)
    sureness = copy.deepcopy(task.model).eval()(inputs).softmax(1)[range(8), labels]
    rows = task.forget.index[sureness.argsort(descending=True)].tolist()
    model = RUM("spy,original , spy,spy").unlearn(task)
    expected = [rows[:2], rows[4:6], rows[6:]]
    assert [sorted(forget) for _, _, forget, _ in spied] == [sorted(part) for part in expected]
    for (_, retain, forget, _), later in zip(spied, (rows[2:], rows[6:], []), strict=True):
        assert retain[:20] == task.retain.index.tolist()
        assert sorted(retain[20:]) == sorted(later)
        order = task.forget.index.tolist()
        assert forget == sorted(forget, key=order.index)
    for number, (_, _, _, weight) in enumerate(spied):
        torch.testing.assert_close(weight, task.model[0].weight + number)
    torch.testing.assert_close(model[0].weight, task.model[0].weight + 3)
    assert [(row["epoch"], row["step"]) for row in task.recorder.rows] == [(1, 2), (2, 4), (3, 6)]
    assert not model.training


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("inner", ["neggrad", "uam", "fisher"])
def test_one_part_is_the_inner_method(network: Callable, make_task: Callable, batchnorm: bool, inner: str) -> None:
    alone = METHODS[inner]().unlearn(make_task(network(batchnorm=batchnorm)))
    assert same(RUM(inner).unlearn(make_task(network(batchnorm=batchnorm))), alone)


def test_so_is_the_only_part_with_a_sample(network: Callable, make_task: Callable) -> None:
    alone = NegGrad(epochs=3).unlearn(make_task(network(), forget=1))
    assert same(RUM("neggrad,finetune,randomlabel", epochs=3).unlearn(make_task(network(), forget=1)), alone)


def test_without_forget_samples_nothing_changes(network: Callable, make_task: Callable) -> None:
    model = RUM("finetune,finetune").unlearn(make_task(network(), forget=0))
    assert same(model, network())


def test_parts_are_forgotten_one_after_another(network: Callable, make_task: Callable) -> None:
    task = make_task(network(), forget=6)
    found = RUM("neggrad, finetune", lr=0.05, epochs=2, batch_size=4).unlearn(task)
    shape = {"lr": 0.05, "epochs": 2, "batch_size": 4}
    by_hand = make_task(network(), forget=6)
    inputs, labels = next(by_hand.forget.in_order(6))
    sureness = by_hand.model(inputs).softmax(1)[range(6), labels].tolist()
    ranked = sorted(range(6), key=lambda row: -sureness[row])
    first, second = sorted(ranked[:3]), sorted(ranked[3:])
    index = by_hand.forget.index
    retain = replace(by_hand.retain, index=torch.cat([by_hand.retain.index, index[second]]))
    model = NegGrad(**shape).unlearn(replace(by_hand, retain=retain, forget=by_hand.forget.subset(torch.tensor(first))))
    model = FineTune(**shape).unlearn(replace(by_hand, model=model))
    assert same(found, model)
    assert task.recorder.samples_processed == by_hand.recorder.samples_processed == 2 * 3 + 2 * 20


def test_inner_methods_have_their_own_defaults_or_what_is_shared(
    network: Callable, make_task: Callable, spied: list
) -> None:
    RUM("spy").unlearn(make_task(network()))
    RUM("spy", lr=0.125, epochs=7).unlearn(make_task(network()))
    assert [lr for lr, _, _, _ in spied] == [0.5, 0.125]
    assert RUM("finetune, fisher", lr=0.125, epochs=7, batch_size=5).chosen() == [
        FineTune(lr=0.125, epochs=7, batch_size=5),
        METHODS["fisher"](),
    ]


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("finetune, nonsense", "'nonsense' is no method that it can use"),
        ("rum", "'rum' is no method that it can use"),
        ("", "'' is no method that it can use"),
        ("retrain", "retrain does not start from the ordinary original"),
    ],
)
def test_it_refuses_other_names(network: Callable, make_task: Callable, inner: str, message: str) -> None:
    with pytest.raises(Unsuitable, match=message):
        RUM(inner).unlearn(make_task(network()))


def test_it_needs_held_out_samples_where_a_method_does() -> None:
    assert RUM("finetune, lotus").needs_reference
    assert not RUM().needs_reference
    assert not RUM("nonsense").needs_reference


@pytest.mark.parametrize("variant", [{"inner": "neggrad,neggrad", "lr": 0.01}, {"inner": "original, uam"}], ids=str)
def test_it_keeps_a_methods_promises(variant: dict[str, object]) -> None:
    assert [(promise, problem) for promise, problem in checks(RUM, **variant) if problem is not None] == []
