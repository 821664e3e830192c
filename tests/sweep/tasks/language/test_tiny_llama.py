"""The tiny Llama: its size, that it looks back only, and the derivatives that methods take."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, jvp

from sweep.tasks.language.tiny_llama import tiny_llama
from sweep.tasks.models import load_state, stored_state


@pytest.fixture
def network():
    """In float64, though transformers normalises in float32: of differences, about three digits are right."""
    torch.manual_seed(0)
    return tiny_llama(11, 6, width=8, layers=2, heads=2).double()


IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])


def loss_of(network, weights):
    logits = functional_call(network, weights, (IDS,), tie_weights=True)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())


def test_sizes():
    network = tiny_llama(512, 18)
    assert sum(weight.numel() for weight in network.parameters()) == 844_928
    assert network(torch.zeros(2, 18, dtype=torch.int64)).shape == (2, 18, 512)
    assert network(torch.zeros(1, 3, dtype=torch.int64)).shape == (1, 3, 512)


def test_input_and_output_embeddings_are_one(network):
    names = dict(network.named_parameters())
    assert [name for name, weight in names.items() if weight.shape[0] == 11] == ["network.model.embed_tokens.weight"]
    assert network.network.lm_head.weight is network.network.model.embed_tokens.weight


def test_a_position_looks_back_only(network):
    changed = IDS.clone()
    changed[:, 4:] = 0
    there, then = network(IDS), network(changed)
    torch.testing.assert_close(there[:, :4], then[:, :4], rtol=0, atol=1e-14)
    torch.testing.assert_close(network(IDS[:, :4]), there[:, :4], rtol=0, atol=1e-14)
    assert (there[:, 4:] - then[:, 4:]).abs().max() > 1e-4


def test_a_position_sees_where_others_are():
    """In one block, a swap of what comes before would change nothing if places had no part in it."""
    torch.manual_seed(0)
    network = tiny_llama(11, 6, width=8, layers=1, heads=2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(10)  # so that attention is not almost even
        difference = network(IDS) - network(IDS[:, [1, 0, 2, 3, 4, 5]])
    assert difference[:, 2:].abs().max() > 1e-2


@pytest.fixture
def moved(network):
    """The weights, a direction, and the gradient after a step of a length along it."""
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    direction = {
        name: torch.randn(weight.shape, generator=generator, dtype=weight.dtype) for name, weight in weights.items()
    }

    def gradient(length):
        there = {name: (weight + length * direction[name]).requires_grad_() for name, weight in weights.items()}
        return torch.autograd.grad(loss_of(network, there), [*there.values()], create_graph=True), there

    return weights, direction, gradient


def test_second_derivatives_are_those_of_differences(network, moved):
    _, direction, gradient = moved
    first, there = gradient(0.0)
    along = sum((one * other).sum() for one, other in zip(first, direction.values(), strict=True))
    exact = torch.autograd.grad(along, [*there.values()])
    step = 1e-5
    differences = [(up - down) / (2 * step) for up, down in zip(gradient(step)[0], gradient(-step)[0], strict=True)]
    largest = max(one.abs().max() for one in exact)
    for one, other in zip(exact, differences, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-3 * float(largest))


def test_forward_mode_is_the_gradient_along_the_direction(network, moved):
    weights, direction, gradient = moved
    _, along = jvp(lambda there: loss_of(network, there), (weights,), (direction,))
    wanted = sum((one * other).sum() for one, other in zip(gradient(0.0)[0], direction.values(), strict=True))
    torch.testing.assert_close(along, wanted.detach(), rtol=1e-5, atol=0)


def test_its_state_is_stored_and_loaded(network):
    torch.manual_seed(1)
    other = tiny_llama(11, 6, width=8, layers=2, heads=2).double()
    assert not torch.equal(other(IDS), network(IDS))
    load_state(other, stored_state(network))
    assert torch.equal(other(IDS), network(IDS))


def test_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="width 12 is no multiple of 8, twice the heads"):
        tiny_llama(11, 6, width=12, heads=4)
