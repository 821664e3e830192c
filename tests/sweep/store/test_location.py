"""Where results cannot lie is known before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.plan.trials import absolute_folder
from sweep.spec.first_spec import first_spec
from sweep.store.location import absolute_location, open_location
from sweep.store.results import Results
from sweep.tasks.language.pretrained import model_folder


@pytest.mark.parametrize("resolve", [absolute_location, open_location, Results])
@pytest.mark.parametrize(
    ("location", "message"),
    [
        (os.fsdecode(b"by\xff"), r"^'by\\udcff': the name is not UTF-8; rename it$"),
        (os.fsdecode(b"s3://by\xff"), "is not UTF-8"),
        ("a\0b", "has no null character"),
    ],
)
def test_a_name_that_is_no_text_is_one_line(resolve, location, message):
    with pytest.raises(InputError, match=message):
        resolve(location)


@pytest.mark.parametrize(
    "resolve",
    [Results, absolute_folder, model_folder, lambda path: first_spec(Path("s.yaml"), path, None, [], 1, "0.1")],
    ids=["results", "network's files", "model", "new"],
)
def test_a_home_folder_that_is_not_there_is_one_line(resolve):
    with pytest.raises(
        InputError, match=r"^'~nobody-of-this-name/out': there is no home folder '~nobody-of-this-name'$"
    ):
        resolve("~nobody-of-this-name/out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file", "file: is not a directory"),
        ("file/out", "file/out: Not a directory"),
        ("n" * 300, f"{'n' * 300}: File name too long"),
        (f"results/{'n' * 300}", f"results/{'n' * 300}: File name too long"),
    ],
    ids=["a file", "in a file", "too long", "too long in what is not there"],
)
def test_where_no_directory_can_lie_is_one_line(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        Results(name)
    assert str(caught.value) == message
