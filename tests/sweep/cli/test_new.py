"""The command `new`."""

from __future__ import annotations

import sys

import pytest
import typer

from sweep.cli.app import main
from sweep.spec.sweep_spec import load_spec


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """(arguments) -> exit status and what was printed, in an empty folder where nobody is asked."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unlearn-sweep", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_nobody_is_asked_who_is_not_there(call):
    code, out, err = call("new")
    assert (code, out, err) == (0, "sweep.yaml is written; next: unlearn-sweep plan sweep.yaml\n", "")
    assert load_spec("sweep.yaml").dataset.name == "digits"


def test_nobody_is_asked_where_standard_input_is_closed(call, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert call("new")[0] == 0


def test_a_person_is_asked_for_everything(call, monkeypatch):
    answers = iter(["diabetes", "", "finetune", "2", "0.2", "mine.yaml"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda text, default, type=str: type(next(answers) or default))
    assert call("new")[0] == 0
    spec = load_spec("mine.yaml")
    assert (spec.name, spec.dataset.name, spec.model.name) == ("mine", "diabetes", "mlp")
    assert [entry.name for entry in spec.methods] == ["original", "retrain", "finetune"]
    assert (spec.seeds, spec.forget[0].ratio) == ([0, 1], [0.2])


def test_options_are_what_the_spec_says(call):
    options = ["--methods", "uam, scrub", "--seeds", "4", "--forget", "class:3", "--model", "resnet8"]
    assert call("new", *options, "--out", "a-b.yaml")[0] == 0
    spec = load_spec("a-b.yaml")
    assert [entry.name for entry in spec.methods] == ["original", "retrain", "uam", "scrub"]
    assert (spec.name, spec.model.name, len(spec.seeds), spec.forget[0].classes) == ("a-b", "resnet8", 4, [3])


def test_no_file_is_overwritten(call, tmp_path):
    (tmp_path / "sweep.yaml").write_text("mine")
    assert call("new") == (2, "", "unlearn-sweep: --out sweep.yaml: is there already; name another file\n")
    assert (tmp_path / "sweep.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [
        ["--out", "x"],
        ["--out", "a b.yaml"],
        ["--out", "nodir/a.yaml"],
        ["--seeds", "0"],
        ["--data", "no"],
        ["--forget", "class:"],
        ["--forget", "class:99"],
        ["--model", "mlp"],
    ],
)
def test_a_bad_choice_is_one_line_and_writes_nothing(call, tmp_path, options):
    code, out, err = call("new", *options)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_to_write_in(call, tmp_path):
    (tmp_path / "ex.yaml").touch()
    said = "unlearn-sweep: --out ex.yaml/a.yaml: Not a directory\n"
    assert call("new", "--out", "ex.yaml/a.yaml") == (2, "", said)


@pytest.mark.parametrize("end", [KeyboardInterrupt, typer.Abort])
def test_who_answers_no_more_has_written_nothing(call, tmp_path, monkeypatch, end):
    def prompt(text, default, type=str):
        raise end

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    code, _, err = call("new")
    assert (code, err) == (130, "unlearn-sweep: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_rows(call):
    from sweep.plan.code_version import code_version

    assert call("--version") == (0, f"unlearn-sweep {code_version()}\n", "")
