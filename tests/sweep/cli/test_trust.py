"""What a results directory that somebody else wrote can do, and what is kept of secrets."""

from __future__ import annotations

import json
import sys

import pytest
import yaml

from sweep import cli
from sweep.engine.rerun import rerun
from sweep.errors import InputError
from sweep.store.location import open_location
from sweep.store.redaction import redacted
from sweep.store.results import Results
from sweep.trial.job import Job

HOSTILE = (
    "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\nfrom methods import FineTune as Method\n"
)
SECRET = "wJalrXUtnFEMIK7MDENG"


def call(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture
def hostile(make_trial, make_worker, make_spec, results, tmp_path, monkeypatch):
    """A results directory, and a module beside it, whose trial and spec name a plugin of that module."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    trial = make_trial("finetune", {"epochs": 1})
    make_worker().run(Job(trial))
    [row] = results.trials().table.to_pylist()
    config = json.loads(row["config"])
    config["method"]["name"] = "hostile:Method"
    results.write_trial(row | {"config": json.dumps(config), "method": "hostile:Method"})
    spec = yaml.safe_load(make_spec().to_yaml())
    spec["methods"].append({"name": "hostile:Method"})
    results.write("spec.yaml", yaml.safe_dump(spec).encode())
    yield results, trial.id, tmp_path / "imported"
    sys.modules.pop("hostile", None)


@pytest.mark.parametrize("command", ["status", "report", "export", "rerun"])
def test_no_command_imports_what_only_results_name(hostile, command, capsys, monkeypatch):
    results, trial_id, imported = hostile
    more = {"rerun": [trial_id], "export": [imported.parent / "exported"]}.get(command, [])
    code, err = call(capsys, monkeypatch, command, results.location, *more)
    assert not imported.exists()
    if command == "rerun":
        assert (code, len(err.splitlines())) == (2, 1)
        assert "the method hostile:Method; if you trust it: --plugin hostile:Method" in err


def test_a_plugin_allowed_on_the_command_line_is_imported(hostile):
    results, trial_id, imported = hostile
    assert rerun(results.location, trial_id, frozenset({"hostile:Method"})).new["status"] == "ok"
    assert imported.exists()


def test_other_plugins_of_the_stored_spec_are_never_imported(hostile):
    results, trial_id, imported = hostile
    [row] = results.trials().table.to_pylist()
    results.write_trial(row | {"config": row["config"].replace("hostile:Method", "finetune")})
    assert rerun(results.location, trial_id).equal
    assert not imported.exists()


@pytest.mark.parametrize("text", ["name: tiny\ndataset: {na", "- 1", "dataset: 3", "dataset: {name: digits, limt: 3}"])
def test_a_damaged_stored_spec_is_bad_input(hostile, text):
    results, trial_id, _ = hostile
    results.write("spec.yaml", text.encode())
    with pytest.raises(InputError, match=r"spec\.yaml"):
        rerun(results.location, trial_id, frozenset({"hostile:Method"}))


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "a/../../b"])
def test_no_name_leads_out_of_a_results_directory(results, name):
    with pytest.raises(InputError, match="not inside the results directory"):
        results.write(name, b"")
    with pytest.raises(InputError, match="not inside the results directory"):
        results.predictions(f"../../{name}")


@pytest.mark.parametrize("name", ["../up", "/up", "a/b", "..", ""])
def test_a_spec_cannot_name_a_path(make_spec, name):
    with pytest.raises(InputError, match="name: use letters"):
        make_spec(name=name)


@pytest.mark.parametrize("key", ["--out", "--set"])
def test_a_uri_with_a_password_is_refused_and_not_shown(key, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    uri = f"s3://AKIAEXAMPLE:{SECRET}@bucket/data"
    option = ["--out", uri] if key == "--out" else ["--set", f"dataset={{name: parquet, path: '{uri}'}}"]
    code, err = call(capsys, monkeypatch, "run", "digits", *option)
    assert code == 2
    assert "s3://AKIAEXAMPLE:***@bucket/data' names a password" in err
    assert SECRET not in err
    assert list(tmp_path.iterdir()) == []


def test_errors_are_stored_without_secrets(make_trial, make_worker, results, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    message = f"cannot reach https://user:{'p' * 12}@host/x with {SECRET}"
    monkeypatch.setattr("methods.finetune.FineTune.unlearn", lambda self, task: (_ for _ in ()).throw(OSError(message)))
    make_worker().run(Job(make_trial()))
    [row] = results.trials().table.to_pylist()
    assert "OSError: cannot reach https://user:***@host/x with ***" in row["error"]
    assert SECRET.encode() not in results.read(f"trials/{row['trial_id']}.parquet")


def test_a_secret_has_at_least_eight_characters(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "eightchr")
    monkeypatch.setenv("MY_SECRET", "seconds")
    assert redacted("took eightchr seconds") == "took *** seconds"


def test_what_has_no_password_is_left_alone():
    for text in ("s3://bucket/a@b:c", "tcp://host:80/x@y", "a: b@c", "hdfs://user@host:8020/x"):
        assert redacted(text) == text


def test_a_uri_without_a_password_is_opened(tmp_path):
    assert open_location(tmp_path.as_uri())[1] == str(tmp_path)


def test_the_environment_is_not_stored(monkeypatch):
    from sweep.engine.environment import environment_json

    monkeypatch.setenv("SOME_TOKEN", SECRET)
    assert SECRET not in environment_json("inline", "auto")


def test_results_with_a_program_beside_them_do_not_run_it(results, make_row, tmp_path, monkeypatch):
    """Reading many files starts other processes, in whatever working directory the user is."""
    from sweep.store import parquet as reading

    for number in range(9):
        results.write_trial(make_row(f"t{number}"))
    (tmp_path / "sweep").mkdir()
    (tmp_path / "pyarrow.py").write_text(HOSTILE)
    (tmp_path / "sweep" / "__init__.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "SHARE", 2)
    assert len(Results(results.location).trials().table) == 9
    assert not list(tmp_path.rglob("imported"))
