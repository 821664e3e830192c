from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import methods.influence
from methods import Samples, Task
from methods.influence import (
    Influence,
    conjugate_gradients,
    curvature_product,
    gauss_newton_product,
    hessian_product,
    mean_gradient,
)

EXACT = {"damping": 0.0, "tolerance": 1e-14, "iterations": 200}


@pytest.mark.parametrize("seed", range(5))
def test_conjugate_gradients_solve_the_system(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    root, target = torch.randn(12, 12, generator=random), torch.randn(12, generator=random)
    matrix = root @ root.T + torch.eye(12)
    residuals = []
    solution = conjugate_gradients(
        lambda x: matrix @ x, target, 100, 1e-12, lambda step, residual: residuals.append((step, residual.item()))
    )
    torch.testing.assert_close(solution, torch.linalg.solve(matrix, target), rtol=1e-8, atol=1e-10)
    assert [step for step, _ in residuals] == list(range(1, len(residuals) + 1))
    assert residuals[-1][1] <= 1e-12 < residuals[-2][1]


def test_the_residual_they_report_is_that_of_the_solution() -> None:
    matrix, target, residuals = torch.diag(torch.arange(1.0, 9.0)), torch.ones(8), []
    solution = conjugate_gradients(lambda x: matrix @ x, target, 3, 0.0, lambda _, r: residuals.append(r.item()))
    assert residuals[-1] == pytest.approx(((target - matrix @ solution).norm() / target.norm()).item(), rel=1e-10)
    assert len(residuals) == 3


def test_conjugate_gradients_stop_at_nothing_to_solve_and_at_negative_curvature() -> None:
    assert torch.equal(conjugate_gradients(lambda x: x, torch.zeros(3), 10, 0.0), torch.zeros(3))
    assert torch.equal(conjugate_gradients(lambda x: -x, torch.ones(3), 10, 0.0), torch.zeros(3))
    exact = conjugate_gradients(lambda x: 2 * x, torch.ones(3), 10, 0.0)
    torch.testing.assert_close(exact, torch.full((3,), 0.5))


class TestCurvature:
    @pytest.fixture(params=["cross-entropy", "regression"])
    def problem(self, request: pytest.FixtureRequest, network: Callable, make_task: Callable, whole: Callable) -> tuple:
        if request.param == "regression":
            task = make_task(network(outputs=2).eval(), targets=torch.randn(26, 2), criterion=mse_loss)
        else:
            task = make_task(network(batchnorm=True).eval())
        weights = {name: p.detach() for name, p in task.model.named_parameters()}
        sizes = [p.numel() for p in weights.values()]

        def named(vector: Tensor) -> dict[str, Tensor]:
            parts = vector.split(sizes)
            return {key: part.view_as(weights[key]) for key, part in zip(weights, parts, strict=True)}

        inputs, targets = whole(task.retain)
        start = parameters_to_vector(weights.values())

        def outputs_at(vector: Tensor) -> Tensor:
            return functional_call(task.model, named(vector), (inputs,))

        return task, weights, named, outputs_at, (inputs, targets), start

    @pytest.mark.parametrize("seed", range(2))
    def test_hessian_products_are_those_of_the_hessian(self, problem: tuple, seed: int) -> None:
        task, weights, named, outputs_at, batch, start = problem
        vector = torch.randn(len(start), generator=torch.Generator().manual_seed(seed))
        expected = hessian(lambda w: task.criterion(outputs_at(w), batch[1]))(start) @ vector
        image = hessian_product(task.model, task.criterion, weights, named(vector), batch)
        torch.testing.assert_close(parameters_to_vector(image.values()), expected, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("seed", range(2))
    def test_gauss_newton_products_are_those_of_the_jacobian(self, problem: tuple, seed: int) -> None:
        task, weights, named, outputs_at, batch, start = problem
        vector = torch.randn(len(start), generator=torch.Generator().manual_seed(seed))
        outputs = outputs_at(start)
        jacobian = jacrev(outputs_at)(start).reshape(outputs.numel(), -1)
        inner = hessian(lambda o: task.criterion(o, batch[1]))(outputs).reshape(outputs.numel(), outputs.numel())
        image = gauss_newton_product(task.model, task.criterion, weights, named(vector), batch)
        expected = jacobian.T @ inner @ jacobian @ vector
        torch.testing.assert_close(parameters_to_vector(image.values()), expected, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
    def test_a_set_is_the_mean_of_its_uneven_batches(
        self, problem: tuple, curvature: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task, *_, start = problem
        vector = torch.linspace(-1, 1, len(start))
        whole_product = curvature_product(task, task.model, task.retain, vector, curvature)
        whole_gradient = mean_gradient(task, task.model, task.retain)
        monkeypatch.setattr(methods.influence, "CURVATURE_BATCH", 7)
        product = curvature_product(task, task.model, task.retain, vector, curvature)
        torch.testing.assert_close(product, whole_product, rtol=1e-10, atol=1e-13)
        gradient = mean_gradient(task, task.model, task.retain)
        torch.testing.assert_close(gradient, whole_gradient, rtol=1e-10, atol=1e-13)

    def test_the_mean_gradient_is_that_of_the_set(self, problem: tuple) -> None:
        task, _, _, outputs_at, batch, start = problem
        expected = torch.func.grad(lambda w: task.criterion(outputs_at(w), batch[1]))(start)
        torch.testing.assert_close(mean_gradient(task, task.model, task.retain), expected, rtol=1e-10, atol=1e-13)


def test_all_of_the_system_is_computed_in_full_precision(network: Callable, make_task: Callable) -> None:
    def found(**fields: object) -> Tensor:
        task = make_task(network().float().eval(), dtype=torch.float32, **fields)
        return parameters_to_vector(Influence(damping=0.1).unlearn(task).parameters())

    assert torch.equal(found(autocast=lambda: torch.autocast("cpu", dtype=torch.bfloat16)), found())


def least_squares(inputs: Tensor, targets: Tensor, penalty: float = 0.0) -> Tensor:
    """argmin over [weight, bias] of |x w + b - y|^2 / outputs + penalty / 2 |[w, b]|^2, as [outputs, features + 1]."""
    design = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    ridge = penalty * targets.shape[1] / 2 * torch.eye(design.shape[1])
    return torch.linalg.solve(design.T @ design + ridge, design.T @ targets).T


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("penalty", [0.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_one_step_retrains_a_ridge_regression(
    make_task: Callable, whole: Callable, seed: int, penalty: float, curvature: str
) -> None:
    """The penalty is of the sum of losses, so that H_r + damping I, with damping = penalty / n_r, is its curvature."""
    targets = torch.randn(26, 2, generator=torch.Generator().manual_seed(seed))
    task = make_task(nn.Linear(4, 2), seed, targets=targets, criterion=mse_loss)
    original, retrained = (
        least_squares(task.retain.inputs, targets, penalty),
        least_squares(*whole(task.retain), penalty),
    )
    with torch.no_grad():
        task.model.weight.copy_(original[:, :4])
        task.model.bias.copy_(original[:, 4])
    method = Influence(curvature=curvature, **EXACT | {"damping": penalty / len(task.retain)})
    model = method.unlearn(task)
    torch.testing.assert_close(torch.cat([model.weight, model.bias[:, None]], 1), retrained, rtol=0, atol=1e-9)
    assert (original - retrained).abs().max() > 0.01


def logistic_regression(samples: Samples, penalty: float) -> nn.Module:
    """argmin of the sum of cross-entropies + penalty / 2 |w|^2, by Newton's method."""
    model = nn.Linear(4, 3)
    inputs, targets = samples.inputs[samples.index], samples.targets[samples.index]

    def loss(w: Tensor) -> Tensor:
        logits = inputs @ w[:12].view(3, 4).T + w[12:]
        return cross_entropy(logits, targets, reduction="sum") + penalty / 2 * w @ w

    w = torch.zeros(15)
    for _ in range(30):
        w = w - torch.linalg.solve(hessian(loss)(w), torch.func.grad(loss)(w))
    assert torch.func.grad(loss)(w).norm() < 1e-9
    vector_to_parameters(w, model.parameters())
    return model


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("seed", range(3))
def test_one_step_lands_next_to_a_retrained_logistic_regression(make_task: Callable, seed: int, curvature: str) -> None:
    def gap_closed(forget: int) -> float:
        task: Task = make_task(nn.Linear(4, 3), seed, retain=300 - forget, forget=forget)
        original = logistic_regression(replace(task.retain, index=torch.arange(300)), 3.0)
        retrained = parameters_to_vector(logistic_regression(task.retain, 3.0).parameters()).detach()
        before = (parameters_to_vector(original.parameters()).detach() - retrained).norm()
        task.model.load_state_dict(original.state_dict())
        model = Influence(curvature=curvature, **EXACT | {"damping": 3.0 / len(task.retain)}).unlearn(task)
        return ((parameters_to_vector(model.parameters()).detach() - retrained).norm() / before).item()

    assert gap_closed(30) < 0.1
    assert gap_closed(3) < 0.02


def test_the_step_is_alpha_long_and_records_its_residuals(network: Callable, make_task: Callable) -> None:
    def change(alpha: float) -> tuple[Tensor, Task]:
        task = make_task(network(batchnorm=True))
        before = parameters_to_vector(task.model.parameters()).detach().clone()
        return parameters_to_vector(Influence(alpha=alpha, damping=0.1).unlearn(task).parameters()) - before, task

    one, task = change(1.0)
    torch.testing.assert_close(change(2.5)[0], 2.5 * one)
    assert change(0.0)[0].abs().max() == 0
    assert task.recorder.rows[-1]["residual"] <= 1e-3
    assert task.recorder.samples_processed == 6 + 2 * 20 * len(task.recorder.rows)


def test_curvature_can_come_from_some_of_the_samples(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    Influence(samples=5, iterations=2, tolerance=0.0).unlearn(task)
    assert task.recorder.samples_processed == 6 + 2 * (2 * 5)


def test_buffers_and_frozen_weights_stay(network: Callable, make_task: Callable) -> None:
    model = network(batchnorm=True)
    model[0].requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    after = Influence().unlearn(make_task(model)).state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == {
        "1.weight",
        "1.bias",
        "3.weight",
        "3.bias",
    }
