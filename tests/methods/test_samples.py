from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Diverged, Recorder, Samples
from methods.task import batch_bounds, derived_seed


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def samples() -> Samples:
    """Rows 10 to 22 of 30, whose input is the row and whose target is a hundred more."""
    return Samples(torch.arange(30.0)[:, None], 100 + torch.arange(30), torch.arange(10, 23), lambda raw, draws: raw)


@pytest.fixture
def shifted(samples: Samples) -> Samples:
    """The same, augmented by adding a random number."""
    return replace(
        samples,
        prepare=lambda raw, draws: raw if draws is None else raw + draws,
        draw=lambda count, random: torch.rand(count, 1, generator=random),
    )


@pytest.mark.parametrize(
    ("count", "batch_size", "bounds"),
    [
        (6, 3, [(0, 3), (3, 6)]),
        (8, 3, [(0, 3), (3, 6), (6, 8)]),
        (7, 3, [(0, 3), (3, 7)]),
        (4, 3, [(0, 4)]),
        (2, 3, [(0, 2)]),
        (1, 3, [(0, 1)]),
        (3, 1, [(0, 1), (1, 3)]),
    ],
)
def test_bounds_of_batches(count: int, batch_size: int, bounds: list[tuple[int, int]]) -> None:
    assert batch_bounds(count, batch_size) == bounds


@pytest.mark.parametrize("batch_size", range(2, 30))
@pytest.mark.parametrize("count", [2, 13, 29])
def test_bounds_partition_the_pass_and_leave_no_sample_alone(count: int, batch_size: int) -> None:
    bounds = batch_bounds(count, batch_size)
    assert [i for start, stop in bounds for i in range(start, stop)] == list(range(count))
    assert all(2 <= stop - start <= batch_size + 1 for start, stop in bounds)


class TestEpoch:
    @pytest.mark.parametrize("batch_size", [1, 4, 5, 13, 64])
    def test_every_sample_appears_once_with_its_target(self, samples: Samples, batch_size: int) -> None:
        batches = list(samples.epoch(batch_size, seeded()))
        inputs = torch.cat([inputs[:, 0] for inputs, _ in batches])
        targets = torch.cat([targets for _, targets in batches])
        assert sorted(inputs.tolist()) == list(range(10, 23))
        assert torch.equal(targets, 100 + inputs.long())
        assert len(batches) == samples.steps(batch_size)

    def test_a_lone_last_sample_joins_the_batch_before(self, samples: Samples) -> None:
        assert [len(targets) for _, targets in samples.epoch(4, seeded())] == [4, 4, 5]

    def test_a_generator_gives_one_order_after_another(self, samples: Samples) -> None:
        def order(random: torch.Generator) -> list[int]:
            return torch.cat([targets for _, targets in samples.epoch(4, random)]).tolist()

        random = seeded()
        first, second = order(random), order(random)
        assert first != second
        assert first == order(seeded())
        assert first != order(seeded(1))

    def test_the_order_does_not_depend_on_the_size_of_batches(self, samples: Samples) -> None:
        orders = [torch.cat([targets for _, targets in samples.epoch(size, seeded())]) for size in (3, 7)]
        assert torch.equal(*orders)

    def test_every_sample_has_its_own_augmentation(self, shifted: Samples) -> None:
        shifts = [inputs[:, 0] - (targets - 100) for inputs, targets in shifted.epoch(4, seeded())]
        shifts = torch.cat(shifts)
        assert len(set(shifts.tolist())) == len(shifted)
        assert ((shifts >= 0) & (shifts < 1)).all()

    def test_augmentation_belongs_to_the_generator_and_not_to_the_size_of_batches(self, shifted: Samples) -> None:
        small, large = (torch.cat([inputs for inputs, _ in shifted.epoch(size, seeded())]) for size in (3, 7))
        assert torch.equal(small, large)
        random = seeded()
        passes = [torch.cat([inputs for inputs, _ in shifted.epoch(13, random)]).sort(0).values for _ in range(2)]
        assert not torch.equal(*passes)

    def test_endless_is_one_epoch_after_another(self, shifted: Samples) -> None:
        random = seeded()
        epochs = [batch for _ in range(2) for batch in shifted.epoch(5, random)]
        endless = list(islice(shifted.endless(5, seeded()), len(epochs)))
        assert all(torch.equal(a[0], b[0]) for a, b in zip(epochs, endless, strict=True))


