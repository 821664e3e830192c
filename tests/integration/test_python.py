"""Sweeps from Python: what docs/python.md shows, and what a notebook meets."""

import inspect
import math
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tiny_sweeps import spec

import sweep
from analysis.report import write_report
from sweep.cli.run import run as command
from sweep.trial.worker import Worker

GUIDE = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
SMALL = {
    "seeds": [0],
    "training.epochs": 1,
    "dataset.limit": 200,
    "model.width": 4,
    "methods.2.epochs": 1,
    "methods.3.epochs": 1,
}


def test_what_the_guide_shows_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    run = sweep.run
    monkeypatch.setattr(sweep, "run", lambda *given: run(*given, executor="inline", overrides=SMALL))
    monkeypatch.setattr("analysis.report.write_report", partial(write_report, figures={}))  # the notebook draws them
    found = {}
    exec(first, found)
    exec(second, found)
    assert found["page"] == Path("results/first/report/index.html")
    assert found["page"].exists()
    assert set(found["trials"]["method"]) == {"original", "retrain", "finetune", "uam"}
    assert len(found["again"].trials) == len(found["trials"]) == 5
    assert set(found["forget"]["trial_id"]) == set(found["uam"])
    assert set(found["forget"]["split"]) == {"forget"}
    assert "average_gap" in capsys.readouterr().out


def test_every_argument_of_run_is_described():
    described = re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert described == [*inspect.signature(sweep.run).parameters]
    assert {*described, "shard"} == {*inspect.signature(command).parameters}


METHODS = [{"name": "original"}, {"name": "retrain"}, {"name": "finetune", "epochs": 1, "lr": [0.01, 0.05]}]


def test_an_interrupted_sweep_keeps_what_finished_and_the_same_call_runs_the_rest(tmp_path, monkeypatch):
    ran, run = [], Worker.run

    def interrupted(worker, job):
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(job)
        return run(worker, job)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "run", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            sweep.run(spec(METHODS), tmp_path, executor="inline")
    assert caught.value.__notes__ == ["finished trials are stored; the same call runs the rest"]
    before = sweep.load(tmp_path).trials
    assert len(before) == 2  # an original and two trials ended
    results = sweep.run(spec(METHODS), tmp_path, executor="inline")
    assert len(results.trials) == 4
    kept = results.trials.set_index("trial_id").loc[before["trial_id"], "finished_at"]
    assert kept.tolist() == before["finished_at"].tolist()


def test_results_are_of_the_sweep_that_ran_and_the_same_as_the_commands(tmp_path, capsys):
    both = spec(METHODS[:3])
    sweep.run(both, tmp_path / "python", executor="inline")
    results = sweep.run(both, tmp_path / "python", executor="inline", overrides={"methods.finetune.lr": 0.05})
    out = capsys.readouterr().out
    assert "tiny: 3 trials, 3 done before, 0 to run" in out
    assert out.endswith(f"results: {tmp_path / 'python'}\n")
    assert set(results.trials["param.lr"].dropna()) == {0.05}
    assert len(sweep.load(tmp_path / "python").trials) == 4
    assert set(results.predictions["trial_id"]) == set(results.trials["trial_id"])


