"""Which code computed a row, and whether this code would compute the same."""

from __future__ import annotations

import sys
from importlib import import_module, invalidate_caches

import pytest

from sweep.plan.code_version import code_version, package_version
from sweep.plan.trials import describe
from sweep.plan.versions import is_current, original_version, trial_version
from sweep.spec.plugins import plugin_source

NETWORK = """from torch import nn

def net(classes, channels):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""


@pytest.fixture
def write_plugin(tmp_path, monkeypatch):
    """A function that writes a module, as another process would then find it."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        written.append(name)
        sys.modules.pop(name, None)
        invalidate_caches()
        plugin_source.cache_clear()

    yield write
    for name in written:
        sys.modules.pop(name, None)
    plugin_source.cache_clear()


def test_what_is_built_in_has_the_code_version(make_trial):
    config = describe(make_trial("finetune"))
    assert trial_version(config) == original_version(config) == code_version()
    assert is_current(make_trial("finetune"), code_version(), code_version())


@pytest.mark.parametrize("original", [code_version(), "0.0.1+old"], ids=["this original", "another original"])
@pytest.mark.parametrize("version", [code_version(), "0.0.1+old"], ids=["this code", "other code"])
def test_a_row_is_current_if_it_and_its_original_are(make_trial, version, original):
    expected = version == original == code_version()
    assert is_current(make_trial("finetune"), version, original) == expected


def test_a_row_that_started_from_no_original_is_current_if_it_is(make_trial):
    assert is_current(make_trial("retrain"), code_version(), None)
    assert not is_current(make_trial("retrain"), "0.0.1+old", None)


def test_a_plugins_source_is_part_of_the_version(make_trial, write_plugin):
    write_plugin("edited_network", NETWORK)
    trial = make_trial(model={"name": "edited_network:net"})
    before = trial_version(describe(trial))
    assert package_version(before) == code_version() != before
    assert original_version(describe(trial)) == before
    write_plugin("edited_network", NETWORK + "# edited\n")
    assert not is_current(trial, before, before)
    write_plugin("edited_network", NETWORK)
    assert is_current(trial, before, before)


def test_a_plugin_that_another_module_defines_is_looked_at_there(make_trial, write_plugin):
    write_plugin("inner_network", NETWORK)
    write_plugin("outer_network", "from inner_network import net\n")
    trial = make_trial(model={"name": "outer_network:net"})
    before = trial_version(describe(trial))
    write_plugin("inner_network", NETWORK + "# edited\n")
    sys.modules.pop("outer_network")
    assert trial_version(describe(trial)) != before


def test_a_method_counts_for_its_original_only_if_it_shapes_it(make_trial):
    ordinary, sharded = (describe(make_trial(f"plugin_examples:{name}")) for name in ("Filled", "Sharded"))
    assert original_version(ordinary) == code_version() != trial_version(ordinary)
    assert original_version(sharded) == trial_version(sharded) != code_version()


def test_a_plugin_without_source_counts_by_its_name(make_trial, write_plugin, monkeypatch):
    write_plugin("sourceless", NETWORK)
    monkeypatch.delattr(import_module("sourceless"), "__file__")
    trial = make_trial(model={"name": "sourceless:net"})
    assert package_version(trial_version(describe(trial))) == code_version() != trial_version(describe(trial))
