from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import BoundaryExpand, BoundaryShrink, Recorder, Samples, Task, Unsuitable
from methods.boundary import classifier, outward
from methods.check import checks

METHODS = [BoundaryShrink, BoundaryExpand]


@pytest.fixture
def linear() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Linear(4, 3)


def labels_of(samples: Samples) -> Tensor:
    return samples.targets[samples.index]


class TestDirections:
    @pytest.mark.parametrize("seed", range(3))
    def test_they_are_those_of_the_cross_entropys_gradient(self, network: Callable, seed: int) -> None:
        model = network(seed)
        inputs, labels = torch.randn(7, 4, generator=torch.Generator().manual_seed(seed)), torch.arange(7) % 3
        predicted, direction = outward(model, inputs, labels)
        needed = inputs.clone().requires_grad_()
        logits = model(needed)
        (gradient,) = torch.autograd.grad(cross_entropy(logits, labels), needed)
        torch.testing.assert_close(unit(direction), unit(gradient), rtol=0, atol=1e-12)
        assert torch.equal(predicted, logits.argmax(1))

    def test_they_do_not_vanish_where_the_network_is_certain(self) -> None:
        model = nn.Linear(2, 2, bias=False, dtype=torch.float32)
        model.weight.data = torch.tensor([[0.0, 0.0], [200.0, -100.0]], dtype=torch.float32)
        _, direction = outward(model, torch.tensor([[1.0, 0.0]], dtype=torch.float32), torch.tensor([1]))
        assert direction.tolist() == [[-200.0, 100.0]]

    def test_inputs_without_a_gradient_are_refused(self) -> None:
        with pytest.raises(Unsuitable, match="int64"):
            outward(nn.Embedding(5, 3), torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)