def test_within_no_time_nothing_runs_and_that_is_said(tmp_path, capsys):
    results = sweep.run(spec(METHODS), tmp_path, executor="inline", time_budget="0s")
    assert "4 trials were not run; the same command runs them" in capsys.readouterr().out
    assert results.trials.empty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"spec": {"name": "x", "methods": [{"name": "uma"}]}},
            "spec: methods.0.name: unknown method 'uma'; did you mean",
        ),
        ({"spec": {"methods": [{"name": "uam"}]}}, "spec: name: required, and missing"),
        (
            {"spec": {"name": "x", "dataset": {"name": "parquet", "path": "no"}, "methods": [{"name": "uam"}]}},
            "spec: dat",
        ),
        ({"spec": "digit"}, "digit: no such file or preset; did you mean 'digits'?"),
        ({"executor": "slurm"}, "executor: 'slurm' is unknown; valid: inline, ray"),
        (
            {"executor": "inline", "address": "auto"},
            "address: the inline executor uses no cluster; drop one of the two",
        ),
        ({"time_budget": "2"}, "time_budget 2: write hours, minutes, seconds, as in 2h or 1h30m"),
        ({"track": ["tensorbord"]}, "track: 'tensorbord' is unknown; did you mean 'tensorboard'?"),
        ({"overrides": {"training.epoch": 1}}, "digits: training.epoch: unknown key; did you mean 'epochs'?"),
        *(
            ({"spec": wrong}, "spec: should be a path, the name of a preset, or a mapping, not ")
            for wrong in (None, 3, b"x", [1])
        ),
        ({"spec": {"name": "x", "seeds": (seed for seed in range(3)), "methods": []}}, "spec: seeds: not plain data: "),
        ({"out": 3}, "out: should be a path or URI, not 3"),
        ({"out": b"x"}, "out: should be a path or URI, not b'x'"),
        *(
            ({"track": wrong}, f"track: should be a list of names, as in ['tensorboard'], not {wrong!r}")
            for wrong in (None, 3, "tensorboard")
        ),
        *(
            ({"time_budget": wrong}, f"time_budget: should be seconds or a text such as '1h30m', not {wrong!r}")
            for wrong in ([1], math.nan, True)
        ),
        ({"time_budget": ""}, "time_budget '': write hours, minutes, seconds, as in 2h or 1h30m"),
        ({"refresh": "no"}, "refresh: should be True or False, not 'no'"),
        ({"retry_failed": 1}, "retry_failed: should be True or False, not 1"),
        ({"address": 3}, "address: should be a text, not 3"),
        ({"overrides": "seeds=1"}, "overrides: should be a mapping of keys to values, not 'seeds=1'"),
    ],
)
def test_a_bad_argument_is_a_value_error_of_one_line_and_creates_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        sweep.run(**({"spec": "digits", "executor": "inline"} | arguments))
    assert isinstance(caught.value, sweep.InputError)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [sweep.load, sweep.report])
def test_no_results_are_a_value_error_of_one_line(tmp_path, function):
    with pytest.raises(ValueError, match=r"no: no such results directory$"):
        function(tmp_path / "no")


@pytest.mark.parametrize("function", [sweep.load, sweep.report])
def test_a_directory_that_is_no_path_is_a_value_error_of_one_line(function):
    with pytest.raises(sweep.InputError, match=r"^directory: should be a path or URI, not None$"):
        function(None)


def test_results_are_found_after_the_working_directory_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    ran = sweep.run(spec(METHODS[:2]), "out", executor="inline")
    loaded = sweep.load("out")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(ran.trials) == len(loaded.trials) == 2


def test_importing_it_is_light():
    heavy = {"torch", "ray", "pandas", "pyarrow", "typer", "rich", "pydantic"}
    code = f"import sys, sweep; assert not {heavy} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_of_the_notebooks_folder_that_hides_a_package_is_named(tmp_path):
    (tmp_path / "analysis.py").touch()
    code = "import sys; sys.path.insert(0, ''); import sweep; sweep.load('.')"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1].endswith(
        f"{tmp_path}/analysis.py hides this project's package 'analysis'; give it another name"
    )


EDITED = """from dataclasses import dataclass

from methods import FineTune


@dataclass(frozen=True)
class Edited(FineTune):
    name = "edited"
"""


def test_code_of_a_plugin_that_was_edited_since_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "edited_method.py").write_text(EDITED)
    methods = [*METHODS[:2], {"name": "edited_method:Edited", "epochs": 1}]
    assert len(sweep.run(spec(methods), "out", executor="inline").trials) == 3
    (tmp_path / "edited_method.py").write_text(EDITED + "\n    batch_size: int = 8\n")
    with pytest.raises(sweep.InputError, match=r"^plugin edited_method: its file was changed after it was imported"):
        sweep.run(spec(methods), "out", executor="inline")
    (tmp_path / "edited_method.py").write_text(EDITED)
    assert len(sweep.run(spec(methods), "out", executor="inline").trials) == 3
