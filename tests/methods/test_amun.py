from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import AMUN, FineTune, Recorder, Samples, Task, Unsuitable
from methods.amun import extended
from methods.check import checks

BESIDE = ["retain and forget", "retain", "forget", "nothing"]


def straight_line(model: nn.Linear, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each input from the nearest other class of a linear network, and that class; 0 for those wrong."""
    logits = model(inputs).detach()
    rows = torch.arange(len(labels))
    margins = logits[rows, labels][:, None] - logits
    slopes = (model.weight[labels][:, None] - model.weight).detach().norm(dim=2)
    slopes[rows, labels] = torch.nan
    nearest = (margins / slopes).nan_to_num(nan=torch.inf)
    distance, label = nearest.min(dim=1)
    wrong = logits.argmax(1) != labels
    return torch.where(wrong, 0.0, distance), torch.where(wrong, logits.argmax(1), label)


def after(samples: Samples, count: int) -> tuple[Tensor, Tensor]:
    """All samples after the first `count`, or the last `-count`, as one batch."""
    count = count if count >= 0 else len(samples) + count
    return next(samples.subset(torch.arange(count, len(samples))).in_order(len(samples)))


class TestExamples:
    @pytest.mark.parametrize(("classes", "longest"), [(2, 1.2), (3, 2.0)])
    def test_a_linear_networks_are_just_across_the_nearest_boundary(self, classes: int, longest: float) -> None:
        """Of two classes the way is straight, and a last step is a tenth of a radius below twice the distance."""
        torch.manual_seed(0)
        linear = nn.Linear(4, classes)
        inputs, labels = torch.randn(60, 4), torch.randint(classes, (60,))
        forget = Samples(inputs, labels, torch.arange(60), lambda raw, draws: raw)
        distance, nearest = straight_line(linear, inputs, labels)
        prepared = AMUN(batch_size=16).prepare(task := Task(linear, forget, forget, classes, 0, None, None))
        examples, found = after(prepared.retain, -60)
        assert torch.equal(linear(examples).argmax(1), found)
        assert torch.equal(found, nearest)
        length = (examples - inputs).norm(dim=1)
        far = distance > 0.04
        assert 25 < far.sum() < 40
        assert (length >= distance).all()
        assert (length[far] <= longest * distance[far]).all()
        assert torch.equal(examples[distance == 0], inputs[distance == 0])
        assert task.recorder.notes == {"adversarial_examples": 60}

    @pytest.fixture
    def two_classes(self) -> Task:
        """Numbers of two classes that a network divides at 0; the third is classified as the other already."""
        model = nn.Linear(1, 2, bias=False)
        model.weight.data = torch.tensor([[-1.0], [1.0]])
        inputs, labels = torch.tensor([[-0.095], [0.13], [0.01], [-0.2]]), torch.tensor([0, 1, 0, 0])
        forget = Samples(inputs, labels, torch.arange(4), lambda raw, draws: raw)
        return Task(model, forget, forget, 2, 0, None, None)

    def test_each_search_goes_on_in_steps_of_a_tenth_of_the_radius_until_its_class_is_wrong(
        self, two_classes: Task, whole: Callable
    ) -> None:
        examples, classes = AMUN(radius=0.02, steps=15).attack(two_classes, *whole(two_classes.forget))
        # reached at most: 0.02, 0.04 and 0.08; then by 0.016 at a time up to 0.16, and by 0.032 at a time
        expected = [-0.095 + 0.08 + 0.016, 0.13 - 0.08 - 4 * 0.016, 0.01, -0.2 + 0.16 + 2 * 0.032]
        torch.testing.assert_close(examples[:, 0], torch.tensor(expected), rtol=0, atol=1e-12)
        assert classes.tolist() == [1, 0, 1, 1]
        assert two_classes.recorder.samples_processed == 1 + 3 * 45 + (2 + 5 + 15) + 3

    def test_a_sample_that_none_is_found_for_has_none(self, two_classes: Task, whole: Callable) -> None:
        examples, classes = AMUN(radius=0.02, steps=15, doublings=3).attack(two_classes, *whole(two_classes.forget))
        torch.testing.assert_close(examples[:, 0], torch.tensor([0.001, -0.014, 0.01]))
        assert classes.tolist() == [1, 0, 1]

    @pytest.mark.parametrize(("first", "bias"), [(0.05, -0.3), (0.01, -0.18)])
    def test_its_distance_is_measured_in_pixels_and_it_stays_among_them(self, first: float, bias: float) -> None:
        """An image of one pixel and two channels, p = (first, 0.5), at 0.07 from the boundary 3 p0 + 4 p1 = const.

        The network takes (2 p0 - 1, 10 p1).
        """
        ends = torch.tensor([-1.0, 0.0]).view(1, 2, 1, 1), torch.tensor([1.0, 10.0]).view(1, 2, 1, 1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
        model[1].weight.data = torch.tensor([[1.5, 0.4], [0.0, 0.0]])
        model[1].bias.data = torch.tensor([bias, 0.0])
        inputs, labels = torch.tensor([2 * first - 1, 5.0]).view(1, 2, 1, 1), torch.tensor([0])
        forget = Samples(inputs, labels, torch.arange(1), lambda raw, draws: raw, bounds=ends)
        examples, _ = AMUN().attack(Task(model, forget, forget, 2, 0, None, None), inputs, labels)
        found = ((examples - ends[0]) / (ends[1] - ends[0])).flatten()
        if first == 0.05:  # 0.04, and 4 steps of 0.008, straight on
            torch.testing.assert_close(found, torch.tensor([0.05 - 0.6 * 0.072, 0.5 - 0.8 * 0.072]))
        else:
            assert found[0] == 0
            assert 0 < 4 * (0.5 - found[1]) - (5 * 0.07 - 3 * 0.01) < 4 * 0.8 * 0.016  # a step


class TestTraining:
    def test_without_forget_samples_it_is_fine_tuning(self, network: Callable, make_task: Callable) -> None:
        shape = {"epochs": 3, "batch_size": 8}
        tuned = FineTune(**shape).unlearn(make_task(network(batchnorm=True), forget=0))
        model = AMUN(**shape).unlearn(make_task(network(batchnorm=True), forget=0))
        assert all(torch.equal(value, tuned.state_dict()[name]) for name, value in model.state_dict().items())

    @pytest.mark.parametrize("beside", BESIDE)
    def test_without_examples_it_is_fine_tuning_on_the_rest(
        self, network: Callable, make_task: Callable, beside: str
    ) -> None:
        """A network that knows one class only has no misclassified inputs near."""
        constant = network(batchnorm=True)
        constant[-1].weight.data.zero_()
        constant[-1].bias.data = torch.tensor([1e3, 0.0, 0.0])
        shape = {"epochs": 3, "batch_size": 8}
        method = AMUN(**shape, beside=beside, steps=2, doublings=2)
        task = make_task(copy.deepcopy(constant), targets=torch.zeros(26, dtype=torch.int64))
        rows = [
            index for name, index in (("retain", task.retain.index), ("forget", task.forget.index)) if name in beside
        ]
        if not rows:
            with pytest.raises(Unsuitable, match="no adversarial example"):
                method.unlearn(task)
            return
        settled = method.unlearn(task)
        other = replace(task, model=constant, retain=replace(task.retain, index=torch.cat(rows)), recorder=Recorder())
        tuned = FineTune(**shape).unlearn(other)
        if "retain" in beside:
            assert all(
                torch.equal(weight, dict(tuned.named_parameters())[name]) for name, weight in settled.named_parameters()
            )

    @pytest.mark.parametrize("beside", BESIDE)
    def test_it_is_sgd_on_the_examples_and_the_sets_named(
        self, network: Callable, make_task: Callable, whole: Callable, beside: str
    ) -> None:
        method = AMUN(epochs=3, lr=0.1, batch_size=8, decay_every=2, beside=beside)
        task, model = make_task(network(batchnorm=True)), network(batchnorm=True)
        examples = after(method.prepare(make_task(network(batchnorm=True))).retain, -6)
        parts = [whole(getattr(task, name)) for name in ("retain", "forget") if name in beside]
        inputs, targets = (torch.cat(each) for each in zip(*parts, examples, strict=True))
        everything = Samples(inputs, targets, torch.arange(len(targets)), lambda raw, draws: raw)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        model.train("retain" in beside)
        random = task.generator("retain")
        for epoch in (1, 2, 3):
            optimizer.param_groups[0]["lr"] = 0.01 if epoch == 3 else 0.1
            for inputs, targets in everything.epoch(8, random):
                optimizer.zero_grad()
                cross_entropy(model(inputs), targets).backward()
                optimizer.step()
        if "retain" in beside:
            settling = task.retain.epoch(8, task.generator("batchnorm"))
            torch.optim.swa_utils.update_bn([inputs for inputs, _ in settling], model)
        torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("beside", ["retain", "nothing"])
    def test_its_variants_keep_their_promises(self, beside: str) -> None:
        assert [(what, problem) for what, problem in checks(AMUN, beside=beside) if problem] == []

    def test_frozen_weights_stay(self, network: Callable, make_task: Callable) -> None:
        model = network()
        model[2].requires_grad_(False)
        before = copy.deepcopy(model)
        AMUN(epochs=1).unlearn(make_task(model))
        assert torch.equal(model[2].weight, before[2].weight)
        assert not torch.equal(model[0].weight, before[0].weight)


class TestExtended:
    @pytest.fixture
    def images(self) -> Samples:
        """Ten images of 2 x 2 raw pixels, of which seven are ours; augmentation adds what it draws."""
        raw = torch.arange(40, dtype=torch.uint8).view(10, 1, 2, 2)

        def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
            return raw / 10 + (0 if draws is None else draws.view(-1, 1, 1, 1))

        def draw(count: int, random: torch.Generator) -> Tensor:
            return 1 + torch.rand(count, 1, generator=random)

        return Samples(raw, torch.arange(10), torch.tensor([9, 0, 4, 2, 7, 3, 6]), prepare, draw)

    def test_the_others_follow_and_are_not_augmented(self, images: Samples) -> None:
        others, targets = -torch.rand(3, 1, 2, 2), torch.tensor([11, 12, 11])
        both = extended(images, others, targets)
        assert len(both) == 10
        torch.testing.assert_close(
            torch.cat([x for x, _ in both.in_order(4)]), torch.cat([next(images.in_order(7))[0], others])
        )
        seen: dict[int, Tensor] = {}
        for inputs, labels in both.epoch(4, torch.Generator().manual_seed(0)):
            for one, label in zip(inputs, labels.tolist(), strict=True):
                if label > 10:
                    assert any(torch.equal(one, other) for other in others)
                else:
                    seen[label] = one
        assert sorted(seen) == sorted(images.index.tolist())
        shifts = torch.stack([seen[label] - images.inputs[label] / 10 for label in seen])
        assert (shifts >= 1).all()
        assert torch.allclose(shifts, shifts[:, :, :1, :1])

    def test_of_none_the_samples_stay_what_they_are(self, images: Samples) -> None:
        assert extended(images, torch.empty(0, 1, 2, 2), torch.empty(0, dtype=torch.int64)) is images
