from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import UNSIR, Samples, Task, Unsuitable
from methods.check import checks

SMALL = {"batch_size": 4, "steps": 3, "copies": 2, "per_class": 5}


@pytest.fixture
def class_task(make_task: Callable) -> Callable[..., Task]:
    """(model, **fields of Task) -> a task to forget class 2: six samples, beside 13 of class 0 and 7 of class 1."""

    def build(model: nn.Module, **fields: object) -> Task:
        task = make_task(model, targets=torch.full((26,), 2), **fields)
        task.retain.targets[task.retain.index] = torch.tensor([0, 0, 1] * 6 + [0, 1])
        return task

    return build


def unreadable(samples: Samples) -> Samples:
    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        raise AssertionError("these samples must not be read")

    return replace(samples, prepare=prepare)


class TestNoise:
    def test_it_is_adam_on_the_error_and_the_length_of_normal_noise(
        self, network: Callable, class_task: Callable
    ) -> None:
        """The gradient is that of finite differences, and Adam is written out."""
        task, method = class_task(network(batchnorm=True)), UNSIR(**SMALL, noise_lr=0.3, penalty=0.2)
        model = copy.deepcopy(task.model).eval()
        random = task.generator("unsir noise")
        expected = []
        for label in (0, 2):
            noise = torch.randn(4, 4, generator=random)
            first, second = torch.zeros(4, 4), torch.zeros(4, 4)
            for step in (1, 2, 3):
                gradient = torch.zeros(4, 4)
                for place in range(16):
                    nudge = torch.zeros(16)
                    nudge[place] = 1e-5
                    ends = []
                    for moved in (noise + nudge.view(4, 4), noise - nudge.view(4, 4)):
                        error = cross_entropy(model(moved), torch.full((4,), label)).item()
                        ends.append(0.2 * moved.square().sum(dim=1).mean().item() - error)
                    gradient.view(-1)[place] = (ends[0] - ends[1]) / 2e-5
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                noise = noise - 0.3 * first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            expected.append(noise)
        found = method.noise(task, torch.tensor([0, 2]))
        torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=1e-6)
        assert task.recorder.samples_processed == 2 * 3 * 4

    def test_it_leaves_the_model_as_it_was(self, network: Callable, class_task: Callable) -> None:
        task = class_task(network(batchnorm=True))
        before = copy.deepcopy(task.model.state_dict())
        UNSIR(**SMALL).noise(task, torch.tensor([2]))
        assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())
        assert all(weight.grad is None for weight in task.model.parameters())

    def test_the_error_rises(self, network: Callable, class_task: Callable) -> None:
        task = class_task(network())
        errors = [
            cross_entropy(
                task.model(UNSIR(batch_size=16, steps=steps).noise(task, torch.tensor([2]))), torch.full((16,), 2)
            )
            for steps in (0, 10, 40)
        ]
        assert errors[0] < errors[1] < errors[2]


class TestRetainSamples:
    def test_there_are_at_most_so_many_of_each_class_drawn_at_random(
        self, network: Callable, class_task: Callable
    ) -> None:
        task = class_task(network())
        few = UNSIR(per_class=9).few_of_each_class(task)
        assert few.targets[few.index].bincount().tolist() == [9, 7]
        assert set(few.index.tolist()) < set(task.retain.index.tolist())
        assert len(set(few.index.tolist())) == 16
        other = UNSIR(per_class=9).few_of_each_class(replace(task, seed=1))
        assert set(other.index.tolist()) != set(few.index.tolist())


