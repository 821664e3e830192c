"""BatchNorm's running statistics: whose they are, and when they are estimated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from watched_samples import unreadable, watched

from methods import Recorder, Task, descent
from methods.descent import estimate_running_statistics
from methods.finetune import FineTune
from methods.neggrad import NegGrad
from methods.randomlabel import RandomLabel
from methods.uam import UAM

USES_BOTH = [NegGrad(retain_weight=0.9), RandomLabel(), UAM(hessian="exact")]


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
