from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from methods import Samples, Task, Unsuitable, certified_ridge
from methods.certified_ridge import CertifiedRidge, Ridge
from methods.check import checks

BOTH = [CertifiedRidge(l2=0.01), CertifiedRidge(l2=0.01, features="inputs")]


def no_fit(*args: object, **kwargs: object) -> nn.Module:
    raise AssertionError("ridge regression has its own training")


@pytest.fixture
def request_to_forget(network: Callable, make_task: Callable) -> Callable[..., Task]:
    """(method, build, outputs) -> a task whose model is that method's original."""

    def build(method: CertifiedRidge, build: Callable | None = None, outputs: int = 1, **arguments: object) -> Task:
        build = build or (lambda stream="": network(outputs=outputs))
        count = int(arguments.get("retain", 20)) + int(arguments.get("forget", 6))
        targets = 1 + torch.randn(count, outputs, generator=torch.Generator().manual_seed(4))
        targets = targets.to(arguments.get("dtype", torch.float64))
        task = make_task(None, targets=targets, classes=None, build=build, **arguments)
        train = replace(task.retain, index=torch.cat([task.retain.index, task.forget.index]))
        return replace(task, model=method.train_original(method.build_original(build, train), train, no_fit))

    return build


def ridge(model: Ridge, samples: Samples, l2: float) -> Tensor:
    """The weights [outputs, k] of ridge regression, from least squares in numpy: without a Gram matrix."""
    found = model.features(samples.inputs[samples.index]).numpy()
    targets = samples.targets[samples.index].double().numpy()
    rows = np.concatenate([found / len(found) ** 0.5, l2**0.5 * np.eye(found.shape[1])])
    sides = np.concatenate([targets / len(found) ** 0.5, np.zeros((found.shape[1], targets.shape[1]))])
    return torch.from_numpy(np.linalg.lstsq(rows, sides, rcond=None)[0].T)


@pytest.mark.parametrize("variant", [{"features": "inputs"}, {"l2": 1.0}], ids=str)
def test_its_variants_keep_their_promises(variant: dict[str, object]) -> None:
    assert [found for found in checks(CertifiedRidge, **variant) if found[1] is not None] == []


class TestRemoval:
    @pytest.mark.parametrize("method", BOTH, ids=repr)
    @pytest.mark.parametrize("outputs", [1, 2])
    def test_it_equals_ridge_regression_without_the_forget_set(
        self, request_to_forget: Callable, method: CertifiedRidge, outputs: int
    ) -> None:
        task = request_to_forget(method, outputs=outputs)
        everyone = replace(task.retain, index=torch.cat([task.retain.index, task.forget.index]))
        original = task.model.head.weight.detach().clone()
        torch.testing.assert_close(original, ridge(task.model, everyone, 0.01), rtol=0, atol=1e-13)
        model = method.unlearn(task)
        torch.testing.assert_close(model.head.weight.detach(), ridge(model, task.retain, 0.01), rtol=0, atol=1e-13)
        assert (model.head.weight - original).abs().max() > 0.01

    def test_nothing_else_is_left_of_the_forget_set(self, request_to_forget: Callable) -> None:
        method = CertifiedRidge()
        task = request_to_forget(method)
        anew = method.train_original(method.build_original(task.build, task.retain), task.retain, no_fit)
        torch.testing.assert_close(method.unlearn(task).state_dict(), anew.state_dict(), rtol=0, atol=1e-12)

    def test_one_request_after_another_is_as_good_as_one(self, request_to_forget: Callable) -> None:
        method = CertifiedRidge()
        task = request_to_forget(method)
        for row in range(6):
            method.unlearn(replace(task, forget=task.forget.subset(torch.tensor([row]))))
        expected = ridge(task.model, task.retain, method.l2)
        torch.testing.assert_close(task.model.head.weight.detach(), expected, rtol=0, atol=1e-12)

    def test_the_step_is_exact_from_wherever_it_starts(self, request_to_forget: Callable) -> None:
        method = CertifiedRidge()
        task = request_to_forget(method)
        nn.init.normal_(task.model.head.weight)
        model = method.unlearn(task)
        torch.testing.assert_close(model.head.weight.detach(), ridge(model, task.retain, method.l2), rtol=0, atol=1e-12)

    def test_with_nothing_to_forget_the_original_stays(self, request_to_forget: Callable) -> None:
        task = request_to_forget(CertifiedRidge(), forget=0)
        before = task.model.head.weight.detach().clone()
        after = CertifiedRidge().unlearn(task).head.weight.detach()
        torch.testing.assert_close(after, before, rtol=0, atol=1e-13)

    def test_it_says_what_it_certifies(self, request_to_forget: Callable) -> None:
        task = request_to_forget(CertifiedRidge())
        CertifiedRidge().unlearn(task)
        notes = task.recorder.notes
        assert (notes["epsilon"], notes["delta"]) == (0, 0)
        assert "outputs of an untrained network" in str(notes["certificate"])
        assert "(inputs)" in CertifiedRidge(features="inputs").certificate
        (row,) = task.recorder.rows
        assert row["gradient_norm"] < 1e-13
        assert row["samples"] == 6


