"""What shells complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from methods import METHODS
from sweep.cli.completion import completed
from sweep.spec.spec_file import presets
from sweep.tasks.datasets import DATASETS
from sweep.tasks.kinds import KINDS
from sweep.tasks.models import MODELS


@pytest.mark.parametrize(
    ("what", "names"),
    [("methods", METHODS), ("presets", presets()), ("datasets", DATASETS), ("models", MODELS), ("kinds", KINDS)],
)
def test_names_are_those_of_what_there_is_though_nothing_of_it_is_imported(what, names):
    assert sorted(completed(what)("")) == sorted(names)
    first = min(names)
    assert first in completed(what)(first[:2])
    assert all(name.startswith(first[:2]) for name in completed(what)(first[:2]))


def test_a_spec_is_a_preset_or_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits-mine.yaml", "other.yaml", "digits.txt"):
        Path(name).touch()
    assert completed("specs")("digits") == ["digits", "digits-mine.yaml"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("unlearn-sweep sc", {"score", "schema"}),
        ("unlearn-sweep run digit", {"digits"}),
        ("unlearn-sweep search search-uam-", {"search-uam-cifar10"}),
        ("unlearn-sweep list methods finet", {"finetune"}),
        ("unlearn-sweep run digits --executor in", {"inline"}),
    ],
)
def test_the_command_answers_bash_without_loading_torch(typed, offered):
    script, words = Path(sys.executable).with_name("unlearn-sweep"), typed.split()
    asked = {"_UNLEARN_SWEEP_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-X", "importtime", script]
    ended = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True)
    assert set(ended.stdout.split()) == offered
    assert not {"torch", "ray", "pandas"} & {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
