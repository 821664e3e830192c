"""SISA against training on the retain set alone, bit for bit, and its parts against rules computed here."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods import Recorder, Retrain, Samples, Task, Unsuitable, trainable
from methods.check import checks
from methods.sisa import SISA, Shards
from methods.task import derived_seed

ROWS, EPOCHS, BATCH = 60, 4, 4


class Recipe:
    """SGD with momentum and an own schedule, on a network with BatchNorm and dropout; notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, list[int]]] = []

    def build(self, stream: str = "") -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(0, f"initialisation/{stream}"))
            return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 3))

    def fit(self, model, samples, *, epochs=None, stream="", recorder=None):
        epochs = EPOCHS if epochs is None else epochs(EPOCHS)
        self.asked.append((stream, epochs, samples.index.tolist()))
        random = torch.Generator().manual_seed(derived_seed(0, f"training/{stream}"))
        optimizer = torch.optim.SGD(trainable(model), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, max(epochs, 1))
        model.train()
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(0, f"dropout/{stream}"))
            for _ in range(epochs):
                for inputs, targets in samples.epoch(BATCH, random):
                    optimizer.zero_grad()
                    cross_entropy(model(inputs), targets).backward()
                    optimizer.step()
                    if recorder is not None:
                        recorder.count(len(targets))
                schedule.step()
        return model.eval()


@pytest.fixture
def recipe():
    return Recipe()


@pytest.fixture
def everything():
    random = torch.Generator().manual_seed(3)
    inputs, targets = torch.randn(ROWS, 4, generator=random), torch.randint(3, (ROWS,), generator=random)
    return Samples(inputs, targets, torch.arange(ROWS), lambda raw, draws: raw)


@pytest.fixture
def original(recipe, everything):
    """(method) -> its trained original."""
    return lambda method: method.train_original(method.build_original(recipe.build, everything), everything, recipe.fit)


@pytest.fixture
def request_to_forget(recipe, everything):
    """(model, rows) -> the task, its retain set in another order than the original's."""

    def build(model, rows):
        kept = torch.tensor([row for row in range(ROWS) if row not in set(rows)][::-1])
        recorder = Recorder()
        return Task(
            model=copy.deepcopy(model),
            retain=everything.subset(kept),
            forget=everything.subset(torch.tensor([*rows], dtype=torch.int64)),
            classes=3,
            seed=0,
            build=recipe.build,
            fit=partial(recipe.fit, recorder=recorder),
            recorder=recorder,
        )

    return build


def differing(left, right):
    other = right.state_dict()
    return [name for name, value in left.state_dict().items() if not torch.equal(value, other[name])]


def rows_of(method, shard, piece):
    return [
        row for row in range(ROWS) if row % method.shards == shard and row // method.shards % method.slices == piece
    ]


FORGOTTEN = {
    "nothing": lambda method: [],
    "one sample": lambda method: [31],
    "some samples": lambda method: [2, 17, 18, 40, 59],
    "the first slice of a shard": lambda method: rows_of(method, method.shards - 1, 0),
    "the last slice of a shard": lambda method: rows_of(method, 0, method.slices - 1),
    "all of a shard but one sample": lambda method: range(0, ROWS - method.shards, method.shards),
}


CASES = [
    (shards, slices, forgotten)
    for shards, slices in [(1, 1), (1, 3), (3, 1), (3, 2)]
    for forgotten in FORGOTTEN
    if len(FORGOTTEN[forgotten](SISA(shards=shards, slices=slices))) < ROWS
]


@pytest.mark.parametrize(("shards", "slices", "forgotten"), CASES)
def test_what_is_left_is_what_training_on_the_retain_set_gives(original, request_to_forget, shards, slices, forgotten):
    method = SISA(shards=shards, slices=slices)
    rows, model = FORGOTTEN[forgotten](method), original(method)
    unlearned = method.unlearn(request_to_forget(model, rows))
    reference = SISA(shards=shards, slices=slices, from_scratch=True).unlearn(request_to_forget(None, rows))
    assert differing(unlearned, reference) == []
    assert bool(differing(unlearned, model)) == bool(rows)