class TestInOrder:
    def test_it_is_the_order_of_the_index_without_augmentation(self, shifted: Samples) -> None:
        batches = list(shifted.in_order(4))
        assert [len(targets) for _, targets in batches] == [4, 4, 4, 1]
        assert torch.cat([inputs[:, 0] for inputs, _ in batches]).tolist() == list(range(10, 23))
        assert torch.cat([targets for _, targets in batches]).tolist() == list(range(110, 123))


class TestSubset:
    def test_rows_are_positions_in_the_subset(self, samples: Samples) -> None:
        twice = samples.subset(torch.tensor([0, 2, 4])).subset(torch.tensor([2, 0]))
        assert twice.index.tolist() == [14, 10]
        assert len(twice) == 2
        assert twice.inputs is samples.inputs

    def test_other_targets_are_in_the_order_of_the_index_and_for_the_subset_alone(self, samples: Samples) -> None:
        some = samples.subset(torch.tensor([3, 1]))
        other = some.with_targets(torch.tensor([7, 8]))
        ((inputs, targets),) = other.in_order(10)
        assert inputs[:, 0].tolist() == [13, 11]
        assert targets.tolist() == [7, 8]
        assert other.targets[12] == 112
        assert samples.targets.tolist() == list(range(100, 130))


class TestRecorder:
    def test_a_row_holds_the_cost_so_far_and_the_values(self) -> None:
        recorder = Recorder()
        recorder.count(3)
        recorder.record(epoch=1, step=2, retain_loss=torch.tensor(0.5), angle=0.25)
        recorder.count(4)
        recorder.record(epoch=2, step=4)
        first, second = recorder.rows
        assert first | {"seconds": 0} == {
            "epoch": 1, "step": 2, "seconds": 0, "samples": 3, "retain_loss": 0.5, "angle": 0.25,
        }  # fmt: skip
        assert second["samples"] == recorder.samples_processed == 7
        assert 0 <= first["seconds"] <= second["seconds"]

    def test_tensors_of_any_precision_and_with_a_graph_become_numbers(self) -> None:
        recorder = Recorder()
        half = torch.tensor(0.5, dtype=torch.bfloat16)
        recorder.record(epoch=1, step=1, a=half, b=torch.tensor([0.25], requires_grad=True))
        assert (recorder.rows[0]["a"], recorder.rows[0]["b"]) == (0.5, 0.25)
        assert type(recorder.rows[0]["b"]) is float

    @pytest.mark.parametrize("loss", [math.nan, math.inf, torch.tensor(math.nan), torch.tensor(-math.inf)])
    def test_a_loss_that_is_not_finite_is_kept_and_raised(self, loss: Tensor | float) -> None:
        recorder = Recorder()
        with pytest.raises(Diverged, match=r"forget_loss is .* in epoch 3"):
            recorder.record(epoch=3, step=9, forget_loss=loss)
        assert recorder.rows[0]["epoch"] == 3

    def test_other_values_may_be_anything(self) -> None:
        Recorder().record(epoch=1, step=1, gradient_cosine=math.nan)


