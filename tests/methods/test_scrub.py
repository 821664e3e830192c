from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Samples, Task, Unsuitable
from methods.check import checks
from methods.finetune import FineTune
from methods.scrub import Scrub


def same(left: nn.Module, right: nn.Module) -> bool:
    state = right.state_dict()
    return all(torch.equal(value, state[name]) for name, value in left.state_dict().items())


@pytest.mark.parametrize(
    "variant", [{"rewind": True}, {"msteps": 0}, {"msteps": 7}, {"alpha": 0.0}, {"forget_batch_size": 5}], ids=str
)
def test_its_variants_keep_their_promises(variant: dict[str, Any]) -> None:
    assert [(promise, problem) for promise, problem in checks(Scrub, **variant) if problem is not None] == []


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_it_is_a_plain_loop_of_passes_over_the_forget_and_the_retain_set(
    network: Callable, make_task: Callable, batchnorm: bool, momentum: float
) -> None:
    original = network(1, batchnorm=batchnorm)
    original(torch.randn(30, 4, generator=torch.Generator().manual_seed(2)))  # running statistics of some data
    task, temperature = make_task(copy.deepcopy(original), seed=1, retain=19), 3.0
    model, original = original, copy.deepcopy(original).eval()
    retain_random, forget_random = task.generator("retain"), task.generator("forget")
    velocity = [torch.zeros_like(weight) for weight in model.parameters()]

    def distance(inputs: Tensor) -> Tensor:
        p, q = (network(inputs).div(temperature).softmax(1) for network in (original, model))
        return temperature**2 * (p * (p.log() - q.log())).sum(1).mean()

    def step(loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for weight, speed, gradient in zip(model.parameters(), velocity, gradients, strict=True):
            speed.mul_(momentum).add_(gradient + 0.01 * weight.detach())
            weight.data -= 0.05 * speed

    for epoch in (1, 2, 3):
        if epoch <= 2:
            for inputs, _ in task.forget.epoch(4, forget_random):
                step(-distance(inputs))
        for inputs, targets in task.retain.epoch(8, retain_random):
            step(0.3 * distance(inputs) + 0.8 * cross_entropy(model(inputs), targets))
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(8, task.generator("batchnorm"))], model)

    method = Scrub(
        epochs=3,
        msteps=2,
        lr=0.05,
        momentum=momentum,
        weight_decay=0.01,
        batch_size=8,
        forget_batch_size=4,
        alpha=0.3,
        gamma=0.8,
        temperature=temperature,
    )
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)
    assert [(row["epoch"], row["step"]) for row in task.recorder.rows] == [(1, 5), (2, 10), (3, 13)]
    assert ["forget_divergence" in row for row in task.recorder.rows] == [True, True, False]


@pytest.mark.parametrize("changes", [{"msteps": 0}, {"msteps": 3, "forget": 0}], ids=str)
def test_without_a_forget_pass_and_a_teacher_it_is_fine_tuning(
    network: Callable, make_task: Callable, changes: dict[str, int]
) -> None:
    shape = {"epochs": 3, "lr": 0.05, "batch_size": 8}
    tasks = [make_task(network(batchnorm=True), retain=19, forget=changes.get("forget", 6)) for _ in range(2)]
    scrubbed = Scrub(**shape, msteps=changes["msteps"], alpha=0.0, gamma=1.0).unlearn(tasks[0])
    assert same(scrubbed, FineTune(**shape).unlearn(tasks[1]))
    assert tasks[0].recorder.samples_processed == tasks[1].recorder.samples_processed


class TestForgetSteps:
    @pytest.fixture
    def gradient(self, make_task: Callable) -> Callable:
        """(change) -> the task, the original's weight, and the weight's gradient in a forget step of a linear model.

        `change` is added to the weight after the teacher was copied.
        """

        def run(change: Tensor, temperature: float) -> tuple[Task, Tensor, Tensor]:
            torch.manual_seed(0)
            model = nn.Linear(4, 3, bias=False)
            task, original = make_task(model), model.weight.detach().clone()
            leave, _ = Scrub(temperature=temperature).passes(task)
            model.weight.data += change
            [batches] = leave.batches()
            leave.gradients(task, *batches, 0.0)
            return task, original, model.weight.grad

        return run

    def test_at_the_original_they_do_not_move(self, gradient: Callable) -> None:
        assert gradient(torch.zeros(3, 4), temperature=2.0)[2].abs().max() < 1e-12

    def test_they_follow_the_closed_form_away_from_the_teacher(self, gradient: Callable) -> None:
        change = torch.randn(3, 4, generator=torch.Generator().manual_seed(5))
        task, original, found = gradient(change, temperature=2.0)
        inputs = task.forget.inputs[task.forget.index]
        apart = (inputs @ (original + change).T / 2).softmax(1) - (inputs @ original.T / 2).softmax(1)
        torch.testing.assert_close(found, -2.0 * apart.T @ inputs / len(inputs), rtol=0, atol=1e-12)


