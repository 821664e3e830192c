from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from methods import METHODS, Task
from methods.uam import UAM, uam_direction

FineTune = METHODS["finetune"]
SEEDS = range(3)


def flat_gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([gradient.reshape(-1) for gradient in torch.autograd.grad(loss, parameters)])


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def gradients_left(method: UAM, task: Task, retain: tuple, forget: tuple) -> Tensor:
    """The direction that one step leaves in `.grad`, as one vector."""
    method.gradients(task, retain, forget, 0.0)
    return torch.cat([parameter.grad.reshape(-1) for parameter in task.model.parameters()])


def same_state(left: nn.Module, right: nn.Module) -> bool:
    return all(torch.equal(value, right.state_dict()[key]) for key, value in left.state_dict().items())


@pytest.fixture
def saddle(network: Callable, make_task: Callable, whole: Callable) -> Callable:
    """(design, seed) -> task, its whole retain and forget sets as batches."""

    def build(design: str, seed: int) -> tuple[Task, tuple, tuple]:
        if design == "regression":
            targets = torch.randn(26, 2, generator=torch.Generator().manual_seed(seed))
            task = make_task(network(seed, outputs=2), seed, targets=targets, criterion=mse_loss)
        else:
            activation = nn.Softplus if design == "softplus" else nn.Tanh
            task = make_task(network(seed, design == "batchnorm", activation), seed)
        return task, whole(task.retain), whole(task.forget)

    return build


