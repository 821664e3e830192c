from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from distinguishing import least_epsilon
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Diverged, Recorder, Samples, Task, Unsuitable, certified_head
from methods.certified_head import CertifiedHead, FrozenFeatures, SoftmaxRegression, newton
from methods.check import checks
from methods.tiny_problem import Problem

VARIANTS = [
    {},
    {"features": "untrained"},
    {"mechanism": "zcdp"},
    {"from_scratch": True},
]
EXACT = 1e-13
"""A gradient's norm near which float64 has no more to say."""


def no_fit(*args: object, **kwargs: object) -> nn.Module:
    raise AssertionError("the head has its own training")


@pytest.fixture
def request_to_forget(network: Callable, make_task: Callable) -> Callable[..., Task]:
    """(method, **arguments of make_task) -> a task whose model is that method's original."""

    def build(method: CertifiedHead, build: Callable = network, **arguments: object) -> Task:
        task = make_task(None, build=build, **arguments)
        train = replace(task.retain, index=torch.cat([task.retain.index, task.forget.index]))
        model = method.train_original(method.build_original(build, train), train, no_fit)
        return replace(task, model=model)

    return build


def noiseless(method: CertifiedHead, task: Task) -> Tensor:
    """The weights before the noise."""
    model = copy.deepcopy(task.model)
    if method.from_scratch:
        nn.init.zeros_(model.head.weight)
    method.minimise(model, task.retain, Recorder())
    return model.head.weight.detach().flatten()


def objective_of(method: CertifiedHead, task: Task, samples: Samples) -> Callable[[Tensor], Tensor]:
    """F of the weights as a vector, written for autograd."""
    model = task.model
    found, labels = model.features(samples.inputs[samples.index]), samples.targets[samples.index]

    def loss(weight: Tensor) -> Tensor:
        return (
            cross_entropy(found @ weight.view_as(model.head.weight).T, labels) + method.l2 / 2 * weight.square().sum()
        )

    return loss


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_keeps_its_promises(variant: dict[str, object]) -> None:
    assert [found for found in checks(CertifiedHead, **variant) if found[1] is not None] == []


class TestMinimiser:
    @pytest.fixture
    def regression(self) -> SoftmaxRegression:
        random = torch.Generator().manual_seed(0)
        features = torch.randn(30, 6, generator=random)
        return SoftmaxRegression(features, torch.randint(4, (30,), generator=random), 4, l2=0.05)

    def test_gradient_and_curvature_are_those_of_the_loss(self, regression: SoftmaxRegression) -> None:
        random = torch.Generator().manual_seed(1)
        weight, vector = torch.randn(2, 24, generator=random)
        gradient = torch.autograd.functional.jacobian(regression.loss, weight)
        product = torch.autograd.functional.hessian(regression.loss, weight) @ vector
        torch.testing.assert_close(regression.gradient(weight), gradient, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(regression.curvature(weight)(vector), product, rtol=1e-12, atol=1e-14)

    def test_of_a_ridge_regression_one_step_is_exact(self) -> None:
        random = torch.Generator().manual_seed(2)
        features, targets = torch.randn(20, 5, generator=random), torch.randn(20, generator=random)
        system = features.T @ features / 20 + 0.1 * torch.eye(5)

        class Ridge:
            def loss(self, weight: Tensor) -> Tensor:
                return (features @ weight - targets).square().mean() / 2 + 0.05 * weight @ weight

            def gradient(self, weight: Tensor) -> Tensor:
                return system @ weight - features.T @ targets / 20

            def curvature(self, weight: Tensor) -> Callable[[Tensor], Tensor]:
                return lambda vector: system @ vector

        start = 1e-9 * torch.ones(5) + torch.linalg.solve(system, features.T @ targets / 20)
        seen = []
        end, norm = newton(Ridge(), start, 1e-13, 3, 50, lambda *values: seen.append(values[0]))
        torch.testing.assert_close(end, torch.linalg.solve(system, features.T @ targets / 20), rtol=1e-12, atol=1e-13)
        assert norm <= 1e-13
        assert seen == [1]

    def test_it_ends_where_another_solver_does(self, regression: SoftmaxRegression) -> None:
        end, norm = newton(regression, torch.zeros(24), EXACT, 50, 100)

        def value(weight: object) -> tuple[float, object]:
            vector = torch.from_numpy(weight)
            return regression.loss(vector).item(), regression.gradient(vector).numpy()

        other = minimize(value, torch.zeros(24).numpy(), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0})
        assert norm <= EXACT
        torch.testing.assert_close(end, torch.from_numpy(other.x), rtol=0, atol=1e-6)

    def test_far_away_where_a_newton_step_overshoots_it_still_descends(self) -> None:
        features = torch.tensor([[40.0], [40.0], [40.0], [-1.0]])
        regression = SoftmaxRegression(features, torch.tensor([0, 0, 1, 1]), 2, l2=1e-6)
        losses = []
        newton(regression, torch.tensor([3.0, -3.0]), 1e-8, 50, 10, lambda step, loss, norm: losses.append(loss.item()))
        assert losses == sorted(losses, reverse=True)

    def test_a_gradient_that_stays_too_large_is_an_error(self, regression: SoftmaxRegression) -> None:
        with pytest.raises(Diverged, match=r"still .* after 1 Newton steps, more than 1.0e-13"):
            newton(regression, torch.zeros(24), EXACT, 1, 100)