def test_several_requests_one_after_another_are_as_exact(original, request_to_forget):
    """The second starts from a checkpoint that the first made anew."""
    method = SISA(shards=2, slices=3)
    model, gone = original(method), []
    for rows in ([3], [5], [0, 11]):  # of shard 1: slice 1, slice 2, and slice 2 again
        gone += rows
        task = request_to_forget(model, gone)
        model = method.unlearn(replace(task, forget=task.forget.subset(torch.arange(len(gone))[-len(rows) :])))
    reference = SISA(shards=2, slices=3, from_scratch=True).unlearn(request_to_forget(None, gone))
    assert differing(model, reference) == []


def test_members_that_forget_nothing_stay_as_they_were(original, request_to_forget):
    method = SISA(shards=4, slices=3)
    model = original(method)
    unlearned = method.unlearn(request_to_forget(model, [1, 9, 13]))
    touched = {name.split(".")[1] for name in differing(unlearned, model) if name.startswith("members")}
    assert touched == {"1"}
    assert {name.split(".")[1] for name in differing(unlearned, model) if name.startswith("checkpoints")} <= {"2", "3"}


def test_with_one_shard_and_one_slice_it_is_retrain(recipe, request_to_forget, original):
    method = SISA(shards=1, slices=1)
    task = request_to_forget(original(method), [4, 40])
    task = replace(task, retain=task.retain.subset(task.retain.index.argsort()))  # sorted, as in a sweep
    unlearned = method.unlearn(task)
    retrained = Retrain().unlearn(task)
    assert differing(unlearned.members[0], retrained) == []
    assert recipe.asked[-2] == recipe.asked[-1]
    inputs = task.retain.inputs
    torch.testing.assert_close(unlearned(inputs), retrained(inputs).log_softmax(1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("slices", [1, 2, 3, 5, 7])
def test_slices_are_as_many_epochs_as_the_paper_says(recipe, original, slices):
    method = SISA(shards=2, slices=slices)
    original(method)
    mean = Fraction(2 * EPOCHS, slices + 1)
    expected = []
    for shard in range(2):
        for last in range(slices):
            rows = sorted(row for piece in range(last + 1) for row in rows_of(method, shard, piece))
            expected.append((f"sisa/{shard}/{last}", math.floor((last + 1) * mean) - math.floor(last * mean), rows))
    assert recipe.asked == expected
    passes = sum(epochs * len(rows) for _, epochs, rows in expected)
    assert abs(passes - EPOCHS * ROWS) <= ROWS * (slices - 1) / slices
    assert all(epochs > 0 for _, epochs, _ in expected)


def test_more_slices_than_the_epochs_allow_are_refused_before_a_step(recipe, everything):
    method = SISA(shards=2, slices=8)
    model = method.build_original(recipe.build, everything)
    before = copy.deepcopy(model)
    with pytest.raises(Unsuitable, match=r"^8 slices need 5 epochs of training or more, not 4$"):
        method.train_original(model, everything, recipe.fit)
    assert differing(model, before) == []


def test_forgetting_in_the_last_slice_costs_the_last_slices_epochs(original, request_to_forget):
    method = SISA(shards=3, slices=4)
    rows = rows_of(method, 1, 3)[:2]
    task = request_to_forget(original(method), rows)
    method.unlearn(task)
    mean = Fraction(2 * EPOCHS, 5)
    last = math.floor(4 * mean) - math.floor(3 * mean)
    assert task.recorder.samples_processed == last * (ROWS // 3 - 2)


def test_only_the_state_before_the_earliest_slice_touched_is_needed(original, request_to_forget):
    method = SISA(shards=2, slices=4)
    model = original(method)
    rows = [rows_of(method, 1, 3)[0], rows_of(method, 1, 2)[0]]
    expected = method.unlearn(request_to_forget(model, rows))

    def corrupted(piece):
        changed = copy.deepcopy(model)
        with torch.no_grad():
            for value in changed.checkpoint(1, piece).parameters():
                value.add_(1.0)
        return method.unlearn(request_to_forget(changed, rows))

    assert differing(corrupted(3), expected) == []  # after
    assert [name for name in differing(corrupted(2), expected) if name.startswith("members.1")]
    earlier = differing(corrupted(1), expected)  # before: what is retrained starts later
    assert earlier
    assert all(name.startswith("checkpoints.3.") for name in earlier)
    assert not [name for name in differing(corrupted(2), expected) if name.startswith("members.0")]


def test_a_checkpoint_is_the_state_that_training_had_before_the_slice(recipe, everything, original):
    method = SISA(shards=2, slices=3)
    model = original(method)
    for shard in range(2):
        member = recipe.build(f"sisa/{shard}")
        for piece in range(3):
            if piece:
                assert differing(model.checkpoint(shard, piece), member) == []
            rows = torch.tensor(sorted(row for earlier in range(piece + 1) for row in rows_of(method, shard, earlier)))
            part = everything.subset(rows)
            epochs = {0: 2, 1: 2, 2: 2}[piece]
            recipe.fit(member, part, epochs=lambda whole, epochs=epochs: epochs, stream=f"sisa/{shard}/{piece}")
        assert differing(model.members[shard], member) == []


class Says(nn.Module):
    def __init__(self, *logits):
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits, dtype=torch.float64))

    def forward(self, inputs):
        return self.logits.expand(len(inputs), -1)


SURE, TWO = Says(9.0, 0.0, 0.0), [Says(0.0, 0.3, 0.1), Says(0.0, 0.4, 0.1)]


def test_the_mean_is_of_probabilities():
    members = [SURE, *TWO]
    outputs = Shards(members, 1, "mean")(torch.zeros(2, 4))
    mean = sum(member(torch.zeros(2, 4)).softmax(1) for member in members) / 3
    torch.testing.assert_close(outputs.exp(), mean)
    assert outputs.argmax(1).tolist() == [0, 0]


def test_most_votes_win_and_the_mean_decides_between_equals():
    inputs = torch.zeros(1, 4)
    outputs = Shards([SURE, *TWO], 1, "vote")(inputs)
    mean = Shards([SURE, *TWO], 1, "mean")(inputs).exp()
    votes = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(outputs.exp(), (votes + mean) / 4)
    assert outputs.argmax(1).tolist() == [1]
    assert Shards([SURE, TWO[0]], 1, "vote")(inputs).argmax(1).tolist() == [0]
    assert Shards([TWO[0], Says(0.35, 0.0, 0.0)], 1, "vote")(inputs).argmax(1).tolist() == [0]
    far = Shards([Says(2000.0, 0.0, 0.0)] * 2, 1, "vote")(inputs)
    assert far.isfinite().all()


def test_answers_of_half_precision_are_averaged_in_full():
    members = [Says(3.0, 1.0, 0.5), Says(0.0, 2.0, 1.0)]
    half = Shards([copy.deepcopy(member).to(torch.bfloat16) for member in members], 1, "mean")(torch.zeros(1, 4))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), Shards(members, 1, "mean")(torch.zeros(1, 4)), rtol=0, atol=1e-6)


