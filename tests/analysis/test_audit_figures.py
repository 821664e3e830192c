from dataclasses import replace

import numpy as np
import pytest
from audit.made_cohorts import cohort, stored
from drawings import drawn, texts
from made_results import row

from analysis import roc, samples, strata
from analysis.audit.distinguish import Remembered
from analysis.audit.ulira import OnePercent
from analysis.drawing.figure import Skipped
from analysis.reading.frames import Frames, read_frames
from sweep.store.results import Results

DRAW = {"roc": roc.draw, "samples": samples.draw, "strata": strata.draw}
ORIGINALS, SAMPLES = 8, 600
KEPT = {"finetune": 0.9, "uam": 0.2, "eu-k": 0.0, "neggrad": -1.0}
"""What share of what the original memorised a method keeps."""


def margins():
    """Of Retrains and of originals, [K, n] each: every other sample is memorised."""
    generator = np.random.default_rng(0)
    hard = np.tile([-1.5, 3.0], SAMPLES // 2)
    retrain, original = (hard + generator.normal(size=(ORIGINALS, SAMPLES)) for _ in range(2))
    return retrain, original + np.tile([4.0, 0.0], SAMPLES // 2)


def made(method):
    retrain, original = margins()
    unlearned = np.random.default_rng(len(method)).normal(size=retrain.shape)
    unlearned += np.tile([-1.5 + 4 * KEPT[method], 3.0], SAMPLES // 2)
    return cohort(unlearned, retrain, original, folds=2, method=method)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """Frames of a directory with four methods on two folds; the gap of each is as large as what it keeps."""
    results = Results(str(tmp_path_factory.mktemp("audited")))
    for method, share in KEPT.items():

        def made_row(name, seed, share=share, **columns):
            accuracy = 90.0 if name == "retrain" else 90.0 + abs(share) if name != "original" else 99.0
            return row(name, seed, **columns | {"metrics": (accuracy,) * 4})

        stored(results, made(method), made_row)
    return read_frames(results.location)


@pytest.fixture(scope="module")
def figures(audited):
    return {name: drawn(draw(audited)) for name, draw in DRAW.items()}


def test_captions_say_how_many_originals_methods_have(tmp_path):
    results = Results(str(tmp_path))
    for method, count in (("finetune", 5), ("uam", 4)):
        stored(results, made(method).take(range(count)), row)
    frames = read_frames(results.location)
    for draw, words in ((samples.draw, "of 4 to 5 originals each"), (roc.draw, "of n = 4 to 5 originals")):
        result = drawn(draw(frames))
        assert words in " ".join(" ".join(texts(result)).split())
    assert result.figure.axes[0].get_xlim()[0] == pytest.approx(100 * 10 / (4 * SAMPLES))  # ten Retrains of UAM's


@pytest.mark.parametrize("name", DRAW)
def test_figures_of_an_audit_say_what_they_show(figures, name):
    result = figures[name]
    assert result.name == name
    assert result.question.endswith("?")
    assert result.finding.endswith(".")
    assert len(result.alt) > 100
    assert "nan" not in (result.finding + result.alt).lower()
    assert any("digits, small-cnn, forget 10 %, folds 0 and 1. " in text for text in texts(result))


@pytest.mark.parametrize("name", DRAW)
def test_without_shared_forget_sets_figures_of_an_audit_name_the_preset(audited, name):
    own = audited.trials.assign(config='{"forget": {"scenario": "random"}}')
    for frames in (Frames(own, audited.traces, [], directory=audited.directory), Frames(own, audited.traces, [])):
        result = DRAW[name](frames)
        assert isinstance(result, Skipped)
        assert "preset audit" in result.reason


def test_a_curve_passes_through_the_score(figures):
    assert any("grey band: Retrain against Retrain" in text for text in texts(figures["roc"]))
    axes = figures["roc"].figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for method, name in (("finetune", "FineTune"), ("eu-k", "EU-k")):
        rates, found = lines[name].get_data()
        nearest = int(np.abs(np.log(rates)).argmin())
        assert found[nearest] == pytest.approx(OnePercent().estimate(made(method)).value, abs=2.5)
    assert lines["FineTune"].get_ydata()[-1] == 100
    assert (lines["Original"].get_ydata()[:20] > lines["EU-k"].get_ydata()[:20]).all()
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlim()[0] == pytest.approx(100 * 10 / (ORIGINALS * SAMPLES), rel=0.1)


def test_a_method_with_too_few_negatives_is_not_drawn_and_the_reason_is_said(tmp_path):
    """Eight originals with two folds of 80 samples, of which FineTune and the original have only the first."""
    results = Results(str(tmp_path))
    margins = np.random.default_rng(0).normal(size=(4, 8, 160))
    for method, unlearned in (("finetune", margins[2]), ("uam", margins[3])):
        made = cohort(unlearned, margins[0], margins[1], folds=2, method=method)
        stored(
            results, made, lambda name, seed, **columns: row(name, seed, **columns | {"metrics": (90.0 + seed,) * 4})
        )
    frames = read_frames(results.location)
    lost = frames.trials["method"].isin(["finetune", "original"]) & frames.trials["config"].str.contains('"fold": 1')
    assert lost.sum() == 16
    result = drawn(roc.draw(replace(frames, trials=frames.trials[~lost])))
    assert "Not drawn: FineTune needs 1000 pairs of a Retrain and a sample, there are 640." in " ".join(
        texts(result)
    ).replace("\n", " ")
    assert "nan" not in result.finding + result.alt
    assert "original" not in result.finding


def test_a_row_of_samples_is_their_histogram_beside_its_law(figures):
    panels = {panel.get_ylabel(): panel for panel in figures["samples"].figure.axes}
    assert [*panels] == ["EU-k", "UAM", "FineTune", "NegGrad", "Original"]
    for panel in panels.values():
        assert sum(bar.get_height() for bar in panel.patches if hasattr(bar, "get_height")) == pytest.approx(100)
    remembered = [bar.get_height() for bar in panels["FineTune"].patches[10:20]]
    assert sum(remembered) == pytest.approx(Remembered().estimate(made("finetune")).value, abs=6)
    assert "NegGrad over-forgets most" in figures["samples"].finding


def test_memorised_samples_have_a_panel_of_their_own(figures):
    panels = {panel.get_title(loc="left").split(" ")[0]: panel for panel in figures["strata"].figure.axes}
    assert [*panels] == ["low", "high"]
    means = {
        name: [float(np.ravel(line.get_xdata())[0]) for line in panel.get_lines() if line.get_marker() == "s"]
        for name, panel in panels.items()
    }
    assert means["high"][0] > 80
    assert means["low"][0] < 10
