"""What scoring stored predictions costs: python benchmarks/audit.py [--small].

Of made-up margins: the scores that compare sample by sample, of 64 originals that forget 10,000 samples (640,000
pairs), and a whole audit, read from disk, of 30 methods, 16 originals and 3 folds.
"""

import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from machine import machine

from analysis.audit.cohort import Beside, Cohort
from analysis.audit.outputs import Part
from analysis.audit.scores import SCORES
from analysis.audit.table import audit
from analysis.reading.frames import read_frames
from sweep.store.columns import PREDICTIONS
from sweep.store.results import Results

CLASSES = 10
SMALL = "--small" in sys.argv[1:]
ORIGINALS, SAMPLES = (8, 200) if SMALL else (64, 10_000)
METHODS, SEEDS, FOLDS, IN_A_FOLD = (2, 4, 2, 20) if SMALL else (30, 16, 3, 287)


def main() -> None:
    print(machine())
    print(f"\n{ORIGINALS} originals, {SAMPLES} samples: one estimate with its interval")
    rng = np.random.default_rng(0)
    made = Beside(*(tuple(model(rng, SAMPLES, shift) for _ in range(ORIGINALS)) for shift in (1.0, 0.0, 3.0)))
    cohort = Cohort("made", ("made",), "made", "{}", tuple(range(ORIGINALS)), (made,))
    cohort.margins("unlearned"), cohort.margins("retrain")  # each model's are computed once
    for score in SCORES:
        if score.crossed:
            measured(score.name, lambda score=score: score.estimate(cohort))
    print(f"\n{METHODS} methods, {SEEDS} originals, {FOLDS} folds of {IN_A_FOLD} samples, from disk: every score")
    with tempfile.TemporaryDirectory() as folder:
        sweep(folder)
        trials = read_frames(folder).trials
        measured(f"{len(trials)} trials", lambda: audit(folder, trials))


def measured(name: str, action: Callable[[], object]) -> None:
    """Print seconds and, of a second run, the most memory that Python and numpy held at once beyond what was there."""
    start = time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"  {name}: {seconds:.1f} s, {peak / 2**20:.0f} MiB", flush=True)


def model(rng: np.random.Generator, samples: int, shift: float, first: int = 0) -> dict[str, Part]:
    """One model whose margins are normal, with deviation 1."""
    targets = np.arange(samples) % CLASSES
    logits = np.zeros((samples, CLASSES), dtype=np.float32)
    logits[np.arange(samples), targets] = rng.normal(shift + np.log(CLASSES - 1), size=samples)
    return {"forget": Part(first + np.arange(samples), targets, logits)}


def sweep(folder: str) -> None:
    """Store a sweep with predictions of forget samples alone."""
    rng = np.random.default_rng(0)
    results = Results(folder)
    shifts = {"original": 3.0, "retrain": 0.0} | {f"method {k}": k / METHODS for k in range(METHODS)}
    for name, shift in shifts.items():
        for fold in range(FOLDS):
            config = json.dumps({"forget": {"scenario": "random", "ratio": 0.2, "fold": fold}})
            for seed in range(SEEDS):
                trial = f"{name}-{fold}-{seed}".replace(" ", "-")
                part = model(rng, IN_A_FOLD, shift, fold * IN_A_FOLD)["forget"]
                columns = {
                    "trial_id": [trial] * IN_A_FOLD,
                    "sample_id": part.samples,
                    "split": ["forget"] * IN_A_FOLD,
                    "label": part.targets,
                    "target": [None] * IN_A_FOLD,
                    "logits": [*part.outputs.astype(np.float16)],
                    "outputs": [None] * IN_A_FOLD,
                }
                row = {"trial_id": trial, "task_id": f"fold-{fold}", "sweep": "made", "status": "ok", "seed": seed}
                row |= {"dataset": "made", "model": "made", "scenario": "random", "forget_ratio": 0.2, "method": name}
                row |= {"params": "{}", "config": config, "code_version": "1"}
                results.write_trial(row, predictions=pa.table(columns, schema=PREDICTIONS))


if __name__ == "__main__":
    main()
