"""Attacks and distances on what a sweep stored."""

import numpy as np
import pytest
import yaml
from tiny_sweeps import call

from analysis.audit.cohort import cohorts
from analysis.audit.svc import Confidence
from analysis.audit.zrf import ZeroRetrainForgetting
from analysis.reading.frames import read_frames

SPEC = {
    "name": "attacked",
    "dataset": {"name": "digits", "label_noise": 0.2},
    "training": {"epochs": 2},
    "seeds": [0, 1],
    "forget": [{"scenario": "random", "ratio": 0.2}, {"scenario": "class", "class": 3}],
    "methods": [{"name": "retrain"}, {"name": "untrained"}, {"name": "finetune", "epochs": 1}],
    "predictions": True,
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The trials of a sweep, and its cohorts."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    ended = call("run", folder / "spec.yaml", "--executor", "inline", "--out", folder / "out")
    assert ended.code == 0, ended.err
    trials = read_frames(str(folder / "out")).trials
    return trials, list(cohorts(str(folder / "out"), trials))


def test_the_attack_by_confidence_is_the_column_mia(swept):
    """Stored outputs are rounded to float16: two samples of a forget set may change sides."""
    trials, found = swept
    assert len(found) == 6
    for cohort in found:
        rows = trials[(trials["task_id"] == cohort.task_id) & (trials["method"] == cohort.method)].set_index("seed")
        of_two_samples = 100 * 2 / rows["n_forget"]
        differences = np.abs(Confidence().per_seed(cohort) - rows.loc[list(cohort.seeds), "mia"])
        assert (differences <= of_two_samples.loc[list(cohort.seeds)] + 1e-9).all(), (cohort.method, differences)


def test_only_the_untrained_network_says_what_an_untrained_network_says(swept):
    _, found = swept
    zrf = {(each.task, each.method): ZeroRetrainForgetting().estimate(each).value for each in found}
    for (task, method), value in zrf.items():
        assert value == pytest.approx(1) if method == "untrained" else value < 0.99, (task, method)
