"""Amnesiac unlearning against training that is replayed here step by step."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods import Samples, Task, Unsuitable, trainable
from methods.amnesiac import Amnesiac
from methods.check import checks
from methods.finetune import FineTune

ROWS, EPOCHS, BATCH = 23, 3, 4


class Recipe:
    """Three epochs of SGD; keeps the batches' targets, which tests make the samples' numbers, and the weights."""

    def __init__(
        self, momentum=0.9, weight_decay=0.01, loss=lambda outputs, targets: cross_entropy(outputs, targets % 3)
    ):
        self.momentum, self.weight_decay, self.loss = momentum, weight_decay, loss
        self.batches = []
        self.changes = []

    def __call__(self, model, samples, *, epochs=None, stream=""):
        model.train()
        random = torch.Generator().manual_seed(1)
        optimizer = torch.optim.SGD(trainable(model), lr=0.1, momentum=self.momentum, weight_decay=self.weight_decay)
        assert samples.steps(999) == -(-ROWS // BATCH)
        for _ in range(EPOCHS):
            for inputs, targets in samples.epoch(999, random):
                before = [weight.detach().clone() for weight in trainable(model)]
                optimizer.zero_grad()
                self.loss(model(inputs), targets).backward()
                optimizer.step()
                self.batches.append(targets.tolist())
                self.changes.append(
                    [weight.detach() - old for weight, old in zip(trainable(model), before, strict=True)]
                )
        return model.eval()


@pytest.fixture
def everything():
    inputs = torch.randn(2 * ROWS, 4, generator=torch.Generator().manual_seed(0))
    return Samples(inputs, torch.arange(2 * ROWS), torch.arange(2 * ROWS)[::2], lambda raw, draws: raw)


@pytest.fixture
def trained(network, everything):
    """(recipe, method, **network) -> the original, trained."""

    def train(recipe, method, **shape):
        torch.manual_seed(5)
        model = method.build_original(lambda stream="": network(**shape), everything)
        return method.train_original(model, everything, recipe)

    return train


@pytest.fixture
def request_to_forget(everything):
    def build(model, rows):
        kept = torch.tensor([row for row in everything.index.tolist() if row not in rows])
        classes = replace(everything, targets=everything.targets % 3)
        return Task(
            model=copy.deepcopy(model),
            retain=replace(classes, index=kept),
            forget=replace(classes, index=torch.tensor([*rows], dtype=torch.int64)),
            classes=3,
            seed=0,
            build=lambda stream="": pytest.fail("no fresh network is needed"),
            fit=lambda *_, **__: pytest.fail("nothing is trained anew"),
        )

    return build


NO_REPAIR = Amnesiac(train_batch=BATCH, epochs=0)


def test_batches_keep_their_members_and_come_in_another_order_each_epoch(trained, everything):
    recipe = Recipe()
    model = trained(recipe, NO_REPAIR)
    epochs = [recipe.batches[start : start + 6] for start in (0, 6, 12)]
    members = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    assert members[0] == members[1] == members[2]
    assert sorted(row for batch in epochs[0] for row in batch) == everything.index.tolist()
    assert sorted(map(len, epochs[0])) == [3, 4, 4, 4, 4, 4]
    orders = [[frozenset(batch) for batch in epoch] for epoch in epochs]
    assert orders[0] != orders[1] != orders[2]
    assert any(sorted(batch) != batch for batch in epochs[0])
    for batch in epochs[0]:
        assert len(set(model.batch[batch].tolist())) == 1
    assert set(model.batch[1::2].tolist()) == {-1}


def test_which_samples_share_a_batch_is_drawn(network, everything):
    shared = set()
    for seed in range(2):
        torch.manual_seed(seed)
        model = NO_REPAIR.build_original(lambda stream="": network(), everything)
        shared.add(tuple(NO_REPAIR.train_original(model, everything, Recipe()).batch.tolist()))
    assert len(shared) == 2


def test_the_log_of_a_batch_is_what_its_steps_changed(trained):
    recipe = Recipe()
    model = trained(recipe, NO_REPAIR, batchnorm=True)
    for number in range(6):
        for place, log in enumerate(model.changes):
            steps = zip(recipe.batches, recipe.changes, strict=True)
            total = sum(change[place] for batch, change in steps if model.batch[batch[0]] == number)
            torch.testing.assert_close(log[number], total, rtol=0, atol=1e-12)


def test_the_log_leads_from_the_initial_weights_to_the_original(trained, network):
    model = trained(Recipe(), NO_REPAIR, batchnorm=True)
    for first, weight, log in zip(
        network(batchnorm=True).parameters(), model.network.parameters(), model.changes, strict=True
    ):
        torch.testing.assert_close(first + log.sum(0), weight, rtol=0, atol=1e-12)
        assert not torch.equal(first, weight)


def test_a_forget_set_in_every_batch_leaves_the_initial_weights(trained, network, request_to_forget):
    recipe = Recipe()
    model = trained(recipe, NO_REPAIR)
    task = request_to_forget(model, [batch[0] for batch in recipe.batches[:6]])
    unlearned = NO_REPAIR.unlearn(task)
    torch.testing.assert_close(unlearned.state_dict(), network().state_dict(), rtol=0, atol=1e-12)
    assert task.recorder.notes == {"batches": 6, "batches_taken_back": 6}


def test_nothing_to_forget_leaves_the_original_bit_for_bit(trained, request_to_forget):
    model = trained(Recipe(), NO_REPAIR)
    unlearned = NO_REPAIR.unlearn(request_to_forget(model, []))
    assert all(torch.equal(value, model.network.state_dict()[name]) for name, value in unlearned.state_dict().items())


def test_where_gradients_do_not_depend_on_the_weights_it_is_training_without_those_steps(
    network, request_to_forget, everything
):
    recipe = Recipe(0.0, 0.0, loss=lambda outputs, targets: (outputs * targets[:, None]).mean())

    def build(stream=""):
        fresh = network()
        fresh[0].requires_grad_(False)  # what is left is one linear layer
        return fresh

    model = NO_REPAIR.build_original(build, everything)
    model = NO_REPAIR.train_original(model, everything, recipe)
    forgotten = [recipe.batches[0][1], recipe.batches[2][0]]
    unlearned = NO_REPAIR.unlearn(request_to_forget(model, forgotten))
    skipped = build()
    optimizer = torch.optim.SGD(trainable(skipped), lr=0.1)
    for batch in recipe.batches:
        if not set(batch) & set(forgotten):
            optimizer.zero_grad()
            recipe.loss(skipped(everything.inputs[batch]), torch.tensor(batch)).backward()
            optimizer.step()
    torch.testing.assert_close(unlearned.state_dict(), skipped.state_dict(), rtol=0, atol=1e-12)
    assert not torch.allclose(unlearned[2].weight, model.network[2].weight, atol=1e-3)


def test_its_repair_is_fine_tuning_from_there(trained, request_to_forget):
    recipe, shape = Recipe(), {"epochs": 2, "lr": 0.05, "batch_size": 4}
    model = trained(recipe, NO_REPAIR, batchnorm=True)
    rows = recipe.batches[0][:2]
    task = request_to_forget(model, rows)
    repaired = Amnesiac(train_batch=BATCH, **shape).unlearn(task)
    taken_back = NO_REPAIR.prepare(request_to_forget(model, rows)).model
    tuned = FineTune(**shape).unlearn(replace(request_to_forget(model, rows), model=taken_back))
    assert all(torch.equal(value, tuned.state_dict()[name]) for name, value in repaired.state_dict().items())
    assert task.recorder.samples_processed == 2 * (ROWS - 2)
    assert len(task.recorder.rows) == 2


def test_without_repair_batchnorm_still_has_the_retain_sets_statistics(trained, request_to_forget):
    recipe = Recipe()
    model = trained(recipe, NO_REPAIR, batchnorm=True)
    task = request_to_forget(model, recipe.batches[0][:1])
    unlearned = replace(NO_REPAIR, batch_size=ROWS).unlearn(task)
    seen = unlearned[0](task.retain.inputs[task.retain.index])
    torch.testing.assert_close(unlearned[1].running_mean, seen.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(unlearned[1].running_var, seen.var(0), rtol=0, atol=1e-12)


def test_frozen_parameters_have_no_log(network, everything, request_to_forget):
    def build(stream=""):
        model = network()
        model[0].requires_grad_(False)
        return model

    model = NO_REPAIR.train_original(NO_REPAIR.build_original(build, everything), everything, Recipe())
    assert [log.shape[1:] for log in model.changes] == [weight.shape for weight in network()[2].parameters()]
    unlearned = NO_REPAIR.unlearn(request_to_forget(model, [0, 2]))
    assert torch.equal(unlearned[0].weight, network()[0].weight)
    assert not torch.equal(unlearned[2].weight, model.network[2].weight)


def test_an_original_that_was_stored_unlearns_as_the_one_that_was_trained(
    trained, network, everything, request_to_forget
):
    model = trained(Recipe(), NO_REPAIR)
    loaded = NO_REPAIR.build_original(lambda stream="": network(seed=9), everything)
    loaded.load_state_dict(model.state_dict())
    left, right = (NO_REPAIR.unlearn(request_to_forget(one, [4, 6])).state_dict() for one in (model, loaded))
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def test_images_are_augmented_anew_each_time(network, everything):
    drawn = []

    def draw(count, generator):
        drawn.append(torch.rand(count, 1, generator=generator))
        return drawn[-1]

    samples = replace(everything, draw=draw, prepare=lambda raw, draws: raw + draws)
    model = NO_REPAIR.build_original(lambda stream="": network(), samples)
    NO_REPAIR.train_original(model, samples, Recipe())
    assert len({tuple(each.flatten().tolist()) for each in drawn}) == 3 * 6


def test_a_log_that_would_be_too_large_is_refused_before_it_is_made(everything):
    def build(stream=""):
        return nn.Linear(4096, 2816, bias=False, dtype=torch.float64)  # 88 MiB

    words = r"^the original would hold a network's update for each of 23 batches: 2.06 GiB, and 2 are allowed$"
    with pytest.raises(Unsuitable, match=words):
        Amnesiac(train_batch=1).build_original(build, replace(everything, index=torch.arange(24)))


@pytest.mark.parametrize("variant", [{"epochs": 0}, {"train_batch": 64}])
def test_it_keeps_its_promises(variant):
    assert [(promise, problem) for promise, problem in checks(Amnesiac, **variant) if problem is not None] == []
