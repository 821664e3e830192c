from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods import Task
from methods.bad_teacher import BadTeacher
from methods.check import checks


@pytest.mark.parametrize("variant", [{"share": 1.0}, {"share": 0.0}, {"temperature": 3.0}], ids=str)
def test_its_variants_keep_their_promises(variant: dict[str, Any]) -> None:
    assert [(promise, problem) for promise, problem in checks(BadTeacher, **variant) if problem is not None] == []


@pytest.mark.parametrize("batchnorm", [False, True])
def test_it_is_a_plain_loop_of_adam(network: Callable, make_task: Callable, batchnorm: bool) -> None:
    original, bad = (network(seed, batchnorm=batchnorm) for seed in (1, 8))
    original(torch.randn(30, 4, generator=torch.Generator().manual_seed(2)))  # running statistics of some data
    task = make_task(copy.deepcopy(original), retain=20, build=lambda stream: copy.deepcopy(bad))
    model, original, bad, tau = original, copy.deepcopy(original).eval(), bad.eval(), 1.5
    chosen = torch.randperm(20, generator=task.generator("retain share"))[:10]
    rows = torch.cat([task.retain.index[chosen], task.forget.index])
    random = task.generator("mixture")
    first, second = ([torch.zeros_like(weight) for weight in model.parameters()] for _ in range(2))
    step = 0
    for _ in range(3):
        for batch in rows[torch.randperm(16, generator=random)].split(6):
            inputs = task.retain.inputs[batch]
            teacher = torch.stack(
                [(bad if row in task.forget.index else original)(task.retain.inputs[row : row + 1])[0] for row in batch]
            )
            p, q = ((values / tau).softmax(1) for values in (teacher, model(inputs)))
            gradients = torch.autograd.grad((p * (p.log() - q.log())).sum(1).mean(), list(model.parameters()))
            step += 1
            for weight, m, v, gradient in zip(model.parameters(), first, second, gradients, strict=True):
                decayed = gradient + 0.01 * weight.detach()
                m.mul_(0.8).add_(0.2 * decayed)
                v.mul_(0.999).add_(0.001 * decayed.square())
                weight.data -= 0.02 * (m / (1 - 0.8**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(6, task.generator("batchnorm"))], model)
    method = BadTeacher(epochs=3, lr=0.02, momentum=0.8, weight_decay=0.01, batch_size=6, share=0.5, temperature=tau)
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-10)


def test_the_bad_teacher_is_a_network_of_its_own(network: Callable, make_task: Callable) -> None:
    streams = []
    task = make_task(network(), build=lambda stream: streams.append(stream) or network(3))
    BadTeacher().unlearn(task)
    assert streams == ["bad teacher"]


def test_an_epoch_is_a_pass_over_the_forget_set_and_the_same_share_of_the_retain_set(
    network: Callable, make_task: Callable
) -> None:
    task = make_task(network(), retain=20, forget=6, build=lambda stream: network(3))
    rows = {tuple(raw.tolist()): row for row, raw in enumerate(task.retain.inputs)}
    [part] = BadTeacher(share=0.3, batch_size=5).passes(task)
    passes = []
    for _ in range(2):
        seen = [
            (rows[tuple(raw.tolist())], told.item())
            for (x, y), _ in part.batches()
            for raw, told in zip(x, y, strict=True)
        ]
        passes.append(seen)
    assert passes[0] != passes[1]
    assert sorted(passes[0]) == sorted(passes[1])
    assert part.steps == 3
    assert sorted(row for row, told in passes[0] if told) == sorted(task.forget.index.tolist())
    kept = {row for row, told in passes[0] if not told}
    assert len(kept) == 6
    assert kept <= set(task.retain.index.tolist())


class TestGradientAtTheLogits:
    """Of a linear model without bias, whose weight's gradient is the transposed gradient at the logits times inputs."""

    @pytest.fixture
    def step(self, make_task: Callable) -> Callable:
        """(method, bad teacher's weight or None for the original's) -> the task, a batch, and the weight's gradient."""

        def run(method: BadTeacher, bad: Tensor | None) -> tuple[Task, tuple[Tensor, Tensor], Tensor]:
            torch.manual_seed(0)
            model = nn.Linear(4, 3, bias=False)

            def build(stream: str) -> nn.Module:
                other = copy.deepcopy(model)
                if bad is not None:
                    other.weight.data.copy_(bad)
                return other

            task = make_task(model, build=build)
            [part] = method.passes(task)
            [batches] = part.batches()
            part.gradients(task, *batches, 0.0)
            return task, batches[0], model.weight.grad

        return run

    def test_of_a_bad_teacher_that_is_the_original_it_is_0(self, step: Callable) -> None:
        assert step(BadTeacher(share=1.0), None)[2].abs().max() < 1e-15

    def test_of_one_that_knows_nothing_it_pulls_towards_uniform(self, step: Callable) -> None:
        task, (inputs, _), gradient = step(BadTeacher(share=0.0), torch.zeros(3, 4))
        p = (inputs @ task.model.weight.T).softmax(1)
        torch.testing.assert_close(gradient, (p - 1 / 3).T @ inputs / 6, rtol=0, atol=1e-12)

    def test_the_temperature_enters_once(self, step: Callable) -> None:
        bad = torch.randn(3, 4, generator=torch.Generator().manual_seed(5))
        task, (inputs, forgotten), gradient = step(BadTeacher(share=0.5, temperature=2.0), bad)
        p, q = ((inputs @ weight.T / 2).softmax(1) for weight in (task.model.weight, bad))
        apart = torch.where(forgotten[:, None], p - q, 0.0)  # on retain data the student is the original
        torch.testing.assert_close(gradient, apart.T @ inputs / (2 * 16), rtol=0, atol=1e-12)


def test_with_nothing_to_forget_the_model_stays(network: Callable, make_task: Callable) -> None:
    model = network()
    before = copy.deepcopy(model)
    task = make_task(model, forget=0, build=lambda stream: network(3))
    BadTeacher(epochs=3, share=1.0).unlearn(task)
    assert task.recorder.samples_processed == 60
    torch.testing.assert_close(model.state_dict(), before.state_dict(), rtol=0, atol=1e-6)


def test_a_learning_rate_of_0_and_frozen_parameters_leave_weights_bit_for_bit(
    network: Callable, make_task: Callable
) -> None:
    model = network(batchnorm=True)
    before = copy.deepcopy(model)
    task = make_task(model, build=lambda stream: network(3, batchnorm=True))
    replace(BadTeacher(), lr=0.0).unlearn(task)
    assert all(torch.equal(w, v) for w, v in zip(model.parameters(), before.parameters(), strict=True))
    model[0].requires_grad_(False)
    BadTeacher().unlearn(task)
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[3].weight, before[3].weight)


def test_an_integer_is_a_momentum(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    optimizer = BadTeacher(momentum=0).optimizer(task, list(task.model.parameters()))
    assert optimizer.defaults["betas"] == (0, 0.999)
