"""A results directory as notebooks see it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from made_results import CERTIFIED, CLAIM, TWO_SEEDS
from made_sweeps import methods

from analysis.drawing.figure import Drawn, Skipped
from analysis.loaded import Loaded
from analysis.methods_table import methods_table, to_html
from analysis.reading.frames import read_frames
from sweep.errors import InputError
from sweep.store.columns import PREDICTIONS, TRACES
from sweep.store.labels import write_labels
from sweep.store.results import Results


@pytest.fixture
def with_more(tmp_path):
    """The rows of `TWO_SEEDS`, each with a point of its path and a prediction."""
    results = Results(str(tmp_path / "results"))
    for one in TWO_SEEDS:
        said = {"trial_id": one["trial_id"], "sample_id": 3, "split": "forget", "label": 1, "logits": [0.5]}
        point = dict.fromkeys(TRACES.names) | {
            "trial_id": one["trial_id"],
            "epoch": 0,
            "step": 1,
            "seconds": 1.0,
            "samples": 9,
        }
        results.write_trial(one, [point], pa.Table.from_pylist([said], schema=PREDICTIONS))
    return results.location


def test_frames_are_those_of_the_report(with_more):
    loaded, frames = Loaded(with_more), read_frames(with_more)
    assert loaded.trials.equals(frames.trials)
    assert loaded.traces.equals(frames.traces)
    assert loaded.suggestions.equals(frames.suggestions)
    assert loaded.table().equals(methods_table(frames.trials))
    assert sorted(loaded.predictions["trial_id"]) == sorted(one["trial_id"] for one in TWO_SEEDS)
    assert loaded.predictions["logits"].map(list).tolist() == [[0.5]] * 4


def test_frames_of_one_sweep_have_its_trials_only(with_more):
    wanted = {TWO_SEEDS[0]["trial_id"], TWO_SEEDS[2]["trial_id"]}
    loaded = Loaded(with_more, wanted)
    for frame in (loaded.trials, loaded.traces, loaded.predictions):
        assert set(frame["trial_id"]) == wanted
    assert loaded.table()["seeds"].tolist() == [1, 1]


def test_files_are_read_when_they_are_asked_for_and_once(with_more, monkeypatch):
    loaded = Loaded(with_more)
    before = loaded.trials
    monkeypatch.setattr(Results, "trials", None)
    assert loaded.trials is before
    with pytest.raises(TypeError):
        _ = Loaded(with_more).trials


def test_what_is_damaged_is_named_in_a_warning_and_left_out(with_more):
    name = TWO_SEEDS[0]["trial_id"]
    for folder in ("traces", "predictions"):
        Path(with_more, folder, f"{name}.parquet").write_bytes(b"damaged")
    loaded = Loaded(with_more)
    with pytest.warns(UserWarning, match=f"traces/.*{name}"):
        assert len(loaded.traces) == 3
    with pytest.warns(UserWarning, match=f"predictions/{name}.parquet: missing or damaged"):
        assert len(loaded.predictions) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(loaded.traces) == 3


def test_without_predictions_there_is_an_empty_frame(directory):
    assert list(Loaded(directory(TWO_SEEDS)).predictions.columns) == PREDICTIONS.names


def test_a_notebook_shows_the_comparison_with_all_that_is_said_of_it(directory):
    loaded = Loaded(directory([*TWO_SEEDS, CERTIFIED]))
    html = loaded._repr_html_()
    assert html == to_html(loaded.table())
    assert html.count("<table") == 1
    for words in ("finetune", "avg. gap", "mean ± standard deviation over n seeds", "96.0"):
        assert words in html
    assert CLAIM.replace("<", "&lt;").replace(">", "&gt;") in html
    assert "<retrained>" not in html


def test_a_figure_is_a_picture_or_a_reason(directory):
    loaded = Loaded(directory(methods()))
    drawn, skipped = loaded.figure("tradeoff"), loaded.figure("rho")
    assert isinstance(drawn, Drawn)
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert isinstance(skipped, Skipped)
    with pytest.raises(InputError, match="unknown figure 'tradeof'; did you mean 'tradeoff'"):
        loaded.figure("tradeof")


@pytest.mark.usefixtures("labels_forgotten")
def test_labels_are_those_of_the_directory_that_is_shown(directory, tmp_path):
    named, plain = Results(str(tmp_path / "named")), Loaded(directory(TWO_SEEDS))
    for one in TWO_SEEDS:
        named.write_trial(one)
    write_labels(named, {"finetune": "Fine+"}, {})
    labelled = Loaded(named.location)
    for _ in range(2):
        assert "Fine+" in labelled._repr_html_()
        assert "Fine+" not in plain._repr_html_()
    assert "Fine+" in labelled.figure("tradeoff").finding
    assert "Fine+" not in plain.figure("tradeoff").finding
