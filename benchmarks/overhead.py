"""What a trial costs besides its computing: python benchmarks/overhead.py [--small].

An empty trial through plain Ray Tune (a function that returns one number, `reuse_actors=True`, all else as it comes),
through this engine (each job is a trial of Ray Tune, and its row is stored), and through this engine with everything
that a trial measures (model restored, evaluated on three sets, attacked; a row and a file of predictions). Each runs
with few and with many trials, in turns. The cost of one more trial is the difference in time divided by the difference
in trials, so that it does not include the start of Ray. Target: an empty trial here costs at most 1.2 times one of
plain Ray Tune.
"""

import subprocess
import sys
import time
from typing import Annotated

import typer
from machine import machine
from made_trials import made_sweep, run_sweep

TARGET = 1.2

PLAIN_TUNE = """
import sys, tempfile
import ray
from ray import tune

def trial(config):
    return {"value": config["number"]}

ray.init(address="local", log_to_driver=False, include_dashboard=False)
with tempfile.TemporaryDirectory() as folder:
    tune.Tuner(
        trial,
        param_space={"number": tune.grid_search(list(range(int(sys.argv[1]))))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=folder, name="plain", verbose=0),
    ).fit()
"""


def main(
    few: Annotated[int, typer.Option(help="Trials of the short runs.")] = 50,
    many: Annotated[int, typer.Option(help="Trials of the long runs.")] = 450,
    rounds: Annotated[int, typer.Option(help="Turns.")] = 1,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        few, many = 2, 12
    print(machine())
    kinds = {
        "plain Ray Tune": plain_tune,
        "this engine": lambda count: engine("Nothing", count),
        "with measuring": lambda count: engine("Empty", count),
    }
    for _ in range(rounds):
        each = {}
        for name, run in kinds.items():
            short, long = run(few), run(many)
            each[name] = 1000 * (long - short) / (many - few)
            figures = f"{few} trials {short:6.1f} s, {many} trials {long:6.1f} s, one more {each[name]:5.1f} ms"
            print(f"{name:14}: {figures}", flush=True)
        ratio = each["this engine"] / each["plain Ray Tune"]
        measuring = each["with measuring"] - each["this engine"]
        print(f"this engine / plain Ray Tune {ratio:.2f} (target {TARGET}); measuring {measuring:.1f} ms more")


def engine(method: str, trials: int) -> float:
    """Seconds of a sweep of trials that do nothing."""
    with made_sweep(method, trials) as (spec, out):
        return run_sweep(spec, out)


def plain_tune(trials: int) -> float:
    """Seconds of as many empty trials through plain Ray Tune."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PLAIN_TUNE, str(trials)], check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
