"""Specs given as mappings, as from Python."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import InputError
from sweep.spec.sweep_spec import load_spec

SPEC = {"name": "tiny", "seeds": [0], "methods": [{"name": "finetune"}, {"name": "uam", "rho": 1}, {"name": "uam"}]}


def test_a_mapping_is_a_spec_and_stays_as_it_is():
    spec = copy.deepcopy(SPEC)
    loaded = load_spec(spec, {"methods.finetune.epochs": 3, "training.epochs": 2, "seeds": range(2)})
    assert (loaded.methods[0].grid["epochs"], loaded.training.epochs, loaded.seeds) == ([3], 2, [0, 1])
    assert spec == SPEC


def test_numpys_numbers_and_paths_are_plain_data():
    spec = SPEC | {"seeds": np.arange(3), "training": {"lr": np.float64(0.5), "epochs": np.int64(2)}}
    loaded = load_spec(spec | {"methods": [{"name": "uam", "rho": list(np.array([0.5, 2.0]))}]})
    assert (loaded.seeds, loaded.training.lr, loaded.methods[0].grid["rho"]) == ([0, 1, 2], 0.5, [0.5, 2.0])
    assert (
        load_spec(SPEC | {"dataset": {"name": "parquet", "path": Path("here")}}).dataset.model_extra["path"] == "here"
    )


def test_a_file_may_be_given_as_a_path(tmp_path):
    (tmp_path / "mine.yaml").write_text("methods: [{name: finetune}]")
    assert load_spec(tmp_path / "mine.yaml").name == "mine"


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({"name": None}, None, "spec: name: should be a valid string, not None"),
        ({"seeds": [-1]}, None, "spec: seeds.0: should be greater than or equal to 0, not -1"),
        ({}, {"methods.finetune.epoch": 1}, "spec: methods.0.epoch: unknown key; did you mean 'epochs'?"),
        (
            {},
            {"methods.uam.rho": 1},
            "overrides: methods.uam.rho: 'methods' has several entries named 'uam': 1, 2; give one of these numbers",
        ),
        ({}, {"name.x": 1}, "overrides: name.x: 'name' is a value and has no 'x'"),
        (
            {},
            ["methods.uma.rho=1"],
            "--set methods.uma.rho=1: 'methods' has entries 0 to 2, not 'uma'; did you mean 'uam'?",
        ),
        ({"methods": object()}, None, "spec: methods: should be a valid list, not '<object object"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_one_line(changes, overrides, message):
    with pytest.raises(ValueError) as caught:
        load_spec(SPEC | changes, overrides)
    assert isinstance(caught.value, InputError)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
