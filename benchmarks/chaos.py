"""Kills whatever a sweep consists of, at random: python benchmarks/chaos.py [--runs N] [--first N] [--seed S].

In each run of a tiny sweep of digits through Ray, a process (one that runs trials, the node's raylet, the command) is
killed with SIGKILL once a random number of rows is there, and the command is given again until every trial has its row.
Exit status 1 if nothing was killed in a run, a row was lost, a finished one written again, a file cannot be read, or a
row, trace or prediction differs from that of an undisturbed run.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from command_line import script
from machine import machine

from sweep.store.columns import VARYING
from sweep.store.results import Results

TRIALS = 16
SPEC = {
    "name": "chaos",
    "dataset": {"name": "digits", "limit": 300},
    "model": {"name": "small-cnn", "width": 4},
    "training": {"epochs": 2},
    "seeds": [0, 1],
    "methods": [
        {"name": "retrain"},
        {"name": "finetune", "epochs": 4, "lr": [0.01, 0.02, 0.03, 0.04]},
        {"name": "neggrad", "epochs": 4, "lr": [0.01, 0.02, 0.03]},
    ],
}
VICTIMS = ("worker", "raylet", "driver")
PATIENCE = 300


def command(folder: Path, out: Path, *options: str) -> list[str]:
    return [script(), "run", str(folder / "chaos.yaml"), "--out", str(out), *options]


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command, in a session of its own."""
    with (folder / "printed").open("ab") as printed:
        environment = os.environ | {"RAY_worker_niceness": "0"}
        return subprocess.Popen(
            command(folder, out), stdout=printed, stderr=printed, env=environment, start_new_session=True
        )


def members(session: int) -> dict[int, str]:
    """The living processes of a session, and their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def victim_of(kind: str, session: int, rng: random.Random) -> int | None:
    if kind == "driver":
        return session
    mark = "/raylet/raylet " if kind == "raylet" else "ray::"
    found = [
        pid for pid, line in members(session).items() if mark in line and "IDLE" not in line and "Agent" not in line
    ]
    return rng.choice(found) if found else None


def end_session(session: int) -> None:
    while left := members(session):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def stored(out: Path) -> dict[str, tuple[int, int]]:
    """Each row's file, and what tells whether it was written again."""
    found = {}
    for path in (out / "trials").glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def measured(out: Path) -> dict[str, object]:
    """What the trials determine: rows, traces and predictions, and files that cannot be read."""
    results = Results(str(out))
    trials, traces = results.trials(), results.traces()
    rows = trials.table.drop_columns(list(VARYING)).sort_by("trial_id").to_pylist()
    predictions = {row["trial_id"]: results.predictions(row["trial_id"]) for row in rows}
    return {
        "rows": rows,
        "traces": traces.table.drop_columns(["seconds"])
        .sort_by([("trial_id", "ascending"), ("epoch", "ascending")])
        .to_pylist(),
        "predictions": {name: table and table.to_pylist() for name, table in predictions.items()},
        "unreadable": [
            *trials.damaged,
            *traces.damaged,
            *(name for name, table in predictions.items() if table is None),
        ],
    }


@dataclass(frozen=True)
class Disturbed:
    """A run in which something was to be killed.

    Attributes:
        killed: whether something was; else the sweep had ended before.
        rows: how many were there then.
        commands: how often the command was given.
        lost, repeated: trials without a row; rows written again that were there before.
        unreadable: files.
        equal: whether everything is as in an undisturbed run.
        seconds: that all of it took.
    """

    killed: bool
    rows: int
    commands: int
    lost: int
    repeated: int
    unreadable: int
    equal: bool
    seconds: float

    @property
    def good(self) -> bool:
        return self.killed and self.equal and not (self.lost or self.repeated or self.unreadable)


def undisturbed(folder: Path) -> dict[str, object]:
    """What the sweep gives in one process; writes its spec into the folder."""
    (folder / "chaos.yaml").write_text(yaml.safe_dump(SPEC))
    done = command(folder, folder / "undisturbed", "--executor", "inline")
    subprocess.run(done, stdout=subprocess.DEVNULL, check=True)
    expected = measured(folder / "undisturbed")
    assert len(expected["rows"]) == TRIALS
    return expected


def disturb(folder: Path, out: Path, kind: str, rng: random.Random, expected: dict[str, object]) -> Disturbed:
    """One run."""
    began = time.monotonic()
    rows, delay = rng.randrange(TRIALS - 2), rng.uniform(0, 0.3)
    process = start(folder, out)
    deadline = began + PATIENCE
    while len(stored(out)) < rows and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    finished = stored(out)
    killed = False
    while not killed and process.poll() is None and time.monotonic() < deadline:
        finished = stored(out)
        victim = victim_of(kind, process.pid, rng)
        with contextlib.suppress(ProcessLookupError):
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
                killed = True
    commands = 1
    while True:
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"  {PATIENCE} s after the {kind} was killed, the command had not ended")
            code = None
        if code == 0 or commands > 5:
            break
        if code is None:
            end_session(process.pid)
            process.wait()
        process, commands = start(folder, out), commands + 1
    end_session(process.pid)
    now, found = stored(out), measured(out)
    return Disturbed(
        killed=killed,
        rows=len(finished),
        commands=commands,
        lost=TRIALS - len(found["rows"]),
        repeated=sum(now.get(name) != file for name, file in finished.items()),
        unreadable=len(found["unreadable"]),
        equal=found == expected,
        seconds=time.monotonic() - began,
    )


def main(
    runs: Annotated[int, typer.Option(help="Disturbed runs.")] = 20,
    first: Annotated[int, typer.Option(help="Number of the first of them.")] = 0,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
) -> None:
    bad = 0
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = undisturbed(folder)
        print("run killed   rows then  commands  lost  repeated  unreadable  equal  seconds", flush=True)
        for run in range(first, first + runs):
            kind = VICTIMS[run % len(VICTIMS)]
            found = disturb(folder, folder / f"run{run}", kind, random.Random(f"{seed} {run}"), expected)
            bad += not found.good
            print(
                f"{run:3} {kind if found.killed else 'nothing':8}{found.rows:10}{found.commands:10}{found.lost:6}"
                f"{found.repeated:10}{found.unreadable:12}  {'yes' if found.equal else 'NO':5}{found.seconds:9.0f}",
                flush=True,
            )
    print(f"{runs} runs; nothing killed, rows lost or repeated, files unreadable, or metrics not bit-equal in {bad}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    typer.run(main)