class TestEpochs:
    def run(self, task: Task, method: UNSIR, noise: Tensor | None) -> nn.Module:
        """The two parts written out, from the task's own samples."""
        model, few, random = copy.deepcopy(task.model).train(), method.few_of_each_class(task), task.generator("retain")
        inputs, targets = few.inputs[few.index], few.targets[few.index]
        if noise is not None:
            inputs = torch.cat([inputs, *[noise] * method.copies])
            targets = torch.cat([targets, torch.full((len(noise) * method.copies,), 2)])
        noisy = Samples(inputs, targets, torch.arange(len(inputs)), lambda raw, draws: raw)
        for samples, epochs, lr in (
            (noisy, method.impair_epochs, method.impair_lr),
            (few, method.repair_epochs, method.repair_lr),
        ):
            optimizer = torch.optim.Adam(model.parameters(), lr=lr)
            for _ in range(epochs):
                for batch, labels in samples.epoch(4, random):
                    optimizer.zero_grad()
                    cross_entropy(model(batch), labels).backward()
                    optimizer.step()
        settling = task.retain.epoch(4, task.generator("batchnorm"))
        torch.optim.swa_utils.update_bn([batch for batch, _ in settling], model)
        return model

    def test_they_are_adam_on_noise_and_retain_samples_and_then_on_these(
        self, network: Callable, class_task: Callable
    ) -> None:
        task = class_task(network(batchnorm=True))
        method = UNSIR(**SMALL, impair_lr=0.05, repair_lr=0.03, impair_epochs=2, repair_epochs=3)
        noise = method.noise(class_task(copy.deepcopy(task.model)), torch.tensor([2]))
        expected = self.run(task, method, noise)
        model = method.unlearn(replace(task, forget=unreadable(task.forget)))
        torch.testing.assert_close(model.state_dict(), expected.state_dict(), rtol=0, atol=1e-12)
        assert [row["epoch"] for row in task.recorder.rows] == [1, 2, 3, 4, 5]
        assert task.recorder.samples_processed == 3 * 4 + 2 * (2 * 4 + 10) + 3 * 10

    @pytest.mark.parametrize("why", ["no copies", "nothing to forget"])
    def test_without_noise_they_are_fine_tuning_on_few_samples(
        self, network: Callable, class_task: Callable, why: str
    ) -> None:
        task = class_task(network(batchnorm=True))
        method = UNSIR(**SMALL | ({"copies": 0} if why == "no copies" else {}), impair_lr=0.01, repair_lr=0.01)
        expected = self.run(task, method, None)
        if why == "nothing to forget":
            task = replace(task, forget=task.forget.subset(torch.arange(0)))
        torch.testing.assert_close(method.unlearn(task).state_dict(), expected.state_dict(), rtol=0, atol=1e-12)

    def test_learning_rates_of_zero_leave_the_weights_to_the_bit(self, network: Callable, class_task: Callable) -> None:
        task = class_task(network(batchnorm=True))
        before = copy.deepcopy(task.model)
        model = UNSIR(**SMALL, impair_lr=0.0, repair_lr=0.0).unlearn(task)
        assert all(
            torch.equal(left, right) for left, right in zip(model.parameters(), before.parameters(), strict=True)
        )

    def test_frozen_weights_stay(self, network: Callable, class_task: Callable) -> None:
        model = network()
        model[2].requires_grad_(False)
        before = copy.deepcopy(model)
        UNSIR(**SMALL).unlearn(class_task(model))
        assert torch.equal(model[2].weight, before[2].weight)
        assert not torch.equal(model[0].weight, before[0].weight)

    def test_with_noisy_labels_the_class_is_that_of_most_samples(self, network: Callable, class_task: Callable) -> None:
        """One forget sample bears a label of the retain set, and one retain sample the forgotten one."""
        task = class_task(network())
        task.forget.targets[task.forget.index[0]] = 1
        task.retain.targets[task.retain.index[0]] = 2
        UNSIR(**SMALL).unlearn(task)
        retained = 5 + 5 + 1  # at most five of each class
        assert task.recorder.samples_processed == 3 * 4 + (2 * 4 + retained) + retained


class TestWhatItRefuses:
    def test_samples_at_random(self, network: Callable, class_task: Callable) -> None:
        task = class_task(network())
        task.forget.targets[task.forget.index] = torch.tensor([0, 0, 0, 1, 1, 1])
        with pytest.raises(Unsuitable, match="of no class are most samples"):
            UNSIR().unlearn(task)

    def test_inputs_that_noise_cannot_be(self, network: Callable, class_task: Callable) -> None:
        task = class_task(network())
        words = replace(task.retain, inputs=task.retain.inputs.long())
        with pytest.raises(Unsuitable, match="int64"):
            UNSIR().unlearn(replace(task, retain=words))


def test_it_keeps_its_promises_without_copies() -> None:
    assert [(what, problem) for what, problem in checks(UNSIR, copies=0) if problem] == []