class TestFeatures:
    def test_they_are_the_untrained_network_without_its_last_layer(
        self, request_to_forget: Callable, network: Callable
    ) -> None:
        task = request_to_forget(CertifiedRidge())
        inputs = task.retain.inputs
        before_last = network(outputs=1)[:-1](inputs)
        expected = before_last / before_last.norm(dim=1, keepdim=True)
        torch.testing.assert_close(task.model.features(inputs)[:, :-1], expected, rtol=1e-12, atol=1e-14)

    def test_batchnorm_and_the_body_never_see_the_data(self, network: Callable, request_to_forget: Callable) -> None:
        def build(stream: str = "") -> nn.Module:
            return network(batchnorm=True, outputs=1)

        method = CertifiedRidge()
        task = request_to_forget(method, build=build)
        task.model.train()(task.retain.inputs)
        body, fresh = method.unlearn(task).body.state_dict(), build().state_dict()
        assert {name for name in fresh if name not in body} == {"3.weight", "3.bias"}
        assert all(torch.equal(value, fresh[name]) for name, value in body.items())

    def test_of_a_float32_network_they_are_float64(self, network: Callable, request_to_forget: Callable) -> None:
        method = CertifiedRidge()
        task = request_to_forget(method, build=lambda stream="": network(outputs=1).float(), dtype=torch.float32)
        model = method.unlearn(task)
        assert model.head.weight.dtype == torch.float64
        torch.testing.assert_close(model.head.weight.detach(), ridge(model, task.retain, method.l2), rtol=0, atol=1e-12)

    def test_its_original_can_be_stored_and_loaded(self, network: Callable, request_to_forget: Callable) -> None:
        method = CertifiedRidge()
        task = request_to_forget(method)
        loaded = method.build_original(lambda stream="": network(seed=5, outputs=1), task.retain)
        loaded.load_state_dict(copy.deepcopy(task.model.state_dict()))
        ends = [method.unlearn(replace(task, model=model)).state_dict() for model in (task.model, loaded)]
        assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())

    def test_what_it_cannot_work_on_is_refused(
        self, make_task: Callable, network: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = make_task(None, targets=torch.randn(26, 1)).retain
        method = CertifiedRidge()

        def untrained(*layers: nn.Module) -> Callable:
            return lambda stream="": nn.Sequential(*layers)

        with pytest.raises(Unsuitable, match="last layer is linear"):
            method.build_original(untrained(nn.Linear(4, 1), nn.BatchNorm1d(1)), numbers)
        grids = replace(numbers, targets=torch.randn(26, 2, 1))
        with pytest.raises(Unsuitable, match="needs regression"):
            method.build_original(untrained(nn.Unflatten(1, (2, 2)), nn.Linear(2, 1)), grids)
        for targets in (torch.randn(26), torch.randn(26, 2), torch.ones(26, 1, dtype=torch.int64)):
            with pytest.raises(Unsuitable, match="needs regression"):
                method.build_original(lambda stream="": network(outputs=1), replace(numbers, targets=targets))
        monkeypatch.setattr(certified_ridge, "MOST_BYTES", 100)
        with pytest.raises(Unsuitable, match="GiB for 6 features"):
            method.build_original(lambda stream="": network(outputs=1), numbers)