class TestShrink:
    @pytest.mark.parametrize("epsilon", [0.1, 0.7])
    def test_the_targets_of_a_linear_network_are_known_in_closed_form(
        self, linear: nn.Linear, make_task: Callable, whole: Callable, epsilon: float
    ) -> None:
        task = make_task(linear, forget=60)
        inputs, labels = whole(task.forget)
        weights, bias = linear.weight.detach(), linear.bias.detach()
        excess = (inputs @ weights.T + bias).softmax(1) - torch.eye(3)[labels]
        moved = inputs + epsilon * (excess @ weights).sign()
        logits = moved @ weights.T + bias
        anything = BoundaryShrink(epsilon=epsilon, target="any", batch_size=7).prepare(task).forget
        assert labels_of(anything).tolist() == logits.argmax(1).tolist()
        other = BoundaryShrink(epsilon=epsilon, batch_size=7).prepare(task).forget
        logits[torch.arange(60), labels] = -torch.inf
        assert labels_of(other).tolist() == logits.argmax(1).tolist()
        assert 0 < (labels_of(anything) != labels_of(other)).sum() < 60

    def test_without_a_step_they_are_the_originals_predictions(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        task = make_task(network(batchnorm=True), forget=60)
        prepared = BoundaryShrink(epsilon=0.0, target="any").prepare(task)
        assert torch.equal(labels_of(prepared.forget), task.model.eval()(whole(task.forget)[0]).argmax(1))

    def test_a_step_is_measured_in_pixels_and_stays_among_them(self) -> None:
        """Two channels of one pixel, of other ranges: the steps are 0.1 of each, and the first is cut at its end."""
        seen = []

        class Watched(nn.Module):
            def forward(self, inputs: Tensor) -> Tensor:
                seen.append(inputs.detach().clone())
                return torch.stack([inputs[:, 0, 0, 0] - inputs[:, 1, 0, 0], torch.zeros(len(inputs))], dim=1)

        ends = torch.tensor([-1.0, 0.0]).view(1, 2, 1, 1), torch.tensor([1.0, 10.0]).view(1, 2, 1, 1)
        inputs = torch.tensor([-0.95, 5.0]).view(1, 2, 1, 1)
        forget = Samples(inputs, torch.tensor([0]), torch.arange(1), lambda raw, draws: raw, bounds=ends)
        BoundaryShrink(epsilon=0.1).prepare(Task(Watched(), forget, forget, 2, 0, None, None))
        assert [each.flatten().tolist() for each in seen] == [[-0.95, 5.0], [-1.0, 6.0]]

    def test_the_steps_teach_them_to_the_original(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        method = BoundaryShrink(epochs=3, lr=0.1, batch_size=4)
        task = make_task(network(batchnorm=True), forget=6)
        reference = copy.deepcopy(task.model).eval()
        targets = method.prepare(replace(task, model=copy.deepcopy(task.model), recorder=Recorder())).forget
        optimizer, random = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9), task.generator("forget")
        for _ in range(3):
            for inputs, labels in targets.epoch(4, random):
                optimizer.zero_grad()
                cross_entropy(reference(inputs), labels).backward()
                optimizer.step()
        torch.testing.assert_close(method.unlearn(task).state_dict(), reference.state_dict(), rtol=0, atol=1e-12)
        assert task.recorder.samples_processed == 6 + 3 * 6


class TestExpand:
    @pytest.mark.parametrize("batchnorm", [False, True])
    def test_it_is_training_a_wider_network_on_the_new_class(
        self, network: Callable, make_task: Callable, batchnorm: bool
    ) -> None:
        method = BoundaryExpand(epochs=3, lr=0.1, batch_size=4)
        task = make_task(network(batchnorm=batchnorm))
        wide, head = network(batchnorm=batchnorm, outputs=4).eval(), task.model[-1]
        row = torch.randn(1, 5, generator=task.generator("boundary output")) * (2 / 9) ** 0.5
        state = copy.deepcopy(task.model.state_dict())
        name = f"{len(wide) - 1}."
        state[name + "weight"] = torch.cat([head.weight.detach(), row])
        state[name + "bias"] = torch.cat([head.bias.detach(), torch.zeros(1)])
        wide.load_state_dict(state)
        optimizer, random = torch.optim.SGD(wide.parameters(), lr=0.1, momentum=0.9), task.generator("forget")
        for _ in range(3):
            for inputs, labels in task.forget.epoch(4, random):
                optimizer.zero_grad()
                cross_entropy(wide(inputs), torch.full_like(labels, 3)).backward()
                optimizer.step()
        expected = wide.state_dict()
        expected[name + "weight"], expected[name + "bias"] = wide[-1].weight[:3], wide[-1].bias[:3]
        model = method.unlearn(task)
        torch.testing.assert_close(model.state_dict(), expected, rtol=0, atol=1e-12)
        assert task.recorder.samples_processed == 3 * 6

    def test_without_a_step_the_logits_are_the_originals_to_the_bit(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        task = make_task(network(batchnorm=True))
        inputs, _ = whole(task.retain)
        before = copy.deepcopy(task.model).eval()
        model = BoundaryExpand(lr=0.0).unlearn(task)
        assert torch.equal(model(inputs), before(inputs))
        assert torch.equal(model.train()(inputs), before.train()(inputs))
        assert model.state_dict().keys() == before.state_dict().keys()

    def test_a_probe_on_the_way_sees_one_logit_per_class(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        shapes = []

        def probe(model: nn.Module) -> dict[str, float]:
            was = model.training
            shapes.append(tuple(model.eval()(whole(task.retain)[0]).shape))
            model.train(was)
            return {}

        task = make_task(network(), recorder=Recorder(probe))
        BoundaryExpand(epochs=3).unlearn(task)
        assert shapes == [(20, 3)] * 2

    def test_the_head_is_the_last_layer_with_an_output_for_each_class(self, network: Callable) -> None:
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 7))
        assert classifier(model, 3) is model[2]
        assert classifier(nn.Linear(4, 3), 3).out_features == 3

    @pytest.mark.parametrize(
        "model",
        [
            nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Conv1d(4, 3, 1), nn.Flatten()),
            nn.Sequential(nn.Linear(4, 3), nn.Identity(), nn.Flatten(), nn.Linear(3, 5), nn.Linear(5, 2)),
            nn.Sequential(nn.Linear(4, 3), nn.AdaptiveAvgPool1d(3)),
        ],
    )
    def test_a_network_without_such_a_layer_at_its_end_is_refused(self, make_task: Callable, model: nn.Module) -> None:
        with pytest.raises(Unsuitable, match="linear layer"):
            BoundaryExpand().unlearn(make_task(model.double()))


@pytest.mark.parametrize("kind", METHODS)
def test_frozen_weights_stay(network: Callable, make_task: Callable, kind: type) -> None:
    model = network()
    model[2].requires_grad_(False)
    before = copy.deepcopy(model)
    kind(lr=0.1).unlearn(make_task(model))
    assert torch.equal(model[2].weight, before[2].weight)
    assert not torch.equal(model[0].weight, before[0].weight)


def test_its_variant_keeps_its_promises() -> None:
    assert [(what, problem) for what, problem in checks(BoundaryShrink, target="any") if problem] == []
