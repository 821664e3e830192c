"""Methods that differentiate twice, forward or per example, on networks whose layers lack such derivatives in torch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from methods import UAM, Task, all_derivatives
from methods.fisher import diagonal_fisher
from methods.influence import curvature_product
from methods.uam import uam_direction

CLOSE = {"rtol": 1e-5, "atol": 1e-8}
"""Torch's own derivative of hardsigmoid, which is expected here, has a sixth in float32."""


class Attending(nn.Module):
    """Four inputs as four tokens, one layer of each of torch's kinds of attention, and a gate of MobileNet's kind."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Linear(1, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.query = nn.Linear(4, 4)
        self.gate = nn.Hardsigmoid()
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.spread(x[:, :, None])
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        heads = tokens[:, None]
        attended = nn.functional.scaled_dot_product_attention(self.query(heads), heads, heads)[:, 0]
        logits: Tensor = self.out(attended.mean(dim=1) * self.gate(attended.sum(dim=1)))
        return logits


@pytest.fixture
def task(make_task: Callable) -> Task:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_task(Attending().eval())


def gradient_at(task: Task, weights: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Of the mean loss, by ordinary differentiation; leaves the weights as they were."""
    before = parameters_to_vector(task.model.parameters()).detach()
    vector_to_parameters(weights, task.model.parameters())
    gradients = torch.autograd.grad(task.loss(task.model, batch), list(task.model.parameters()))
    vector_to_parameters(before, task.model.parameters())
    return parameters_to_vector(gradients)


def hessian_times(task: Task, vector: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """By central differences of gradients."""
    start, step = parameters_to_vector(task.model.parameters()).detach(), 1e-5
    above, below = (gradient_at(task, start + sign * step * vector, batch) for sign in (1, -1))
    return (above - below) / (2 * step)


def a_vector(task: Task) -> Tensor:
    count = sum(weight.numel() for weight in task.model.parameters())
    return torch.randn(count, generator=torch.Generator().manual_seed(0))


def test_hessian_products(task: Task, whole: Callable) -> None:
    product = curvature_product(task, task.model, task.retain, a_vector(task), "hessian")
    expected = hessian_times(task, a_vector(task), whole(task.retain))
    torch.testing.assert_close(product, expected, **CLOSE)


def test_gauss_newton_products(task: Task, whole: Callable) -> None:
    inputs, _ = whole(task.retain)
    logits, weights = task.model(inputs), list(task.model.parameters())
    rows = [parameters_to_vector(torch.autograd.grad(logit, weights, retain_graph=True)) for logit in logits.flatten()]
    jacobian, p = torch.stack(rows).reshape(len(inputs), 3, -1), logits.detach().softmax(dim=1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    expected = torch.einsum("bcn,bcd,bdm,m->n", jacobian, inner, jacobian, a_vector(task)) / len(inputs)
    product = curvature_product(task, task.model, task.retain, a_vector(task), "gauss-newton")
    torch.testing.assert_close(product, expected, **CLOSE)


def test_the_exact_direction_of_uam(task: Task, whole: Callable) -> None:
    task.model.train()
    start, rho = parameters_to_vector(task.model.parameters()).detach(), 0.5
    forget, retain = whole(task.forget), whole(task.retain)
    gradient = gradient_at(task, start, forget)
    g = gradient / gradient.norm()
    v = gradient_at(task, start + rho * g, retain)
    expected = v + rho / gradient.norm() * hessian_times(task, v - (v @ g) * g, forget)
    direction, _ = uam_direction(
        list(task.model.parameters()),
        lambda: task.loss(task.model, forget),
        lambda: task.loss(task.model, retain),
        rho=rho,
        gamma=0.0,
        hessian="exact",
    )
    torch.testing.assert_close(parameters_to_vector(direction), expected, **CLOSE)


@pytest.mark.filterwarnings("error:There is a performance drop")
def test_the_fisher_information(task: Task, whole: Callable) -> None:
    inputs, _ = whole(task.retain)
    expected = {name: torch.zeros_like(weight) for name, weight in task.model.named_parameters()}
    for example in inputs:
        log_probabilities = task.model(example[None]).log_softmax(dim=1)[0]
        for log_probability in log_probabilities:
            scores = torch.autograd.grad(log_probability, list(task.model.parameters()), retain_graph=True)
            for total, score in zip(expected.values(), scores, strict=True):
                total += log_probability.exp().detach() * score**2 / len(inputs)
    torch.testing.assert_close(diagonal_fisher(task.model, task.retain), expected, **CLOSE)


def test_every_part_of_the_gate_is_the_same() -> None:
    inputs = torch.linspace(-5, 5, 101)
    with all_derivatives():
        replaced = nn.Hardsigmoid()(inputs)
    torch.testing.assert_close(replaced, nn.functional.hardsigmoid(inputs))


def test_attention_is_again_what_it_was(task: Task) -> None:
    UAM(epochs=1, hessian="exact").unlearn(task)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
