"""Every method computes on whichever device its task is on, and there what it computes on the CPU."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from other_device import THERE, Elsewhere, OtherDevice, moved, samples_moved

from methods import AMUN, METHODS, SISA, SSD, UAM, CertifiedHead, Fisher, Influence, RandomLabel, SalUn
from methods.check import SMALL
from methods.problems import FORGET, RETAIN, TokenProblem, problems_for
from methods.scrub import Scrub


def small(kind, **hyperparameters):
    """A method that has little to do."""
    names = {item.name for item in fields(kind)}
    return kind(**{name: value for name, value in SMALL.items() if name in names} | hyperparameters)


CASES = [
    *((small(kind), problems_for(kind)[0][-1]) for kind in METHODS.values()),
    *(
        (method, problems_for(type(method))[0][-1])
        for method in (
            small(UAM, hessian="exact", ascent="rise"),
            small(UAM, hessian="exact", ascent="rosu"),
            small(Fisher, samples=20, expectation="sampled"),
            small(Influence, curvature="hessian", iterations=2),
            small(CertifiedHead, features="untrained", from_scratch=True),
            small(SISA, aggregation="vote", from_scratch=True),
            small(SSD, fisher="batch"),
            small(SalUn, scheme="authors"),
            small(RandomLabel, retain_weight=0.0),
            small(AMUN, beside="nothing"),
            small(Scrub, rewind=True),
        )
    ),
    (small(UAM, signal="hidden"), TokenProblem()),
]


@pytest.mark.parametrize(("method", "problem"), CASES, ids=repr)
def test_on_another_device_a_method_computes_the_same(method, problem):
    expected = method.unlearn(problem.task(method)).state_dict()
    with OtherDevice():
        task = moved(problem.task(method), THERE)
        if method.shapes_training is not None:
            train = samples_moved(problem.samples().subset(torch.arange(RETAIN + FORGET)), THERE)
            torch.manual_seed(0)  # as `Problem.task` does
            model = method.build_original(task.build, train).to(THERE)
            task = replace(task, model=method.train_original(model, train, problem.fit).eval())
        found = method.unlearn(task).state_dict()
    assert all(isinstance(value, Elsewhere) for value in found.values())
    torch.testing.assert_close({name: value.values for name, value in found.items()}, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda there: there + torch.ones(3),
        lambda there: torch.stack([there, torch.ones(3)]),
        lambda there: torch.randn(3, generator=torch.Generator(), device=there.device),
        lambda there: there.clone().uniform_(generator=torch.Generator()),
    ],
)
def test_what_a_gpu_refuses_is_refused(mistake):
    with OtherDevice():
        there = torch.ones(3).to(THERE)
        assert (2 * there + torch.tensor(1.0))[torch.tensor([0, 1])].tolist() == [3, 3]
        with pytest.raises(RuntimeError, match=r"two devices|generator"):
            mistake(there)
