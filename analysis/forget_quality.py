"""Whether answers about what was forgotten look like Retrain's: python -m analysis.forget_quality DIR [--out DIR]."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from analysis.prediction_tables import PredictionTable, averaged_over_seeds, beside_retrain, run_table
from sweep.store.results import Results

LABELS = ("p", "truth ratio", "utility")
MEANING = (
    "p: forget quality, the probability of truth ratios on the forget set that differ as much from those of the same "
    "seed's Retrain, if both came from one distribution (two-sample Kolmogorov-Smirnov test); near 0 where they can be "
    "told apart. Truth ratio: how likely wrong answers on the forget set are, as a multiple of the right one, median. "
    "Utility: harmonic mean of the right answers' probability and of 1 - truth ratio (at least 0) on retain and test "
    "data. Mean ± standard deviation over n seeds. As TOFU (Maini et al., COLM 2024), without its generated answers."
)


def forget_quality(directory: str, trials: pd.DataFrame) -> PredictionTable | None:
    """Forget quality and model utility of TOFU (Maini et al., COLM 2024), from the scores of candidate answers.

    See `prediction_tables.Make`.
    """
    ok = beside_retrain(trials, "language")
    results = Results(directory)
    said = {trial_id: _answers(results, trial_id) for trial_id in {*ok["trial_id"], *ok.get("reference", ())}}
    ok = ok[[said[trial_id] is not None for trial_id in ok["trial_id"]]] if len(ok) else ok
    if ok.empty:
        return None
    found = [_judged(said[one], said[other]) for one, other in zip(ok["trial_id"], ok["reference"], strict=True)]
    ok = ok.assign(**dict(zip(LABELS, np.array(found).T, strict=True)))
    table = averaged_over_seeds(ok, LABELS, "p", ascending=False)
    return PredictionTable("forget_quality", "Forget quality and utility", MEANING, LABELS, table)


class Answers(NamedTuple):
    """Of the rows of one part: the truth ratio and the probability of the right answer, [n] each."""

    ratios: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def _answers(results: Results, trial_id: str) -> dict[str, Answers] | None:
    """For each part what a trial says of its rows; None where there are no other candidates than the right one."""
    table = results.predictions(trial_id)
    if table is None or not table.num_rows:
        return None
    frame = table.select(["split", "label", "logits"]).to_pandas()
    found = {}
    for split, rows in frame.groupby("split"):
        scores = np.stack(rows["logits"].to_numpy()).astype(np.float64)
        if scores.shape[1] < 2:
            return None
        found[str(split)] = answers(scores, rows["label"].to_numpy(dtype=np.int64))
    return found


def answers(scores: NDArray[np.float64], right: NDArray[np.int64]) -> Answers:
    """Truth ratios and probabilities.

    Args:
        scores: the mean log-likelihood of each candidate's tokens, [n, C].
        right: which candidate is right, [n].
    """
    own = scores[np.arange(len(scores)), right]
    ratios = (np.exp(scores - own[:, None]).sum(axis=1) - 1) / (scores.shape[1] - 1)
    return Answers(ratios, np.exp(own))


def _judged(found: dict[str, Answers] | None, retrain: dict[str, Answers] | None) -> tuple[float, float, float]:
    assert found is not None
    assert retrain is not None
    same = quality(found["forget"].ratios, retrain["forget"].ratios)
    return same, float(np.median(found["forget"].ratios)), utility([found["retain"], found["test"]])


def quality(ratios: NDArray[np.float64], retrain: NDArray[np.float64]) -> float:
    """The p value of a two-sample Kolmogorov-Smirnov test on truth ratios."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(ratios, retrain).pvalue)


def utility(parts: list[Answers]) -> float:
    """The harmonic mean over parts of the mean probability and of the mean of max(0, 1 - truth ratio)."""
    numbers = [
        number for part in parts for number in (part.probabilities.mean(), np.maximum(0, 1 - part.ratios).mean())
    ]
    return 0.0 if min(numbers) <= 0 else float(len(numbers) / np.sum(1 / np.array(numbers)))


def main(directory: str, out: Path | None = None) -> None:
    """Print forget quality and model utility, and write them where --out says."""
    run_table(forget_quality, directory, out)


if __name__ == "__main__":
    typer.run(main)
