"""What a trial costs besides its computing: python benchmarks/overhead.py [--small].

An empty trial through this engine (a method that returns the original: model restored, evaluated on three sets,
attacked, a row and a file of predictions stored) and an empty trial through plain Ray Tune (a function that returns one
number, `reuse_actors=True`, all else as it comes). Each is run with few and with many trials, in turns; what one more
trial costs is the difference divided by the difference in trials, so that starting Ray is not in it. Target: a third.
"""

import subprocess
import sys
import time
from typing import Annotated

import typer
from machine import machine
from made_trials import made_sweep, run_sweep

TARGET = 3

PLAIN_TUNE = """
import sys, tempfile
import ray
from ray import tune

def trial(config):
    return {"value": config["number"]}

ray.init(log_to_driver=False, include_dashboard=False)
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
    for _ in range(rounds):
        plain = [plain_tune(count) for count in (few, many)]
        ours = [engine(count) for count in (few, many)]
        print(f"plain Ray Tune: {few} trials {plain[0]:6.1f} s, {many} trials {plain[1]:6.1f} s")
        print(f"this engine:    {few} trials {ours[0]:6.1f} s, {many} trials {ours[1]:6.1f} s")
        each = [1000 * (long - short) / (many - few) for short, long in (plain, ours)]
        print(f"one more trial: plain {each[0]:.0f} ms, here {each[1]:.0f} ms with evaluating and storing")
        print(f"ratio {each[0] / each[1]:.1f} (target {TARGET})")


def engine(trials: int) -> float:
    """Seconds of a sweep of empty trials."""
    with made_sweep("Empty", trials) as (spec, out):
        return run_sweep(spec, out)


def plain_tune(trials: int) -> float:
    """Seconds of as many empty trials through plain Ray Tune."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PLAIN_TUNE, str(trials)], check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