def test_a_learning_rate_of_0_and_frozen_parameters_leave_weights_bit_for_bit(
    network: Callable, make_task: Callable
) -> None:
    model = network(batchnorm=True)
    before = copy.deepcopy(model)
    Scrub(lr=0.0).unlearn(make_task(model))
    assert all(torch.equal(w, v) for w, v in zip(model.parameters(), before.parameters(), strict=True))
    model[0].requires_grad_(False)
    Scrub(lr=0.1).unlearn(make_task(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[3].weight, before[3].weight)


WALK = {"msteps": 2, "lr": 0.02, "batch_size": 7, "forget_batch_size": 5, "temperature": 1.0}


class TestRewinding:
    """Forgets all of class 2 and some of class 0; held-out samples are of other proportions, and none is of class 1."""

    @pytest.fixture
    def request_to_forget(self, network: Callable, make_task: Callable) -> Callable:
        """(held-out classes) -> a task with such held-out samples, its original trained."""

        def build(*held_out: int) -> Task:
            targets = torch.tensor([0, 1] * 10 + [0, 2, 2, 2] * 4 + list(held_out))
            random = torch.Generator().manual_seed(11)
            inputs = torch.randn(len(targets), 4, generator=random) + torch.eye(4)[targets]
            everything = Samples(inputs, targets, torch.arange(len(targets)), lambda raw, draws: raw)
            retain, forget, train = (everything.subset(torch.arange(*ends)) for ends in ((20,), (20, 36), (36,)))
            model = network(4, batchnorm=True, hidden=8)
            FineTune(epochs=10, lr=0.1, batch_size=9).unlearn(replace(make_task(model), retain=train))
            reference = everything.subset(torch.arange(36, len(targets))) if held_out else None
            return replace(make_task(model), retain=retain, forget=forget, reference=reference)

        return build

    def test_it_returns_the_epoch_whose_forget_error_is_nearest_to_the_reference(
        self, request_to_forget: Callable
    ) -> None:
        held_out = [0] * 20 + [2] * 10
        walks = [Scrub(epochs=k, **WALK).unlearn(request_to_forget(*held_out)) for k in range(1, 7)]
        task = request_to_forget(*held_out)

        def mistakes(model: nn.Module, samples: Samples) -> Tensor:
            return model(samples.inputs[samples.index]).argmax(1) != samples.targets[samples.index]

        errors = [mistakes(model, task.forget).double().mean().item() for model in walks]
        wrong = mistakes(walks[-1], task.reference).double()
        wanted = 0.25 * wrong[:20].mean().item() + 0.75 * wrong[20:].mean().item()
        assert abs(wanted - wrong.mean().item()) > 0.05  # its classes do count as in the forget set
        nearest = min(range(6), key=lambda k: abs(errors[k] - wanted))
        assert 0 < nearest < 5
        rewound = Scrub(epochs=6, rewind=True, **WALK).unlearn(task)
        assert same(rewound, walks[nearest])
        assert not same(rewound, walks[-1])
        assert not any(layer.training for layer in rewound.modules())
        assert task.recorder.notes == pytest.approx(
            {"rewound_to_epoch": nearest + 1, "forget_error": errors[nearest], "reference_error": wanted}
        )

    @pytest.mark.parametrize(
        ("held_out", "message"), [((), "set dataset.reference, as in 0.1"), ((1, 1, 1), "none of the forget set's")]
    )
    def test_without_such_samples_it_refuses_before_anything_is_computed(
        self, request_to_forget: Callable, held_out: tuple[int, ...], message: str
    ) -> None:
        task = request_to_forget(*held_out)
        before = copy.deepcopy(task.model)
        with pytest.raises(Unsuitable, match=message):
            Scrub(rewind=True).unlearn(task)
        assert same(task.model, before)
        assert task.recorder.samples_processed == 0

    def test_only_rewinding_needs_held_out_samples(self) -> None:
        assert [Scrub(rewind=rewind).needs_reference for rewind in (False, True)] == [False, True]