def test_an_original_that_would_be_too_large_is_refused_before_it_is_built(everything):
    built = []

    def build(stream=""):
        built.append(stream)
        return nn.Linear(2048, 2048, bias=False, dtype=torch.float64)  # 32 MiB

    SISA(shards=1, slices=64).build_original(lambda stream="": nn.Linear(2, 2), everything)
    words = r"^the original would hold 65 states of the network \(13 shards of 5 slices\): 2.03 GiB, and 2 are allowed$"
    with pytest.raises(Unsuitable, match=words):
        SISA(shards=13, slices=5).build_original(build, everything)
    assert built == [""]


def test_frozen_parameters_stay_those_of_the_initial_weights(everything, recipe, request_to_forget):
    def build(stream=""):
        model = recipe.build(stream)
        model[0].requires_grad_(False)
        return model

    method = SISA(shards=2, slices=2)
    model = method.train_original(method.build_original(build, everything), everything, recipe.fit)
    unlearned = method.unlearn(replace(request_to_forget(model, [0, 1]), build=build))
    for shard, member in enumerate(unlearned.members):
        assert torch.equal(member[0].weight, build(f"sisa/{shard}")[0].weight)
        assert not torch.equal(member[4].weight, build(f"sisa/{shard}")[4].weight)


@pytest.mark.parametrize(
    "variant", [{"aggregation": "vote"}, {"from_scratch": True}, {"shards": 1}, {"shards": 1, "slices": 1}]
)
def test_it_keeps_its_promises(variant):
    assert [(promise, problem) for promise, problem in checks(SISA, **variant) if problem is not None] == []
