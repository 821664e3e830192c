"""The probe measures a path and leaves no trace on it."""

import math

import pytest
import torch
from torch import nn

from methods import Recorder, Samples
from sweep.tasks.classification import Classification
from sweep.trial.probe import degrees, make_probe, remembered


@pytest.fixture
def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 3)).train()


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randn(60, 5, generator=generator), torch.randint(3, (60,), generator=generator)

    def part(rows):
        return Samples(inputs, targets, rows, lambda raw, drawn: raw)

    return part(torch.arange(40)), part(torch.arange(40, 60))


def probe_of(parts, samples=60, seed=0):
    return make_probe(*parts, samples, seed, Classification(), lambda: torch.autocast("cpu", enabled=False))


def test_values_are_those_of_the_two_mean_losses_in_evaluation_mode(network, parts):
    values = probe_of(parts)(network)

    model = network.eval()
    gradients = {}
    for name, part in zip(("retain", "forget"), parts, strict=True):
        logits, labels = model(part.inputs[part.index]), part.targets[part.index]
        loss = -torch.log_softmax(logits, 1)[torch.arange(len(labels)), labels].mean()
        hits = sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True))
        model.zero_grad()
        loss.backward()
        gradients[name] = torch.cat([weight.grad.flatten() for weight in model.parameters()]).double()
        assert values[f"probe_{name}_loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert values[f"probe_{name}_accuracy"] == pytest.approx(100 * hits / len(labels))
    cosine = torch.dot(*gradients.values()) / (gradients["retain"].norm() * gradients["forget"].norm())
    assert values["probe_cosine"] == pytest.approx(cosine.item(), abs=1e-5)
    assert math.cos(math.radians(values["probe_degrees"])) == pytest.approx(cosine.item(), abs=1e-4)


def test_the_model_its_gradients_and_random_state_are_left_as_they_were(network, parts):
    network[1].eval()  # as a descent without retain data leaves BatchNorm
    modes = [module.training for module in network.modules()]
    network[0].weight.grad = torch.ones_like(network[0].weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()

    probe_of(parts)(network)

    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(network[0].weight.grad, torch.ones_like(network[0].weight))
    assert network[4].weight.grad is None
    assert torch.equal(torch.get_rng_state(), random_state)


def test_the_samples_depend_on_the_seed_only(network, parts):
    assert probe_of(parts, samples=10)(network) == probe_of(parts, samples=10)(network)
    assert probe_of(parts, samples=10)(network) != probe_of(parts, samples=10, seed=1)(network)


def test_the_weights_that_paths_begin_with_are_looked_at_once(network, parts):
    start = {name: value.clone() for name, value in network.state_dict().items()}
    probe, looks, known = probe_of(parts), [], {}

    def counted(model):
        looks.append(model)
        return probe(model)

    first, again = (remembered(counted, start, known)(network) for _ in range(2))
    assert first == again == probe(network)
    assert len(looks) == 1
    with torch.no_grad():
        network[4].bias[2] += 1e-3
    assert remembered(counted, start, known)(network) == probe(network) != first
    assert len(looks) == 2


def test_a_recorder_probes_the_epochs_asked_for_and_the_end(network):
    recorder = Recorder(lambda model: {"probe_cosine": 1.0}, every=2)

    for epoch in range(6):
        recorder.record(epoch=epoch, step=epoch, model=network)
    recorder.finish(network)
    recorder.finish(network)

    assert [row["epoch"] for row in recorder.rows if "probe_cosine" in row] == [0, 2, 4, 5]


def test_the_last_row_is_of_the_model_that_was_returned(network, parts):
    recorder = Recorder(probe_of(parts))
    recorder.record(epoch=1, step=1, model=network)
    before = recorder.rows[-1]["probe_retain_loss"]
    with torch.no_grad():
        network[4].bias[2] += 1.0
    recorder.finish(network)

    assert recorder.rows[-1]["probe_retain_loss"] == probe_of(parts)(network)["probe_retain_loss"] != before


def test_a_method_without_epochs_ends_at_epoch_1(network):
    recorder = Recorder(lambda model: {"probe_cosine": 1.0}, every=5)

    recorder.record(epoch=0, step=0, model=network)
    recorder.record(epoch=0, step=7, residual=0.5)
    recorder.finish(network)

    assert [(row["epoch"], row["step"], "probe_cosine" in row) for row in recorder.rows] == [
        (0, 0, True),
        (0, 7, False),
        (1, 7, True),
    ]


def test_degrees():
    assert [degrees(value) for value in (1.0, 0.0, -1.0)] == pytest.approx([0, 90, 180])
    assert math.isnan(degrees(math.nan))
