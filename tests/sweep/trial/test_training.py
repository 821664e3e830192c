"""The recipe of originals and of Retrain."""

from __future__ import annotations

import math
from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from torch import nn

from methods.task import Diverged, Recorder
from sweep.tasks.recipes import TrainingSpec
from sweep.trial.training import autocast_context, computed_in, rehearse, train

CPU = torch.device("cpu")


def fit(model, samples, seed=0, criterion=nn.functional.cross_entropy, autocast=nullcontext, recorder=None, **recipe):
    """`train` with a recipe given by what differs from a short one."""
    recipe = TrainingSpec(**({"epochs": 3, "batch_size": 8} | recipe))
    return train(
        model,
        samples,
        recipe,
        seed=seed,
        criterion=criterion,
        autocast=autocast,
        recorder=recorder or Recorder(),
    )


@pytest.fixture
def separable(make_samples):
    """Two classes on either side of a line."""
    inputs = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] > 0).long()
    return make_samples(inputs + torch.stack([targets * 2.0 - 1, torch.zeros(60)], dim=1), targets)


class Slope(nn.Module):
    """A single weight whose gradient is 1 where the loss is the mean output: a step lowers it by the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.weight.expand(len(inputs))


def learning_rates(make_samples, schedule: str, epochs: int, batches: int, lr: float) -> list[float]:
    """The learning rate of every step, seen by its effect."""
    seen = []

    def criterion(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(outputs[0].item())
        return outputs.mean()

    samples = make_samples(torch.zeros(8 * batches, 1), torch.zeros(8 * batches, dtype=torch.int64))
    model = fit(
        Slope(),
        samples,
        criterion=criterion,
        schedule=schedule,
        epochs=epochs,
        lr=lr,
        momentum=0,
        nesterov=False,
        weight_decay=0,
    )
    seen.append(model.weight.item())
    return [before - after for before, after in pairwise(seen)]


def test_cosine_goes_from_the_learning_rate_to_0(make_samples):
    expected = [0.2 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
    assert learning_rates(make_samples, "cosine", epochs=3, batches=4, lr=0.2) == pytest.approx(expected, abs=1e-6)


def test_constant_stays(make_samples):
    assert learning_rates(make_samples, "constant", epochs=2, batches=4, lr=0.2) == pytest.approx([0.2] * 8, abs=1e-6)


def test_one_cycle_rises_from_a_25th_to_its_peak_at_30_percent_and_falls_to_nothing(make_samples):
    steps, peak_step = 29, 0.3 * 30 - 1

    def annealed(start: float, end: float, progress: float) -> float:
        return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

    expected = [
        annealed(0.2 / 25, 0.2, step / peak_step)
        if step <= peak_step
        else annealed(0.2, 0.2 / 25e4, (step - peak_step) / (steps - peak_step))
        for step in range(steps)
    ]
    found = learning_rates(make_samples, "one-cycle", epochs=1, batches=steps, lr=0.2)
    assert found == pytest.approx(expected, abs=1e-6)
    assert max(found) == pytest.approx(0.2)


def test_a_part_has_a_schedule_and_random_numbers_of_its_own(separable):
    """A named part: other batches and another dropout, the same for the same seed; counted, and without a path."""

    def fitted(stream, epochs=None, noise=0, **recipe):
        torch.manual_seed(0)
        model, recorder = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2)), Recorder()
        torch.manual_seed(noise)
        recipe = TrainingSpec(**{"epochs": 3, "batch_size": 8} | recipe)
        rest = {"criterion": nn.functional.cross_entropy, "autocast": nullcontext, "recorder": recorder}
        train(model, separable, recipe, seed=0, epochs=epochs, stream=stream, **rest)
        return [weight.tolist() for weight in model.parameters()], recorder

    weights, recorder = fitted("first", epochs=2)
    assert (recorder.samples_processed, recorder.rows) == (120, [])
    assert fitted("first", epochs=2, noise=1)[0] == weights
    assert fitted("second", epochs=2)[0] != weights
    whole, recorder = fitted("")
    assert (recorder.samples_processed, len(recorder.rows)) == (180, 3)
    assert fitted("", noise=1)[0] != whole


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "constant"])
def test_a_run_may_be_a_single_step(make_samples, schedule):
    assert len(learning_rates(make_samples, schedule, epochs=1, batches=1, lr=0.1)) == 1


def test_a_linear_network_learns_what_is_separable(separable):
    recorder = Recorder()
    model = fit(nn.Linear(2, 2), separable, epochs=20, batch_size=20, lr=2, weight_decay=0, recorder=recorder)
    assert recorder.rows[-1]["retain_loss"] < 0.01
    assert not model.training
    assert (model(separable.inputs).argmax(dim=1) == separable.targets).all()


def test_sgd_is_what_the_recipe_says(make_samples):
    """One step of Nesterov momentum with weight decay, by hand: g = dL/dw + decay w, w - lr (1 + momentum) g."""
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.item()
    fit(
        model,
        make_samples(torch.ones(4, 1), torch.zeros(4)),
        criterion=lambda outputs, targets: outputs.mean(),
        epochs=1,
        lr=0.1,
        momentum=0.5,
        weight_decay=0.2,
    )
    assert model.weight.item() == pytest.approx(before - 0.1 * 1.5 * (1 + 0.2 * before))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(separable):
    def weight(seed: int) -> torch.Tensor:
        torch.manual_seed(0)
        return fit(nn.Linear(2, 2), separable, seed=seed).weight

    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))


def test_what_cannot_be_trained_stays(separable):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].weight.requires_grad_(False)
    before = [model[0].weight.clone(), model[1].weight.clone()]
    fit(model, separable)
    assert torch.equal(model[0].weight, before[0])
    assert not torch.equal(model[1].weight, before[1])


def test_every_epoch_is_recorded_with_its_cost(separable):
    recorder = Recorder()
    fit(nn.Linear(2, 2), separable, epochs=2, batch_size=25, recorder=recorder)
    assert [(row["epoch"], row["step"], row["samples"]) for row in recorder.rows] == [(1, 3, 60), (2, 6, 120)]
    assert recorder.samples_processed == 120


def test_a_loss_that_is_no_number_diverges(separable):
    recorder = Recorder()
    with pytest.raises(Diverged, match="retain_loss is nan in epoch 1"):
        fit(nn.Linear(2, 2), separable, criterion=lambda outputs, _: outputs.sum() * torch.nan, recorder=recorder)
    assert len(recorder.rows) == 1


def test_bfloat16_computes_in_it_and_trains_in_float32(separable):
    seen = set()

    class Watched(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = super().forward(inputs)
            seen.add(outputs.dtype)
            return outputs

    losses = set()

    def criterion(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses.add(outputs.dtype)
        return nn.functional.cross_entropy(outputs, targets)

    model = fit(Watched(2, 2), separable, criterion=criterion, autocast=autocast_context("bfloat16", CPU))
    assert seen == {torch.bfloat16}
    assert losses == {torch.float32}
    assert model.weight.dtype == torch.float32


@pytest.mark.parametrize(("precision", "dtype"), [(name, torch.float32) for name in ("auto", "float32", "tf32")])
def test_other_precisions_are_float32_on_a_cpu(precision, dtype):
    with autocast_context(precision, CPU)():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("precision", "capable", "on_gpu", "on_cpu"),
    [
        ("auto", True, "bfloat16", "float32"),
        ("auto", False, "float32", "float32"),
        ("float32", True, "float32", "float32"),
        ("tf32", True, "tf32", "float32"),
        ("bfloat16", False, "bfloat16", "bfloat16"),
    ],
)
def test_what_a_precision_comes_to(monkeypatch, precision, capable, on_gpu, on_cpu):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capable)
    assert computed_in(precision, torch.device("cuda")) == on_gpu
    assert computed_in(precision, CPU) == on_cpu


def test_a_rehearsal_has_every_size_of_batch_that_training_has(make_samples):
    def sizes(pass_on) -> set[int]:
        network, seen = nn.Linear(3, 2), set()
        network.register_forward_hook(lambda module, inputs, outputs: seen.add(len(outputs)))
        pass_on(network)
        return seen

    def samples(count: int):
        return make_samples(torch.randn(count, 3), torch.zeros(count, dtype=torch.long))

    parts, loss = (samples(22), samples(5)), nn.functional.cross_entropy
    trained = sizes(lambda network: [fit(network, part, epochs=1, batch_size=8) for part in parts])
    assert sizes(lambda network: rehearse(network, parts, 8, loss, nullcontext)) == trained == {8, 6, 5}
    assert sizes(lambda network: rehearse(network, (samples(1),), 8, loss, nullcontext)) == set()
