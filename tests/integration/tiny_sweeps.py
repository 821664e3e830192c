"""Tiny sweeps, and the command line that runs them: the real console script, or in this process."""

import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import yaml

from sweep import cli
from sweep.engine.driver import Driver
from sweep.store.columns import VARYING
from sweep.store.results import Results

SCRIPT = Path(sys.executable).with_name("unlearn-sweep")
BUILT_INS = [
    {"name": "original"},
    {"name": "retrain"},
    {"name": "finetune", "epochs": 1, "lr": [0.01, 0.05]},
    {"name": "neggrad", "epochs": 1},
    {"name": "randomlabel", "epochs": 1},
    {"name": "fisher"},
    {"name": "influence"},
    {"name": "uam", "epochs": 1},
]
MISBEHAVING = [{"name": "sweep_plugins:Raises"}, {"name": "sweep_plugins:Diverges", "epochs": 2}]
KILLER = {"name": "sweep_plugins:Dies"}
PLAIN_PRIORITY = {"RAY_worker_niceness": "0"}
"""Ray's workers give way to everything else on the machine unless told not to."""
NOT_DETERMINED = {
    "trials": [*VARYING, "code_version", "original_version"],
    "traces": ["seconds"],
    "predictions": [],
}
"""Columns that differ between two runs of the same trial."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def call(*arguments):
    """Run the command line in this process: torch is imported once. Through Ray, it needs the fixture `shared_ray`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS="200"),
        mock.patch.object(sys, "argv", ["unlearn-sweep", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    return Ended(ended.value.code or 0, out.getvalue(), err.getvalue())


def start(*arguments, interpreter=(), prefix=(), **environment):
    """Start the console script in a session of its own, where plugins are found, through the command `prefix`.

    Ctrl-C reaches it even if it does not reach the tests, as when they run in the background.
    """
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"} | PLAIN_PRIORITY | environment
    command = [*prefix, *([sys.executable, *interpreter] if interpreter else []), SCRIPT, *arguments]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments, **options):
    """Run the console script to its end."""
    process = start(*arguments, **options)
    with ended_on_error(process):
        out, err = process.communicate(timeout=500)
    return Ended(process.returncode, out, err)


@contextlib.contextmanager
def ended_on_error(process):
    """Leave no process of a command behind that was given up."""
    try:
        yield
    except BaseException:
        end_session(process.pid)
        process.communicate()
        raise


def end_session(session):
    """Kill every process of a session."""
    for pid in living(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def living(session):
    """Ids of the processes of a session, but for zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def spec(methods, **changes):
    """A sweep that takes seconds."""
    return {
        "name": "tiny",
        "dataset": {"name": "digits", "limit": 200, "label_noise": 0.2},
        "model": {"name": "small-cnn", "width": 4},
        "training": {"epochs": 2, "batch_size": 16},
        "seeds": [0],
        "methods": methods,
    } | changes


def write_spec(folder, methods, **changes):
    """The path of a spec file in `folder`."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(spec(methods, **changes)))
    return path


PLUGIN = """from dataclasses import dataclass

from methods import FineTune


@dataclass(frozen=True)
class Mine(FineTune):
    name = "mine"
"""


def write_shadows(folder):
    """A new `folder` with modules of the names of ours and of others that are installed, and a plugin, `my_method`.

    Only that may be imported.
    """
    folder.mkdir()
    for name in ("sweep", "methods", "torch", "yaml", "ray", "optuna", "sklearn"):
        (folder / f"{name}.py").write_text("raise SystemError('not this one')")
    (folder / "analysis").mkdir()
    (folder / "analysis" / "__init__.py").write_text("raise SystemError('not this one')")
    (folder / "my_method.py").write_text(PLUGIN)
    return folder


def rows(out, kind="trials"):
    """The columns of a results directory that are determined, as a list of rows ordered by trial."""
    results = Results(str(out))
    trials = results.trials().table.sort_by("trial_id")
    if kind == "trials":
        table = trials
    elif kind == "traces":
        table = results.traces().table.sort_by([("trial_id", "ascending"), ("epoch", "ascending")])
    else:
        found = {name: results.predictions(name) for name in trials["trial_id"].to_pylist()}
        return {name: table and table.to_pylist() for name, table in found.items()}
    return table.drop_columns(NOT_DETERMINED[kind]).to_pylist()


def tracked(out):
    """Ids of the trials that became runs of TensorBoard's, sorted; one that was sent twice is there twice."""
    return sorted(path.parent.name.partition("-")[0] for path in out.glob("tensorboard/*/*/*/*000000"))


def row_of(out, method):
    """The row of the only trial of a method."""
    (row,) = (row for row in Results(str(out)).trials().table.to_pylist() if row["method"] == method)
    return row


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: its spec file, its results directory, and how the command ended."""

    spec: Path
    out: Path
    ended: Ended


def spent_after(count):
    """For a `deadline`: the time is spent once so many rows are stored, before anything more is handed out."""

    @contextlib.contextmanager
    def deadline(schedule, seconds):
        ended, jobs = Driver.ended, itertools.count(1)

        def note(driver, schedule, job, outcome):
            if not job.original_only and next(jobs) == count:
                schedule.stop()
            ended(driver, schedule, job, outcome)

        with mock.patch.object(Driver, "ended", note):
            yield

    return deadline