@pytest.mark.parametrize("rho", [0.1, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("ascent", ["radius", "rise", "rosu"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("design", ["tanh", "softplus", "batchnorm", "regression"])
def test_exact_is_the_finite_difference_of_the_objective(
    saddle: Callable, design: str, seed: int, ascent: str, rho: float
) -> None:
    task, retain, forget = saddle(design, seed)
    loss = mse_loss if design == "regression" else cross_entropy
    longest = 8.0 if seed else 0.5 * rho  # of seed 0 every rise is cut: its length is then as fixed as a radius
    method = UAM(rho=rho, hessian="exact", ascent=ascent, longest=longest, rho_schedule="constant")
    direction = gradients_left(method, task, retain, forget)

    parameters = list(task.model.parameters())
    start = parameters_to_vector(parameters).detach().clone()

    def objective(weights: Tensor) -> float:
        vector_to_parameters(weights, parameters)
        g = flat_gradient(loss(task.model(forget[0]), forget[1]), parameters)
        length = min(rho / g.norm().item(), longest) if ascent == "rise" else rho
        if ascent == "rosu":
            r = flat_gradient(loss(task.model(retain[0]), retain[1]), parameters)
            g = g - (g @ r) / (r @ r) * r
        vector_to_parameters(weights + length * unit(g), parameters)
        with torch.no_grad():
            return loss(task.model(retain[0]), retain[1]).item()

    h = 1e-5
    expected = torch.tensor(
        [(objective(start + h * e) - objective(start - h * e)) / (2 * h) for e in torch.eye(len(start))]
    )
    assert (direction - expected).norm() / expected.norm() < 1e-6


GAMMAS = [0.0, 0.5, 1.0, 1.7, 2.0, 2.5]


@pytest.fixture
def directions(saddle: Callable) -> Callable:
    """(seed, forget_loss) -> a function of uam_direction's options, a vector; v at the point that was climbed to and g.

    `forget_loss` is a function of the parameters as one vector; without it, the network's own.
    """

    def build(seed: int, forget_loss: Callable[[Tensor], Tensor] | None = None) -> Callable:
        task, retain, forget = saddle("tanh", seed)
        parameters = list(task.model.parameters())

        def loss_f() -> Tensor:
            if forget_loss is None:
                return cross_entropy(task.model(forget[0]), forget[1])
            return forget_loss(torch.cat([p.reshape(-1) for p in parameters]))

        def loss_r() -> Tensor:
            return cross_entropy(task.model(retain[0]), retain[1])

        def direction(hessian: str, gamma: float = 0.0, *, rho: float = 1.5, ascent: str = "radius") -> Tensor:
            found, _ = uam_direction(parameters, loss_f, loss_r, rho=rho, gamma=gamma, hessian=hessian, ascent=ascent)
            return torch.cat([part.reshape(-1) for part in found])

        direction.g = flat_gradient(loss_f(), parameters)
        direction.start = parameters_to_vector(parameters).detach()
        return direction

    return build


@pytest.mark.parametrize("ascent", ["radius", "rise"])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("seed", SEEDS)
class TestProjection:
    def test_only_the_part_along_the_forget_gradient_changes_by_one_minus_gamma(
        self, directions: Callable, seed: int, gamma: float, ascent: str
    ) -> None:
        direction = directions(seed)
        u, v, d = unit(direction.g), direction("none", ascent=ascent), direction("projection", gamma, ascent=ascent)
        assert abs(v @ u) > 1e-4
        assert (d @ u - (1 - gamma) * (v @ u)).abs() < 1e-12
        torch.testing.assert_close(d - (d @ u) * u, v - (v @ u) * u, rtol=0, atol=1e-12)
        if gamma == 2:  # a reflection
            assert (d.norm() - v.norm()).abs() < 1e-12

    def test_scalar_is_a_longer_step_of_another_gamma(
        self, directions: Callable, seed: int, gamma: float, ascent: str
    ) -> None:
        direction = directions(seed)
        longer = (1 + gamma) * direction("projection", gamma / (1 + gamma), ascent=ascent)
        torch.testing.assert_close(direction("scalar", gamma, ascent=ascent), longer, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rho", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_projection_is_exact_where_the_hessian_is_a_multiple_of_the_forget_gradients_outer_product(
    directions: Callable, seed: int, alpha: float, rho: float
) -> None:
    """L_f = -log(-a . w) / alpha has the Hessian alpha g g^T everywhere."""
    start = directions(seed).start
    a = -unit(start) + 0.01 * torch.randn(len(start), generator=torch.Generator().manual_seed(seed)).double()
    direction = directions(seed, lambda w: -torch.log(-(a @ w)) / alpha)
    assert -(a @ start) > 0
    exact = direction("exact", rho=rho, ascent="rise")
    torch.testing.assert_close(
        exact, direction("projection", alpha * rho, rho=rho, ascent="rise"), rtol=1e-12, atol=1e-12
    )
    assert (exact - direction("none", rho=rho, ascent="rise")).norm() > 1e-6
    torch.testing.assert_close(direction("exact", rho=rho), direction("none", rho=rho), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("curvature", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_scalar_and_projection_are_exact_where_the_forget_loss_is_an_isotropic_quadratic(
    directions: Callable, seed: int, curvature: float
) -> None:
    direction = directions(seed, lambda w: curvature / 2 * (w @ w))
    norm, rho = direction.g.norm().item(), 1.5
    of_radius, of_rise = rho * curvature / norm, rho * curvature / norm**2  # what H is multiplied by in each
    for ascent, c, share in (("radius", of_radius, 1), ("rise", of_rise, 2)):
        exact = direction("exact", rho=rho, ascent=ascent)
        projected = (1 + c) * direction("projection", share * c / (1 + c), rho=rho, ascent=ascent)
        torch.testing.assert_close(exact, projected, rtol=0, atol=1e-12)
        assert (exact - direction("none", rho=rho, ascent=ascent)).norm() > 1e-3
    torch.testing.assert_close(direction("exact", rho=rho), direction("scalar", of_radius, rho=rho), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_step_changes_the_forget_loss_by_one_minus_gamma_of_what_descent_does(
    saddle: Callable, seed: int, gamma: float
) -> None:
    task, retain, forget = saddle("tanh", seed)
    parameters = list(task.model.parameters())

    def loss_f() -> Tensor:
        return cross_entropy(task.model(forget[0]), forget[1])

    g, before = flat_gradient(loss_f(), parameters), loss_f().item()
    start = parameters_to_vector(parameters).detach()
    v = gradients_left(UAM(hessian="none"), task, retain, forget)
    d = gradients_left(UAM(hessian="projection", gamma=gamma), task, retain, forget)
    changes = []
    for eta in (1e-4, 1e-5):
        vector_to_parameters(start - eta * d, parameters)
        changes.append((loss_f().item() - before) / eta)
    first_order = -(1 - gamma) * (v @ g).item()
    extrapolated = changes[1] + (changes[1] - changes[0]) / 9  # without the term of second order
    assert abs((v @ g).item()) > 1e-3
    assert extrapolated == pytest.approx(first_order, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
class TestBitForBit:
    @pytest.fixture
    def unlearned(
        self, network: Callable, make_task: Callable, seed: int, batchnorm: bool, dtype: torch.dtype
    ) -> Callable:
        def run(method: object) -> nn.Module:
            return method.unlearn(make_task(network(seed, batchnorm).to(dtype), seed, dtype=dtype))

        return run

    @pytest.mark.parametrize("schedule", ["cosine", "constant"])
    def test_no_radius_and_no_hessian_is_fine_tuning(self, unlearned: Callable, schedule: str) -> None:
        uam = unlearned(UAM(epochs=3, batch_size=6, rho=0.0, hessian="none", rho_schedule=schedule))
        assert same_state(uam, unlearned(FineTune(epochs=3, batch_size=6)))

    def test_gamma_zero_is_no_hessian(self, unlearned: Callable) -> None:
        none = unlearned(UAM(epochs=3, batch_size=6, hessian="none"))
        for hessian in ("projection", "scalar"):
            assert same_state(none, unlearned(UAM(epochs=3, batch_size=6, hessian=hessian, gamma=0.0)))
            assert not same_state(none, unlearned(UAM(epochs=3, batch_size=6, hessian=hessian, gamma=0.1)))


@pytest.mark.parametrize("ascent", ["radius", "rise"])
@pytest.mark.parametrize("gamma", [0.0, 1.7])
@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_steps_are_those_of_a_plain_loop(
    network: Callable, make_task: Callable, seed: int, batchnorm: bool, gamma: float, ascent: str
) -> None:
    task = make_task(network(seed, batchnorm), seed)
    model = copy.deepcopy(task.model)
    batches = list(task.retain.epoch(8, task.generator("retain")))
    forget = task.forget.endless(8, task.generator("forget"))

    velocity = {}
    for (x, y), (x_f, y_f) in zip(batches, forget, strict=False):
        start = {name: p.detach().clone() for name, p in model.named_parameters()}
        model.zero_grad()
        cross_entropy(model(x_f), y_f).backward()
        forgets = {name: p.grad.clone() for name, p in model.named_parameters()}
        squared = sum((g**2).sum().item() for g in forgets.values())
        for name, p in model.named_parameters():
            p.data += 0.7 * forgets[name] / (math.sqrt(squared) if ascent == "radius" else squared)
        model.zero_grad()
        cross_entropy(model(x), y).backward()
        agreement = sum((p.grad * forgets[name]).sum().item() for name, p in model.named_parameters())
        for name, p in model.named_parameters():
            gradient = p.grad - gamma * agreement / squared * forgets[name] + 0.01 * start[name]
            velocity[name] = 0.9 * velocity[name] + gradient if name in velocity else gradient
            p.data = start[name] - 0.1 * velocity[name]

    options = {"rho": 0.7, "rho_schedule": "constant", "gamma": gamma, "ascent": ascent, "longest": 100.0}
    method = UAM(epochs=1, lr=0.1, weight_decay=0.01, batch_size=8, **options)
    unlearned = dict(method.unlearn(task).named_parameters())
    assert len(batches) == 3
    for name, p in model.named_parameters():
        torch.testing.assert_close(unlearned[name], p, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ascent", ["radius", "rise", "rosu"])
@pytest.mark.parametrize(("hessian", "factor"), [("none", 1.0), ("projection", 1.0), ("scalar", 2.7), ("exact", 1.0)])
def test_a_saturated_forget_loss_leaves_plain_descent(
    hessian: str, factor: float, ascent: str, make_task: Callable
) -> None:
    model = nn.Linear(4, 3).float()
    with torch.no_grad():
        model.weight.copy_(1e4 * torch.eye(3, 4))
    task = make_task(model, dtype=torch.float32)
    forget = (torch.eye(3, 4, dtype=torch.float32), torch.arange(3))
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    retain = (inputs.float(), torch.tensor([0, 1, 2, 0, 1]))
    descent = flat_gradient(cross_entropy(model(retain[0]), retain[1]), list(model.parameters()))
    assert flat_gradient(cross_entropy(model(forget[0]), forget[1]), list(model.parameters())).norm() == 0
    assert descent.norm() > 0

    direction = gradients_left(UAM(gamma=1.7, hessian=hessian, ascent=ascent), task, retain, forget)
    torch.testing.assert_close(direction, factor * descent)


@pytest.mark.parametrize("ascent", ["radius", "rise", "rosu"])
@pytest.mark.parametrize("hessian", ["none", "projection", "scalar", "exact"])
def test_however_small_the_forget_gradient_the_ascent_is_never_too_long(hessian: str, ascent: str) -> None:
    """In float32 the square of 2.6e-23 is 0 and that of 2.75e-23 is not, so a norm of both is far too small."""
    slope = torch.full((64,), 2.6)
    slope[0] = 2.75
    size = slope.norm().item()
    for exponent in range(-44, 3):
        weights = [torch.zeros((), requires_grad=True, dtype=torch.float32) for _ in slope]
        visited = []

        def retain_loss(weights: list = weights, visited: list = visited) -> Tensor:
            visited.append(torch.stack(weights).detach())
            return ((torch.stack(weights) - 1) ** 2).sum()

        def forget_loss(weights: list = weights, exponent: int = exponent) -> Tensor:
            together = torch.stack(weights)
            return (together @ slope.float() + together @ together) * 10.0**exponent

        found, values = uam_direction(
            weights, forget_loss, retain_loss, rho=2.0, gamma=1.7, hessian=hessian, ascent=ascent, longest=2.0
        )
        length = visited[ascent == "rosu"].double().norm().item()
        assert torch.stack(found).isfinite().all()
        assert length <= 2.0 * (1 + 1e-6)
        assert not torch.stack(weights).any()
        if exponent >= -12:  # the norm is known
            expected = min(2.0, 2.0 / (size * 10.0**exponent)) if ascent == "rise" else 2.0
            assert length == pytest.approx(expected, rel=1e-6)
            if ascent == "rise":
                assert values["capped"].item() == (size * 10.0**exponent < 1)


@pytest.mark.parametrize("longest", [0.05, 100.0])
def test_a_rise_lifts_the_linearised_forget_loss_by_rho_unless_it_is_cut(saddle: Callable, longest: float) -> None:
    task, retain, forget = saddle("tanh", 0)
    parameters, visited = list(task.model.parameters()), []

    def forget_loss() -> Tensor:
        return cross_entropy(task.model(forget[0]), forget[1])

    def retain_loss() -> Tensor:
        visited.append(parameters_to_vector(parameters).detach().clone())
        return cross_entropy(task.model(retain[0]), retain[1])

    start, g = parameters_to_vector(parameters).detach().clone(), flat_gradient(forget_loss(), parameters)
    options = {"rho": 0.3, "gamma": 1.7, "hessian": "projection", "ascent": "rise", "longest": longest}
    _, values = uam_direction(parameters, forget_loss, retain_loss, **options)
    step = visited[0] - start
    cut = longest < 0.3 / g.norm().item()
    assert values["capped"].item() == cut
    assert (step @ g).item() == pytest.approx(longest * g.norm().item() if cut else 0.3, rel=1e-9)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_radius_over_the_run(schedule: str, network: Callable, make_task: Callable) -> None:
    model, visited = network(), []

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        visited.append(parameters_to_vector(model.parameters()).detach().clone())
        return cross_entropy(outputs, targets)

    UAM(epochs=2, batch_size=5, rho=2.0, rho_schedule=schedule).unlearn(make_task(model, criterion=criterion))
    radii = [(perturbed - at).norm().item() for at, perturbed in zip(visited[::2], visited[1::2], strict=True)]
    cosine = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert radii == pytest.approx(cosine if schedule == "cosine" else [2.0] * 8, rel=1e-9)


@pytest.mark.parametrize("hessian", ["none", "projection", "scalar", "exact"])
def test_parameters_are_where_they_were_once_the_direction_is_known(hessian: str, saddle: Callable) -> None:
    task, retain, forget = saddle("batchnorm", 0)
    before = parameters_to_vector(task.model.parameters()).detach().clone()
    UAM(rho=4.0, hessian=hessian).gradients(task, retain, forget, 0.0)
    after = parameters_to_vector(task.model.parameters()).detach()
    torch.testing.assert_close(after, before, rtol=0, atol=1e-14)


def test_frozen_parameters_stay_out_of_it(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    UAM(epochs=1, batch_size=10).unlearn(make_task(model))
    assert same_state(model[0], before[0])
    assert not same_state(model[2], before[2])


@pytest.mark.parametrize("hessian", ["none", "projection", "exact"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_trace_of_a_step(hessian: str, seed: int, saddle: Callable) -> None:
    task, (x, y), (x_f, y_f) = saddle("tanh", seed)
    parameters = dict(task.model.named_parameters())
    start = parameters_to_vector(parameters.values()).detach().clone()

    def loss_at(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        sizes = [p.numel() for p in parameters.values()]
        parts = zip(parameters.items(), weights.split(sizes), strict=True)
        named = {name: part.view_as(p) for (name, p), part in parts}
        return cross_entropy(functional_call(task.model, named, (inputs,)), targets)

    g_f = torch.func.grad(loss_at)(start, x_f, y_f)
    perturbed = start + 1.5 * unit(g_f)
    v = torch.func.grad(loss_at)(perturbed, x, y)
    projected = v - (v @ unit(g_f)) * unit(g_f)
    term = 1.5 / g_f.norm() * torch.func.hessian(loss_at)(start, x_f, y_f) @ projected

    UAM(epochs=1, batch_size=20, rho=1.5, hessian=hessian).unlearn(task)
    (row,) = task.recorder.rows
    assert row["forget_loss"] == pytest.approx(loss_at(start, x_f, y_f).item(), rel=1e-10)
    assert row["retain_loss"] == pytest.approx(loss_at(perturbed, x, y).item(), rel=1e-10)
    assert row["gradient_cosine"] == pytest.approx((unit(v) @ unit(g_f)).item(), rel=1e-9)
    if hessian == "exact":
        assert row["hessian_ratio"] == pytest.approx((term.norm() / v.norm()).item(), rel=1e-9)
    else:
        assert "hessian_ratio" not in row


def test_every_recorded_cosine_is_between_minus_one_and_one(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    UAM(epochs=5, batch_size=5).unlearn(task)
    assert all(-1 <= row["gradient_cosine"] <= 1 for row in task.recorder.rows)


@pytest.mark.parametrize(("hessian", "forget_passes"), [("none", 1), ("projection", 1), ("scalar", 1), ("exact", 3)])
def test_samples_are_counted_per_pass(hessian: str, forget_passes: int, network: Callable, make_task: Callable) -> None:
    task = make_task(network(), retain=20, forget=6)
    UAM(epochs=3, batch_size=10, hessian=hessian).unlearn(task)
    assert task.recorder.samples_processed == 3 * (20 + 2 * 6 * forget_passes)


@pytest.mark.parametrize("hessian", ["projection", "scalar", "exact"])
def test_it_forgets_what_fine_tuning_remembers(
    hessian: str, network: Callable, make_task: Callable, whole: Callable
) -> None:
    learn = FineTune(epochs=150, lr=0.1, batch_size=26)
    original = learn.unlearn(make_task(network(hidden=40), retain=26, forget=0)).state_dict()

    def forget_loss(method: object) -> float:
        task = make_task(network(hidden=40), retain=20, forget=6)
        task.model.load_state_dict(original)
        inputs, targets = whole(task.forget)
        return cross_entropy(method.unlearn(task)(inputs), targets).item()

    remembered = forget_loss(FineTune(epochs=10, lr=0.05))
    assert forget_loss(UAM(epochs=10, lr=0.05, rho=2.0, hessian=hessian)) > 1.5 * remembered
