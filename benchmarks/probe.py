"""What the probe costs: python benchmarks/probe.py [--rounds N].

For each method of the `digits` preset, seconds of a trial (unlearning, evaluation, storing) with the default probe
and without it, in turns in one process; the fastest of each counts. Target: less than 5 % more over all methods.
"""

import tempfile
import time
from dataclasses import replace
from typing import Annotated

import torch
import typer

from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import load_spec
from sweep.trial.job import Context, Job
from sweep.trial.worker import Worker


def main(rounds: Annotated[int, typer.Option(help="Turns.")] = 5) -> None:
    torch.set_num_threads(1)
    spec = load_spec("digits", ["seeds=[0]"])
    with tempfile.TemporaryDirectory() as out:
        without = Context("digits", out, {}, threads=1, gpu=False, max_retries=0, predictions=True)
        probed = replace(without, probe_every=spec.probe.every, probe_samples=spec.probe.samples)
        workers = [Worker(without), Worker(probed)]
        totals = [0.0, 0.0]
        print(f"{'method':12} {'without':>9} {'probed':>9} {'more':>7}")
        for trial in plan_trials(spec):
            best = [float("inf"), float("inf")]
            for turn in range(rounds + 1):
                for place, worker in enumerate(workers):
                    began = time.perf_counter()
                    worker.run(Job(trial))
                    if turn:  # the first turn loads data and original
                        best[place] = min(best[place], time.perf_counter() - began)
            totals = [total + seconds for total, seconds in zip(totals, best, strict=True)]
            print(f"{trial.method:12} {best[0]:7.2f} s {best[1]:7.2f} s {best[1] / best[0] - 1:7.1%}")
        print(f"{'all':12} {totals[0]:7.2f} s {totals[1]:7.2f} s {totals[1] / totals[0] - 1:7.1%}")


if __name__ == "__main__":
    typer.run(main)
