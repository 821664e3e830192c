"""Kills whatever a sweep consists of, at random: python benchmarks/chaos.py [--runs N] [--seed S].

In each run of a tiny sweep of digits through Ray, a process (one that runs trials, the node's raylet, the command) is
killed with SIGKILL once a random number of rows is there, and the command is given again until every trial has its row.
Exit status 1 if a row was lost, a finished one written again, a file cannot be read, or a row, trace or prediction
differs from that of an undisturbed run.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from sweep.results import Results

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
VARYING = ("unlearn_seconds", "eval_seconds", "peak_memory_bytes", "host", "started_at", "finished_at")
PATIENCE = 300


def command(folder: Path, out: Path, *options: str) -> list[str]:
    script = str(Path(sys.executable).with_name("unlearn-sweep"))
    return [script, "run", str(folder / "chaos.yaml"), "--out", str(out), *options]


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


def disturb(folder: Path, out: Path, kind: str, rng: random.Random) -> tuple[int, int, int]:
    """One run: how many rows were there at the kill, how often the command was given, finished rows written again."""
    rows, delay = rng.randrange(TRIALS - 1), rng.uniform(0, 0.5)
    process = start(folder, out)
    deadline = time.monotonic() + PATIENCE
    while len(stored(out)) < rows and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    victim = None
    while victim is None and process.poll() is None and time.monotonic() < deadline:
        victim = victim_of(kind, process.pid, rng)
    finished = stored(out)
    if victim is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    given = 1
    while True:
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"  the {kind} was killed, and {PATIENCE} s later the command had not ended")
            code = None
        if code == 0 or given > 5:
            break
        if code is None:
            end_session(process.pid)
            process.wait()
        process, given = start(folder, out), given + 1
    end_session(process.pid)
    now = stored(out)
    return len(finished), given, sum(now.get(name) != file for name, file in finished.items())


def main(
    runs: Annotated[int, typer.Option(help="Disturbed runs.")] = 20,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
) -> None:
    rng = random.Random(seed)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "chaos.yaml").write_text(yaml.safe_dump(SPEC))
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        subprocess.run(command(folder, folder / "undisturbed", "--executor", "inline"), **quiet)
        expected = measured(folder / "undisturbed")
        assert len(expected["rows"]) == TRIALS
        print("run killed   rows then  commands  lost  repeated  unreadable  equal", flush=True)
        for run in range(runs):
            kind, out = VICTIMS[run % len(VICTIMS)], folder / f"run{run}"
            then, given, repeated = disturb(folder, out, kind, rng)
            found = measured(out)
            lost = TRIALS - len(found["rows"])
            equal, unreadable = found == expected, len(found["unreadable"])
            failed += bool(lost or repeated or unreadable or not equal)
            print(
                f"{run:3} {kind:8}{then:10}{given:10}{lost:6}{repeated:10}{unreadable:12}  {'yes' if equal else 'NO'}",
                flush=True,
            )
        print(f"{runs} runs; rows lost or repeated, files unreadable, or metrics not bit-equal in {failed}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    typer.run(main)
