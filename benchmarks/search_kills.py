"""A search whose driver is killed (kill -9) at random moments: python benchmarks/search_kills.py.

Each kill is followed by the same command. Prints what every start found and left, and at the end whether the planned
number was reached, whether anything was run or suggested twice or lost, and whether an uninterrupted search in a
directory of its own suggests the same. It does if and only if every start told the sampler all that was known. Exit
status 1 if one of these fails.
"""

import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from machine import machine

import analysis.methods_table  # noqa: F401
import sweep.search.phases  # noqa: F401
from sweep import cli
from sweep.store.results import Results

SPEC = {
    "name": "kills",
    "dataset": {"name": "digits", "limit": 300, "label_noise": 0.2, "validation": 0.1},
    "model": {"name": "small-cnn", "width": 4},
    "training": {"epochs": 3, "batch_size": 32},
    "resources": {"cpus": 0.6 * (os.cpu_count() or 1)},
    "predictions": False,
    "probe": {"every": 0},
    "search": {
        "methods": [{"name": "uam", "epochs": {"low": 1, "high": 3}, "hessian": "projection"}],
        "seeds": [0, 1],
        "confirm_seeds": [7],
        "pruner": "none",
    },
}
"""Resources leave room for one suggestion at a time, so that the order in which results come is the same every time."""


def main(
    kills: Annotated[int, typer.Option(help="How often the driver is killed.")] = 10,
    trials: Annotated[int, typer.Option(help="Suggestions.")] = 24,
    longest: Annotated[float, typer.Option(help="Seconds after its first new row at the latest.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    executor: Annotated[str, typer.Option(help="Of the killed search: ray or inline.")] = "ray",
) -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        good = proved(Path(name), kills, trials, longest, random.Random(seed), executor)
    sys.exit(not good)


def proved(folder: Path, kills: int, trials: int, longest: float, moments: random.Random, executor: str) -> bool:
    """Kill and go on, in a folder of its own; whether all was as it should be."""
    spec = folder / "kills.yaml"
    spec.write_text(yaml.safe_dump(SPEC))
    command = ["search", str(spec), "--set", f"search.trials={trials}"]
    results = Results(str(folder / "killed"))
    killed = [*command, "--out", results.location, "--executor", executor]
    changed: list[str] = []
    known = _stored(results)
    for kill in range(1, kills + 1):
        process = _start(killed)
        while process.is_alive() and _count(folder) == len(known):
            time.sleep(0.02)
        moment = moments.uniform(0, longest)
        time.sleep(moment)
        ended = not process.is_alive()
        process.kill()
        process.join()
        while _living(process.pid):  # workers outlive their driver for a moment
            time.sleep(0.2)
        stored = _stored(results)
        changed += [name for name, row in known.items() if stored.get(name) != row]
        suggestions = sum(name.startswith("suggestion") for name in stored)
        rows = len(stored) - suggestions
        word = "after its end" if ended else f"{moment:.1f} s after its first row"
        print(f"kill {kill} {word}: {suggestions} suggestions, {rows} trials stored", flush=True)
        known = stored
    _finish(killed)
    stored = _stored(results)
    changed += [name for name, row in known.items() if stored.get(name) != row]

    whole = Results(str(folder / "whole"))
    _finish([*command, "--out", whole.location, "--executor", "inline"])
    here, there = (found.suggestions().table.to_pylist() for found in (results, whole))
    complete = [row["number"] for row in here] == list(range(trials))
    same = [row["params"] for row in here] == [row["params"] for row in there]
    numbers = "without gaps or repetitions" if complete else "WITH GAPS OR REPETITIONS"
    print(f"planned {trials}, suggested {len(here)}, {numbers}")
    print(f"rows of suggestions or trials lost or written again: {len(changed)}")
    print(f"the same suggestions as an uninterrupted search: {'yes' if same else 'NO'}")
    return complete and same and not changed


def _start(words: list[str]) -> BaseProcess:
    """The command line in a process of its own, which has imported torch already."""
    process = multiprocessing.get_context("fork").Process(target=_command, args=(words,))
    process.start()
    return process


def _finish(words: list[str]) -> None:
    process = _start(words)
    process.join()
    if process.exitcode:
        raise SystemExit(f"exit status {process.exitcode}: {' '.join(words)}")


def _command(words: list[str]) -> None:
    os.setsid()
    sys.argv = ["unlearn-sweep", *words]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        cli.main()


def _stored(results: Results) -> dict[str, Any]:
    """What is stored, by name; of suggestions all but their confirmation, of trials the time at which they ended."""
    trials = {row["trial_id"]: row["finished_at"] for row in results.trials().table.to_pylist()}
    rows = results.suggestions().table.to_pylist()
    suggestions = {f"suggestion {row['number']}": (row["params"], row["suggested_at"]) for row in rows}
    return trials | suggestions


def _count(folder: Path) -> int:
    return sum(1 for kind in ("trials", "suggestions") for _ in (folder / "killed" / kind).glob("*.parquet"))


def _living(session: int) -> bool:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            return True
    return False


if __name__ == "__main__":
    typer.run(main)
