"""UAM's ascent across the retain gradient, `ascent: rosu`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from methods.check import checks
from methods.uam import UAM, uam_direction


class TestRosu:
    @pytest.fixture
    def climbs(self) -> Callable:
        """(g, r, ascent) -> the ascent step of length 1.5 for these gradients, and the direction for `projection`."""

        def climb(g: Tensor, r: Tensor, ascent: str) -> tuple[Tensor, Tensor]:
            weights, visited = torch.zeros(len(g), requires_grad=True), []

            def retain_loss() -> Tensor:
                visited.append(weights.detach().clone())
                return weights @ r + (weights**4).sum()

            options = {"rho": 1.5, "gamma": 0.7, "hessian": "projection", "ascent": ascent}
            (found,), _ = uam_direction([weights], lambda: weights @ g, retain_loss, **options)
            return visited[-1], found

        return climb

    @pytest.mark.parametrize("seed", range(3))
    def test_the_step_is_orthogonal_to_the_retain_gradient_and_of_length_rho(self, climbs: Callable, seed: int) -> None:
        g, r = torch.randn(2, 9, generator=torch.Generator().manual_seed(seed))
        step, found = climbs(g, r, "rosu")
        assert abs(g @ r) > 0.1
        assert abs(step @ r) < 1e-14 * r.norm() * 10
        q = torch.linalg.lstsq(torch.stack([r], 1), g[:, None])
        residual = g - q.solution[0, 0] * r
        torch.testing.assert_close(step, 1.5 * normalize(residual, dim=0), rtol=0, atol=1e-13)
        v = r + 4 * step**3
        torch.testing.assert_close(found, v - 0.7 * (v @ normalize(g, dim=0)) * normalize(g, dim=0), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("seed", range(3))
    def test_it_is_radius_where_the_gradients_are_orthogonal(self, climbs: Callable, seed: int) -> None:
        g, r = torch.linalg.qr(torch.randn(9, 2, generator=torch.Generator().manual_seed(seed))).Q.T
        for one, other in zip(climbs(3 * g, 2 * r, "rosu"), climbs(3 * g, 2 * r, "radius"), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("factor", [1.0, -2.0])
    def test_it_does_not_climb_where_they_are_parallel(self, climbs: Callable, factor: float) -> None:
        g = torch.randn(9, generator=torch.Generator().manual_seed(0))
        step, _ = climbs(g, factor * g, "rosu")
        assert not step.any()

    def test_it_is_radius_where_the_retain_gradient_is_zero(self, climbs: Callable) -> None:
        g = torch.randn(9, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(climbs(g, torch.zeros(9), "rosu")[0], 1.5 * normalize(g, dim=0), rtol=0, atol=1e-13)

    @pytest.mark.parametrize(("hessian", "passes"), [("projection", 3), ("exact", 7)])
    def test_its_passes_are_counted(
        self, network: Callable, make_task: Callable, whole: Callable, hessian: str, passes: int
    ) -> None:
        task, calls = make_task(network(), retain=6, forget=6), []

        def autocast() -> nullcontext[None]:
            calls.append(1)
            return nullcontext()

        UAM(hessian=hessian, ascent="rosu").gradients(
            replace(task, autocast=autocast), whole(task.retain), whole(task.forget), 0.0
        )
        assert task.recorder.samples_processed == passes * 6
        assert len(calls) == (3 if hessian == "projection" else 5)  # of these, two are differentiated twice

    def test_no_search_draws_it_unasked(self) -> None:
        (item,) = (item for item in fields(UAM) if item.name == "ascent")
        assert item.metadata["search"] == ("radius", "rise")

    @pytest.mark.parametrize("hessian", ["none", "exact"])
    def test_it_keeps_a_methods_promises(self, hessian: str) -> None:
        broken = [one for one in checks(UAM, ascent="rosu", hessian=hessian) if one[1] is not None]
        assert broken == []