class TestTask:
    def test_a_stream_is_known_by_its_seed_and_name(self, make_task: Callable) -> None:
        task = make_task(nn.Identity(), seed=5)

        def stream(name: str, seed: int = 5) -> list[int]:
            return torch.randint(2**40, (4,), generator=replace(task, seed=seed).generator(name)).tolist()

        assert stream("retain") == stream("retain")
        assert len({tuple(s) for s in (stream("retain"), stream("forget"), stream("retain", 6), stream("", 5))}) == 4

    def test_derived_seeds_are_63_bits_and_different(self) -> None:
        seeds = [derived_seed(seed, name) for seed in range(50) for name in ("retain", "forget", "1", "11")]
        assert len(set(seeds)) == len(seeds)
        assert all(0 <= seed < 2**63 for seed in seeds)
        assert max(seeds) > 2**61
        assert derived_seed(1, "1/2") != derived_seed(11, "/2")

    def test_outputs_are_computed_under_autocast_and_given_in_float32(
        self, network: Callable, make_task: Callable
    ) -> None:
        seen = []
        model = network().float()
        model.register_forward_hook(lambda layer, given, outputs: seen.append(outputs.dtype))
        task = make_task(model, autocast=lambda: torch.autocast("cpu", dtype=torch.bfloat16))
        assert task.outputs(model, task.retain.inputs.float()).dtype == torch.float32
        assert seen == [torch.bfloat16]

    def test_the_loss_is_the_tasks_own(self, network: Callable, make_task: Callable, whole: Callable) -> None:
        model = network()
        task = make_task(model)
        inputs, targets = whole(task.retain)
        assert torch.equal(task.loss(model, (inputs, targets)), cross_entropy(model(inputs), targets))
        own = replace(task, criterion=lambda outputs, targets: outputs.abs().sum())
        assert torch.equal(own.loss(model, (inputs, targets)), model(inputs).abs().sum())

    def test_the_loss_of_each_sample_is_what_the_criterion_says_of_it_alone(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        model = network(batchnorm=True)
        batch = whole(make_task(model).retain)
        outputs = model(batch[0])
        classified = make_task(model).sample_losses(model, batch)
        torch.testing.assert_close(classified, cross_entropy(outputs, batch[1], reduction="none"))
        length = make_task(model, criterion=lambda outputs, targets: outputs.norm() + 0 * targets.sum())
        torch.testing.assert_close(length.sample_losses(model, batch), outputs.norm(dim=1))
        low = make_task(model, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
        assert low.sample_losses(model.float(), (batch[0].float(), batch[1])).dtype == torch.float32

    def test_forward_passes_run_in_autocast_and_losses_in_float32(
        self, network: Callable, make_task: Callable, whole: Callable
    ) -> None:
        seen = []

        def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
            seen.append((outputs.dtype, torch.is_autocast_enabled("cpu")))
            return cross_entropy(outputs, targets)

        def loss(autocast: Callable[[], AbstractContextManager]) -> Tensor:
            task = make_task(network().float(), dtype=torch.float32, criterion=criterion, autocast=autocast)
            return task.loss(task.model, whole(task.retain))

        low, full = loss(lambda: torch.autocast("cpu", torch.bfloat16)), loss(nullcontext)
        assert seen == [(torch.float32, False)] * 2
        assert 0 < (low - full).abs() < 0.05


def test_notes_are_kept_and_the_last_word_counts() -> None:
    recorder = Recorder()
    recorder.note(epsilon=1.0, certificate="none")
    recorder.note(certificate="head only")
    assert recorder.notes == {"epsilon": 1.0, "certificate": "head only"}


def test_a_next_part_goes_on_counting_where_the_last_one_ended() -> None:
    recorder = Recorder(probe=lambda model: {"probe_loss": 1.0}, every=2)
    recorder.next_part()
    for _ in range(2):
        for epoch in (1, 2, 3):
            recorder.record(epoch=epoch, step=5 * epoch, model=torch.nn.Identity())
        recorder.next_part()
    assert [(row["epoch"], row["step"]) for row in recorder.rows] == [(n, 5 * n) for n in range(1, 7)]
    assert [row["epoch"] for row in recorder.rows if "probe_loss" in row] == [2, 4, 6]
