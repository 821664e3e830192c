"""What is measured of a model's weights, against closed forms and a loop over samples."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods import Recorder
from sweep.tasks.evaluation import EVALUATION_BATCH
from sweep.trial import weights
from sweep.trial.weights import forget_information, of_weights, weight_distance


def test_of_softmax_regression_it_is_the_error_times_the_inputs_length(make_samples):
    torch.manual_seed(0)
    inputs, targets = 10 * torch.randn(50, 7, dtype=torch.float64), torch.randint(0, 4, (50,))
    model = nn.Linear(7, 4, bias=False, dtype=torch.float64)
    found = forget_information(model, make_samples(inputs, targets), cross_entropy)
    error = (inputs @ model.weight.T).softmax(dim=1).detach()
    error[torch.arange(50), targets] -= 1
    expected = (error.square().sum(dim=1) * inputs.square().sum(dim=1)).mean().item()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(48, 5)),
    )


@pytest.fixture
def images(make_samples, network):
    """Samples [13, 1, 6, 6] that `network` has seen in training mode, so that its running statistics are some."""
    torch.manual_seed(1)
    inputs = torch.randn(13, 1, 6, 6)
    network.train()(3 + 2 * inputs)
    return make_samples(inputs, torch.randint(0, 5, (13,)))


def one_by_one(model, samples, chosen):
    """The mean squared length of the gradients in the parameters `chosen`, a backward pass for each sample."""
    model.eval()
    lengths = []
    for inputs, targets in samples.in_order(1):
        gradients = torch.autograd.grad(cross_entropy(model(inputs), targets), chosen)
        lengths.append(sum(gradient.double().square().sum().item() for gradient in gradients))
    return sum(lengths) / len(lengths)


@pytest.mark.parametrize("room", [0, 2 * 4 * 1000 * 3, 2**28], ids=["one", "some", "all"])
def test_it_is_what_a_loop_over_samples_gives_and_leaves_the_network_as_it_was(network, images, monkeypatch, room):
    monkeypatch.setattr(weights, "GRADIENT_BYTES", room)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = forget_information(network, images, cross_entropy)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert found == pytest.approx(one_by_one(network, images, list(network.parameters())), rel=1e-5)


def test_only_parameters_that_learn_count(network, images):
    network[0].requires_grad_(False)
    found = forget_information(network, images, cross_entropy)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert found == pytest.approx(one_by_one(network, images, learning), rel=1e-5)


class Unwilling(nn.Linear):
    """Asks what its outputs are, which no vectorised pass can answer."""

    def forward(self, inputs):
        outputs = super().forward(inputs)
        return outputs if outputs.sum().item() > 0 else -outputs


def test_of_a_network_without_gradients_per_sample_the_notes_say_why(make_samples):
    samples, recorder = make_samples(torch.randn(4, 3), torch.tensor([0, 1, 1, 0])), Recorder()
    assert of_weights(Unwilling(3, 2), None, samples, cross_entropy, recorder) == {}
    assert recorder.notes["forget_information"].startswith("none: no gradient per sample: ")


def test_lack_of_memory_is_a_failure_and_no_remark(make_samples):
    def exhausted(outputs, targets):
        raise torch.OutOfMemoryError("out of memory")

    samples = make_samples(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))
    with pytest.raises(torch.OutOfMemoryError):
        of_weights(nn.Linear(3, 2), None, samples, exhausted, Recorder())


def test_the_distance_is_relative_to_the_originals_length():
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
        model.bias.fill_(2.0)
    original = {"weight": torch.tensor([[3.0, 0.0]]), "bias": torch.tensor([-1.0])}
    assert weight_distance(model, original) == pytest.approx((25 / 10) ** 0.5)
    assert weight_distance(model, {"weight": original["weight"]}) is None
    assert weight_distance(model, original | {"weight": torch.zeros(2, 1)}) is None


def test_a_model_of_other_parameters_has_no_distance_and_a_remark():
    recorder = Recorder()
    found = of_weights(nn.Linear(2, 1), nn.Linear(3, 1).state_dict(), None, cross_entropy, recorder)
    assert (found, [*recorder.notes]) == ({"weight_distance": None}, ["weight_distance"])


SMALL = {
    "classification": {"dataset": {"name": "digits", "limit": 200}},
    "regression": {"dataset": {"name": "diabetes", "limit": 100}, "model": {"name": "mlp", "width": 4}},
    "language": {
        "dataset": {"name": "invented-people", "people": 10, "public": 2, "outsiders": 2},
        "model": {"name": "tiny-llama", "width": 8, "layers": 2, "heads": 2},
    },
}


@pytest.mark.parametrize("kind", SMALL)
def test_every_kind_of_task_has_both_numbers(make_trial, run, kind):
    row = run(make_trial("finetune", {"epochs": 1}, **SMALL[kind]), forget_information=True)
    assert (row["status"], row["notes"]) == ("ok", None)
    assert row["forget_information"] > 0
    assert row["weight_distance"] > 0


def test_what_did_not_move_has_distance_zero_and_what_trains_anew_none(make_trial, run):
    assert run(make_trial("original"))["weight_distance"] == 0
    row = run(make_trial("retrain"), forget_information=True)
    assert (row["weight_distance"], row["forget_information"] > 0, row["notes"]) == (None, True, None)
    assert run(make_trial("original"))["forget_information"] is None


def test_a_head_on_frozen_features_has_both(make_trial, run):
    row = run(make_trial("certified-head"), forget_information=True)
    assert row["forget_information"] > 0
    assert "forget_information" not in json.loads(row["notes"])


def test_batches_are_no_larger_than_those_of_an_evaluation():
    assert min(EVALUATION_BATCH.values()) >= weights.MOST_TOGETHER


def test_a_distance_does_not_depend_on_how_weights_lie_in_memory():
    """An original that this process trained may lie otherwise than one that was read."""
    for seed in range(20):
        torch.manual_seed(seed)
        network = nn.Conv2d(24, 40, 3)
        original = {name: weight.detach() + 0.01 for name, weight in network.named_parameters()}
        turned = original | {"weight": original["weight"].to(memory_format=torch.channels_last)}
        assert weight_distance(network, original) == weight_distance(network, turned)


def test_a_large_gpu_takes_more_samples_of_a_large_network_together(monkeypatch):
    card = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    resnet18, devices = 4 * 11_173_962, (torch.device("cpu"), torch.device("cuda"))
    assert [weights.taken_together(resnet18, device) for device in devices] == [3, 48]
    assert [weights.taken_together(4 * 300_000, device) for device in devices] == [weights.MOST_TOGETHER] * 2
