"""What a search draws from, from what a spec and a method say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import optuna
import pytest

from methods import METHODS, Method, Range, hyperparameter
from methods.uam import UAM
from sweep.errors import InputError
from sweep.search.definition import Definition
from sweep.spec.search_section import SearchSpec
from sweep.spec.space import Dimension, identifying, make_space
from sweep.store.columns import REFERENCES


@dataclass(frozen=True)
class Nested(Method):
    """Hyperparameters that depend on others, which are declared after them."""

    name: ClassVar[str] = "nested"
    source: ClassVar[str] = "-"

    depth: int = hyperparameter(3, "of effect with a tree", search=Range(1, 9), when={"kind": ("tree",)}, ge=1)
    leaf: float = hyperparameter(0.5, "of effect with depth", search=Range(0.1, 1), when={"kind": ("tree", "bush")})
    kind: Literal["tree", "bush", "stone"] = hyperparameter("stone", "what grows")
    size: int | None = hyperparameter(None, "without a range", ge=1)

    def unlearn(self, task):
        return task.model


def test_what_is_not_named_has_the_methods_own_range_categories_or_default():
    space = make_space("uam", UAM, {})
    assert space.searched["rho"] == Dimension("float", 0.1, 8.0, log=True)
    assert space.searched["epochs"] == Dimension("int", 1, 20, log=True)
    assert space.searched["hessian"] == Dimension("choice", choices=("none", "projection", "scalar", "exact"))
    later = {"signal": "loss", "layer": 2, "noise": 0.01}
    assert space.fixed == {"momentum": 0.9, "weight_decay": 5e-4, "batch_size": 64, "longest": 8.0} | later


def test_a_value_is_fixed_a_mapping_narrows_and_a_list_is_categories():
    space = make_space(
        "uam", UAM, {"lr": 0.1, "rho": {"high": 2}, "momentum": [0, 0.9], "epochs": {"low": 2, "log": False}}
    )
    assert space.fixed["lr"] == 0.1
    assert space.searched["rho"] == Dimension("float", 0.1, 2.0, log=True)
    assert space.searched["momentum"] == Dimension("choice", choices=(0.0, 0.9))
    assert space.searched["epochs"] == Dimension("int", 2, 20, log=False)


def test_a_range_for_what_has_none_of_its_own_needs_both_ends():
    space = make_space("uam", UAM, {"weight_decay": {"low": 1e-5, "high": 1e-3, "log": True}})
    assert space.searched["weight_decay"] == Dimension("float", 1e-5, 1e-3, log=True)
    with pytest.raises(InputError, match=r"weight_decay\.low: required, and missing"):
        make_space("uam", UAM, {"weight_decay": {"high": 1e-3}})


def test_one_category_or_equal_ends_leave_a_fixed_value():
    space = make_space("uam", UAM, {"hessian": ["exact"], "rho": {"low": 2, "high": 2}})
    assert (space.fixed["hessian"], space.fixed["rho"]) == ("exact", 2.0)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in REFERENCES])
def test_every_method_can_be_searched_and_draws_only_valid_values(name):
    space = make_space(name, METHODS[name], {})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        params = space.suggest(study.ask())
        METHODS[name](**params)
        make_space(name, METHODS[name], {key: [value] for key, value in params.items() if key not in space.searched})
        assert set(params) == set(space.order)


@pytest.mark.parametrize("name", REFERENCES)
def test_references_are_never_searched(name):
    with pytest.raises(InputError, match=f"name: {name} is what all other methods are compared with"):
        make_space(name, METHODS[name], {})


def draws(space: object, count: int = 200):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(count):
        trial = study.ask()
        yield space.suggest(trial), trial.params


def test_a_hyperparameter_without_effect_is_not_drawn_and_has_its_default():
    seen = set()
    for params, drawn in draws(make_space("nested", Nested, {})):
        seen.add(params["kind"])
        assert ("depth" in drawn) == (params["kind"] == "tree")
        assert ("leaf" in drawn) == (params["kind"] != "stone")
        if params["kind"] == "stone":
            assert (params["depth"], params["leaf"]) == (3, 0.5)
    assert seen == {"tree", "bush", "stone"}


def test_what_was_drawn_can_be_told_from_the_hyperparameters():
    space = make_space("nested", Nested, {})
    for params, drawn in draws(space):
        assert space.drawn(params) == drawn
    space = make_space("uam", UAM, {"signal": ["loss", "hidden"], "layer": [2, 3]})
    for params, drawn in draws(space):
        assert space.drawn(identifying(UAM, params)) == drawn


def test_a_value_fixed_without_effect_is_the_default_too():
    space = make_space("nested", Nested, {"depth": 7})
    assert {params["depth"] for params, _ in draws(space) if params["kind"] == "bush"} == {3}
    assert {params["depth"] for params, _ in draws(space) if params["kind"] == "tree"} == {7}


def test_what_can_never_have_an_effect_is_not_searched():
    assert "gamma" not in make_space("uam", UAM, {"hessian": "none"}).searched
    with pytest.raises(InputError, match="gamma: has no effect with hessian: none"):
        make_space("uam", UAM, {"hessian": "none", "gamma": {"low": 1}})


def test_the_description_is_plain_data():
    described = make_space("nested", Nested, {}).description()
    assert described["depth"] == {"type": "int", "low": 1, "high": 9, "log": False, "when": {"kind": ["tree"]}}
    assert described["kind"] == {"choices": ["tree", "bush", "stone"]}
    assert repr(described["leaf"]["high"]) == "1.0"


def test_a_circle_of_dependencies_is_bad_input():
    @dataclass(frozen=True)
    class Circle(Nested):
        kind: Literal["tree", "stone"] = hyperparameter("tree", "what grows", when={"depth": (3,)})

    with pytest.raises(InputError, match="its `when` names no hyperparameter"):
        make_space("circle", Circle, {})


NAMES = {
    "finetune-83f7e9d8": {},
    "neggrad-955fcf5e": {},
    "randomlabel-8b6ceac0": {},
    "fisher-7c7b6e2d": {},
    "influence-080ce12c": {},
    "uam-999dda54": {},
    "uam-3f428fc6": {"lr": 1, "rho": {"high": 2}, "momentum": [0, 0.9], "epochs": {"low": 2, "log": False}},
    "uam-013978c3": {
        "weight_decay": {"low": 1e-5, "high": 1e-3, "log": True},
        "hessian": ["exact"],
        "batch_size": [32, 64],
    },
    "uam-afe55624": {"hessian": ["none", "exact"], "rho": {"low": 2, "high": 2}},
    "uam-f53a459c": {"hessian": "none", "batch_size": {"low": 8, "high": 64}},
    "fisher-8a82645d": {"samples": [None, 100]},
    "influence-c640a99f": {"samples": {"low": 10, "high": 100}},
}
"""Names of studies, as they are in searches that exist already, and the entries that they belong to."""


@pytest.mark.parametrize("name", NAMES)
def test_a_study_keeps_its_name_until_its_method_has_another_version_or_range(name):
    method = name.partition("-")[0]
    space = make_space(method, METHODS[method], NAMES[name])
    assert Definition(method, "task", space, (), ("average_gap",), SearchSpec(methods=[{"name": method}])).name == name


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"rho": {"lo": 1}}, "rho.lo: unknown key; did you mean 'low'?"),
        ({"rho": {1: 2}}, "rho.1: unknown key; valid: high, log, low"),
        ({"nam": 3}, "nam: unknown key; did you mean 'name'?"),
        ({"rho": {"low": True}}, "rho.low: should be a valid number, not True"),
        ({"rho": {"log": 1}}, "rho.log: should be true or false, not 1"),
        ({"rho": {"high": 0.01}}, "rho: low 0.1 is above high 0.01"),
        ({"epochs": {"low": 1.5}}, "epochs.low: should be a valid integer, not 1.5"),
        ({"rho": [1, -1]}, "rho.1: should be greater than or equal to 0, not -1"),
        ({"rho": []}, "rho: an empty list leaves nothing to run"),
        ({"rho": [1, 1.0]}, "rho: a category is given twice"),
        ({"rho": "many"}, "rho: should be a valid number, not 'many'"),
        ({"hessian": "exat"}, "hessian: 'exat' is unknown; did you mean 'exact'?"),
        ({"hessian": {"low": 1}}, "hessian: {'low': 1} is unknown; valid: exact, none, projection, scalar"),
        ({"rho": {"low": 0}}, "rho.low: a log range needs a low above 0, not 0"),
        ({"rho": {"a range": 1}}, "rho.a range: unknown key; valid: high, log, low"),
    ],
    ids=str,
)
def test_a_wrong_entry_is_one_line_that_starts_with_its_key(entry, message):
    with pytest.raises(InputError) as caught:
        make_space("uam", UAM, entry)
    assert str(caught.value) == message


def test_a_method_without_anything_left_to_search_is_bad_input():
    with pytest.raises(InputError, match="name: every hyperparameter of finetune has one value here"):
        make_space("finetune", METHODS["finetune"], {"epochs": 1, "lr": 0.1})
