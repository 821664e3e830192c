"""What is said of trials that run: written, read back, and passed over where nothing follows from it."""

from __future__ import annotations

import errno
import json
import math
from datetime import UTC, datetime

import pytest

from sweep.store.export import export
from sweep.store.merge import merge
from sweep.store.results import Results
from sweep.store.running import RunningFiles, running_path, write_running

NOW = datetime(2030, 1, 1, 12, 30, 5, 250, tzinfo=UTC)
POINT = {"trial_id": "t", "epoch": 1, "step": 4, "seconds": 0.5, "samples": 40}


@pytest.fixture
def write(results, make_row):
    def write(trial_id="t", traces=(POINT,), **changes):
        row = make_row(trial_id, config="{}", params='{"rho": 2.0}', **changes)
        known = {name: value for name, value in row.items() if name not in ("status", "finished_at", "notes")}
        write_running(results, known, traces, NOW)

    return write


def test_what_is_written_is_read_back(results, write):
    odd = POINT | {"retain_loss": math.nan, "forget_loss": math.inf, "other": '{"penalty": 3.0}'}
    write(traces=[POINT, odd])
    [running] = RunningFiles(results).trials()
    assert (running.id, running.told) == ("t", NOW)
    assert running.row["started_at"] == datetime(2030, 1, 1, tzinfo=UTC)
    assert (running.row["params"], running.row["seed"], running.row["status"]) == ('{"rho": 2.0}', 1, None)
    first, second = running.traces
    assert first == dict.fromkeys(first) | POINT
    assert math.isnan(second["retain_loss"])
    assert (second["forget_loss"], second["other"]) == (math.inf, '{"penalty": 3.0}')


def test_a_file_is_read_again_only_where_it_was_written_again(results, write):
    files = RunningFiles(results)
    assert files.trials() == []
    write("t")
    write("u")
    before = files.trials()
    assert [running.id for running in before] == ["t", "u"]
    assert files.trials() == before, "the same objects"
    write("u", traces=[POINT, POINT])
    now = files.trials()
    assert now[0] is before[0]
    assert len(now[1].traces) == 2
    assert [running.id for running in files.trials(["u", "no such trial"])] == ["u"]


def changed(stored, *keys, to):
    part = stored
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    return json.dumps(stored)


BROKEN = {
    "no JSON": lambda stored: "{",
    "half of it": lambda stored: json.dumps(stored)[:100],
    "a list": lambda stored: "[]",
    "nested deeply": lambda stored: "[" * 100_000,
    "another id": lambda stored: changed(stored, "row", "trial_id", to="u"),
    "no start": lambda stored: changed(stored, "row", "started_at", to=None),
    "no method": lambda stored: changed(stored, "row", "method", to=None),
    "a seed in words": lambda stored: changed(stored, "row", "seed", to="three"),
    "a large seed": lambda stored: changed(stored, "row", "seed", to=10**30),
    "a config that is no object": lambda stored: changed(stored, "row", "config", to="3"),
    "traces that are none": lambda stored: changed(stored, "traces", to=[3]),
    "a point without an epoch": lambda stored: changed(stored, "traces", 0, "epoch", to=None),
    "a time in words": lambda stored: changed(stored, "told", to="yesterday"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_passed_over(results, write, broken):
    write("t")
    write("u")
    stored = json.loads(results.read(running_path("t")))
    results.write(running_path("t"), broken(stored).encode())
    assert [running.id for running in RunningFiles(results).trials()] == ["u"]


def test_a_file_that_cannot_be_opened_hides_no_other(results, write, monkeypatch):
    write("t")
    write("u")
    read = results.read

    def refused(path):
        if path == running_path("t"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    monkeypatch.setattr(results, "read", refused)
    assert [running.id for running in RunningFiles(results).trials()] == ["u"]


def test_no_other_directory_gets_it(results, write, make_row, tmp_path):
    results.write_trial(make_row("ended", config="{}", params="{}", notes="{}"))
    write("t")
    out = Results(str(tmp_path / "merged"))
    merge([results], out, lambda version: True)
    export(results, str(tmp_path / "exported"))
    assert out.names("trials") == ["ended.parquet"]
    assert not out.exists("running")
    assert sorted(path.name for path in (tmp_path / "exported").iterdir()) == ["README.md", "trials.parquet"]
