"""What a report opens with: the methods beside Retrain, sample by sample."""

import numpy as np
import pytest
from made_cohorts import cohort, stored
from made_results import row

from analysis.audit.opening import openings
from analysis.reading.frames import read_frames
from analysis.report import write_report
from sweep.store.results import Results


@pytest.fixture
def opened(tmp_path):
    """The opening of a directory with a method whose models are Retrains, and one that keeps what originals know."""
    results = Results(str(tmp_path))
    generator = np.random.default_rng(0)
    retrain, original, like_retrain = generator.normal(size=(3, 8, 120))
    for method, unlearned in (("finetune", like_retrain), ("neggrad", original + 3)):
        stored(results, cohort(unlearned, retrain, original + 3, folds=2, method=method), row)
    frames = read_frames(results.location)
    (found,) = openings(str(tmp_path), frames.trials)
    return found


def test_it_says_which_methods_are_told_from_retrain(opened):
    assert opened.answer.startswith("Told from Retrain, sample by sample: 1 of 2 methods. Closest is FineTune (U-LiRA")
    assert opened.task.endswith(", folds 0 and 1")


def test_methods_are_named_as_in_the_rest_of_the_report_and_the_closest_come_first(opened):
    assert opened.headers[:4] == ["Method", "n", "Average gap", "U-LiRA AUC"]
    assert [line[0] for line in opened.rows] == ["Original", "Retrain", "FineTune", "NegGrad"]
    assert [line[-1] for line in opened.rows] == ["", "", "not told from Retrain", "above Retrain"]


def test_methods_that_start_from_originals_of_their_own_are_named(tmp_path):
    results = Results(str(tmp_path))
    retrain, original, sharded = np.random.default_rng(1).normal(size=(3, 8, 120))

    def started(method, seed, **columns):
        return row(method, seed, original_id=f"{'own' if method == 'sisa' else 'ordinary'}-{seed}", **columns)

    stored(results, cohort(sharded, retrain, original + 3, folds=2, method="sisa"), started)
    (found,) = openings(str(tmp_path), read_frames(results.location).trials)
    assert found.answer.endswith("SISA shapes training: it starts from an original of its own, not from Original.")


def test_predictions_that_cannot_be_read_are_named(tmp_path):
    results = Results(str(tmp_path))
    stored(results, cohort(*np.random.default_rng(2).normal(size=(3, 8, 120)), folds=2, method="finetune"), row)
    trials = read_frames(results.location).trials
    lost = trials.loc[(trials["method"] == "finetune") & (trials["seed"] == 5), "trial_id"].iloc[0]
    (tmp_path / "predictions" / f"{lost}.parquet").write_bytes(b"no Parquet")
    unread: list[str] = []
    (found,) = openings(str(tmp_path), trials, unread.append)
    assert unread == [lost]
    assert [line[1] for line in found.rows if line[0] == "FineTune"] == ["7"]
    page = write_report(str(tmp_path), read_frames(str(tmp_path)), tmp_path / "report", {})[-1].read_text()
    assert f"predictions/{lost}.parquet: missing, damaged or not finite" in page