class TestCertificate:
    @pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
    def test_the_end_is_as_near_to_the_minimum_as_the_gradient_says(
        self, request_to_forget: Callable, tolerance: float
    ) -> None:
        method = CertifiedHead(tolerance=tolerance, l2=0.01)
        task = request_to_forget(method)
        minimum = noiseless(replace(method, tolerance=EXACT), task)
        gradient = torch.autograd.functional.jacobian(objective_of(method, task, task.retain), minimum)
        assert torch.linalg.vector_norm(gradient) < 1e-12
        ends = [noiseless(replace(method, from_scratch=scratch), task) for scratch in (False, True)]
        distances = [torch.linalg.vector_norm(end - minimum).item() for end in ends]
        assert max(distances) <= tolerance / 0.01 + 1e-12
        apart = torch.linalg.vector_norm(ends[0] - ends[1]).item()
        assert 0 < apart <= method.sensitivity == 2 * tolerance / 0.01

    def test_two_starts_of_worst_kind_are_apart_by_nearly_all_of_the_sensitivity(self) -> None:
        """Features of 0 leave the penalty alone: its gradient is l2 W, and W = tolerance / l2 is near enough."""
        method = CertifiedHead(tolerance=1e-3, l2=0.01)
        regression = SoftmaxRegression(torch.zeros(3, 1), torch.tensor([0, 1, 0]), 2, method.l2)
        start = torch.tensor([method.tolerance / method.l2 * (1 - 1e-9), 0.0])
        first, second = (newton(regression, sign * start, method.tolerance, 9, 9)[0] for sign in (1, -1))
        assert torch.linalg.vector_norm(first - second).item() == pytest.approx(method.sensitivity, rel=1e-8)

    @pytest.mark.parametrize("mechanism", ["gaussian", "zcdp"])
    def test_noise_of_sigma_is_added_and_said(self, request_to_forget: Callable, mechanism: str) -> None:
        method = CertifiedHead(mechanism=mechanism, tolerance=1e-4)
        task = request_to_forget(method)
        before = noiseless(method, task)
        drawn = torch.randn(before.view(3, -1).shape, generator=task.generator("noise"), dtype=torch.float64).flatten()
        after = method.unlearn(task).head.weight.detach().flatten()
        torch.testing.assert_close(after, before + method.sigma * drawn, rtol=0, atol=1e-14)
        notes = task.recorder.notes
        ratio = {"gaussian": 0.268, "zcdp": 0.204}[mechanism]
        assert notes["sensitivity"] / notes["sigma"] == pytest.approx(ratio, abs=1e-3)
        assert (notes["epsilon"], notes["delta"], notes["sensitivity"]) == (1.0, 1e-5, 0.2)
        assert 0 < notes["gradient_norm"] <= 1e-4
        assert "do not depend on the data" in notes["certificate"]
        assert json.loads(json.dumps(notes)) == notes

    def test_its_own_retraining_claims_nothing_and_draws_other_noise(self, request_to_forget: Callable) -> None:
        method = CertifiedHead(from_scratch=True)
        task = request_to_forget(method)
        before = noiseless(method, task)
        noise = method.unlearn(task).head.weight.detach().flatten() - before
        other = task.generator("noise")
        assert not torch.allclose(noise, method.sigma * torch.randn(before.shape, generator=other))
        assert noise.abs().max() > method.sigma
        assert set(task.recorder.notes) == {"sigma", "sensitivity", "gradient_norm"}

    def test_its_own_retraining_starts_from_nothing(self, request_to_forget: Callable) -> None:
        ends = []
        for value in (0.0, 3.0):
            method = CertifiedHead(from_scratch=True)
            task = request_to_forget(method)
            nn.init.constant_(task.model.head.weight, value)
            ends.append(method.unlearn(task).head.weight)
        assert torch.equal(*ends)

    @pytest.fixture
    def measured(self, make_task: Callable) -> Callable[[CertifiedHead], float]:
        """What 100,000 draws say of epsilon at least: the noise on as many weights, and the same moved by all that two
        runs may differ by."""

        def measure(method: CertifiedHead) -> float:
            width, noise = 50_000, []
            for seed in (0, 1):
                task = make_task(None, seed, retain=3, forget=0, targets=torch.tensor([0, 1, 1]))
                inputs = torch.zeros(3, width - 1)
                samples = replace(task.retain, inputs=inputs)
                model = FrozenFeatures(nn.Flatten(), None, inputs[:1], 2)
                task = replace(task, model=model, retain=samples)
                start = noiseless(method, task)
                noise.append((method.unlearn(task).head.weight.detach().flatten() - start).numpy())
            return least_epsilon(noise[0], noise[1] + method.sensitivity, method.delta)

        return measure

    @pytest.mark.parametrize("epsilon", [0.5, 2.0])
    def test_an_experiment_does_not_refute_epsilon(self, measured: Callable, epsilon: float) -> None:
        found = measured(CertifiedHead(epsilon=epsilon, delta=0.01, tolerance=1e-3))
        assert 0.3 * epsilon < found <= epsilon

    def test_the_experiment_would_refute_a_tenth_of_the_noise(
        self, measured: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enough = certified_head.gaussian_sigma
        monkeypatch.setattr(certified_head, "gaussian_sigma", lambda *claim: enough(*claim) / 10)
        assert measured(CertifiedHead(epsilon=0.5, delta=0.01, tolerance=1e-3)) > 2

    def test_with_nothing_to_forget_the_original_stays_but_for_the_noise(self, request_to_forget: Callable) -> None:
        method = CertifiedHead()
        task = request_to_forget(method, forget=0)
        original = task.model.head.weight.detach().flatten().clone()
        assert torch.equal(noiseless(method, task), original)
        method.unlearn(task)
        assert task.recorder.samples_processed == len(task.retain)  # one gradient says so


class TestFeatures:
    def test_they_have_length_one_and_a_constant(self, request_to_forget: Callable) -> None:
        for kind in ("pixels", "untrained"):
            task = request_to_forget(CertifiedHead(features=kind))
            found = task.model.features(task.retain.inputs[:7].float())
            assert found.dtype == torch.float64
            torch.testing.assert_close(found[:, :-1].norm(dim=1), torch.ones(7))
            assert torch.equal(found[:, -1], torch.ones(7))
        assert torch.equal(task.model.features(torch.zeros(1, 4))[0, -1:], torch.ones(1))

    def test_a_sample_of_zeros_has_features_of_zero(self) -> None:
        model = FrozenFeatures(nn.Flatten(), None, torch.ones(1, 2), 3)
        assert torch.equal(model.features(torch.zeros(1, 2)), torch.tensor([[0.0, 0.0, 1.0]]))

    @pytest.mark.parametrize("kind", ["pixels", "untrained"])
    def test_how_images_are_normalised_does_not_matter_to_the_bit(self, kind: str) -> None:
        """The mean and spread that a sweep normalises by are those of the data, forget set and all."""
        problem, found = Problem(), []
        for mean, spread in ((128.0, 64.0), (33.7, 91.3)):
            samples = problem.samples()
            low, high = (torch.full((1, 1, 1, 1), (end - mean) / spread, dtype=torch.float32) for end in (0, 255))
            prepare = lambda raw, draws, mean=mean, spread=spread: (raw.float() - mean) * (1 / spread)  # noqa: E731
            samples = replace(samples, prepare=prepare, bounds=(low, high))
            network = lambda stream="": problem.build().float()  # noqa: E731
            model = CertifiedHead(features=kind).build_original(network, samples)
            found.append(model.features_of(samples)[0])
        assert torch.equal(*found)

    def test_the_untrained_network_gives_them_without_its_last_layer(
        self, request_to_forget: Callable, network: Callable
    ) -> None:
        task = request_to_forget(CertifiedHead(features="untrained"))
        inputs = task.retain.inputs
        before_last = network()[:-1](inputs)
        expected = before_last / before_last.norm(dim=1, keepdim=True)
        torch.testing.assert_close(task.model.features(inputs)[:, :-1], expected, rtol=1e-12, atol=1e-14)

    def test_batchnorm_and_the_body_never_see_the_data(self, network: Callable, request_to_forget: Callable) -> None:
        def build(stream: str = "") -> nn.Module:
            return network(batchnorm=True)

        method = CertifiedHead(features="untrained")
        task = request_to_forget(method, build=build)
        task.model.train()(task.retain.inputs)
        body = method.unlearn(task).body.state_dict()
        fresh = build().state_dict()
        assert {name for name in fresh if name not in body} == {"3.weight", "3.bias"}
        assert all(torch.equal(value, fresh[name]) for name, value in body.items())

    def test_under_autocast_they_stay_in_float64(self, request_to_forget: Callable) -> None:
        task = request_to_forget(CertifiedHead(features="untrained"))
        inputs = task.retain.inputs
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(task.model(inputs), task.model(inputs.clone()))
            found = task.model(inputs)
        assert torch.equal(found, task.model(inputs))

    def test_its_original_can_be_stored_and_loaded(self, network: Callable, request_to_forget: Callable) -> None:
        method = CertifiedHead(features="untrained")
        task = request_to_forget(method)
        loaded = method.build_original(lambda stream="": network(seed=5), task.retain)
        loaded.load_state_dict(task.model.state_dict())
        assert torch.equal(loaded(task.retain.inputs), task.model(task.retain.inputs))

    def test_what_it_cannot_work_on_is_refused(
        self, make_task: Callable, network: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = make_task(None)

        def untrained(*layers: nn.Module) -> Callable:
            return lambda stream="": nn.Sequential(*layers)

        method = CertifiedHead(features="untrained")
        with pytest.raises(Unsuitable, match="last layer is linear"):
            method.build_original(untrained(nn.Linear(4, 3), nn.BatchNorm1d(3)), task.retain)
        with pytest.raises(Unsuitable, match="classifier"):
            method.build_original(untrained(nn.Unflatten(1, (2, 2)), nn.Linear(2, 3)), task.retain)
        with pytest.raises(Unsuitable, match="classifier"):
            method.build_original(network, replace(task.retain, targets=torch.rand(26)))
        monkeypatch.setattr(certified_head, "MOST_BYTES", 100)
        with pytest.raises(Unsuitable, match="GiB"):
            method.train_original(method.build_original(network, task.retain), task.retain, no_fit)


def test_passes_are_counted_where_gradients_are_computed(request_to_forget: Callable) -> None:
    method = CertifiedHead(tolerance=1e-9)
    task = request_to_forget(method)
    method.unlearn(task)
    rows = task.recorder.rows
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["gradient_norm"] <= 1e-9 < rows[-2]["gradient_norm"]
    gradients, odd = divmod(task.recorder.samples_processed, len(task.retain))
    assert odd == 0
    products = gradients - (len(rows) + 1)
    assert products > 0
    assert products % 2 == 0
    assert not math.isnan(rows[0]["retain_loss"])
