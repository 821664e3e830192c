"""The rows of an audit."""

import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_cohorts import cohort, drawn
from rich.console import Console

from analysis.audit.distinguish import Distinguishability, Remembered
from analysis.audit.memorisation import strata
from analysis.audit.printed import BY_MEMORISATION, render_rich, task_tables, to_markdown, write_audit
from analysis.audit.score import ModelScore
from analysis.audit.scores import SCORES
from analysis.audit.table import AUDIT, NO_POWER, audit, audit_table
from analysis.audit.ulira import Area, OnePercent


class Mean(ModelScore):
    name, label, words = "mean", "mean", "mean margin above Retrain's"

    def of(self, model, retrain, original):
        return model["forget"].margins.mean() - retrain["forget"].margins.mean()


def memorised(seed, originals=16, samples=240, shift=1.0, **more):
    """Two thirds of the samples are memorised by the originals, a half of these by half of them."""
    rng = np.random.default_rng(seed)
    retrain, unlearned, original = rng.normal(scale=0.3, size=(3, originals, samples))
    right = np.zeros((originals, samples))
    right[:, samples // 3 : 2 * samples // 3] = (np.arange(originals)[:, None] // 2) % 2
    right[:, 2 * samples // 3 :] = 1
    return cohort(unlearned - 4 + shift, retrain - 4, original - 4 + 8 * right, classes=10, **more)


def one(frame, **where):
    for name, value in where.items():
        frame = frame[frame[name].isna()] if value is None else frame[frame[name] == value]
    [row] = frame.to_dict("records")
    return row


def test_a_row_has_the_score_its_interval_and_its_ends(audited):
    made = drawn(0, 8, 60, 1.0, ceiling=3.0, folds=2)
    frame = audit(*audited(made), SCORES)
    assert frame.columns.tolist() == AUDIT.names
    for score in (Distinguishability(), Area(), Remembered()):
        row = one(frame, metric=score.name, method="finetune", stratum=None)
        found = score.estimate(made)
        numbers = (row["value"], row["low"], row["high"], row["floor"], row["ceiling"])
        ends = score.floor(made).value, score.ceiling(made).value
        assert numbers == pytest.approx((found.value, found.low, found.high, *ends), abs=1)
        assert (row["task_id"], row["originals"], row["samples"], row["negatives"]) == ("task-0", 8, 60, 480)


def test_a_method_that_is_another_retrain_is_not_told_and_one_that_does_nothing_is_the_ceiling(audited):
    made = drawn(0, 16, 300, 0.0, ceiling=2.0)
    frame = audit(*audited(made, replace(made.of("original"), method="idle")), [Distinguishability(), Area()])
    for metric in frame["metric"].unique():
        perfect, idle, original, retrain = (
            one(frame, metric=metric, method=method, stratum=None)
            for method in ("finetune", "idle", "original", "retrain")
        )
        assert perfect["low"] < perfect["floor"] + 1e-2
        assert perfect["high"] > perfect["floor"]
        assert idle["value"] == original["value"] == idle["ceiling"] == perfect["ceiling"]
        assert retrain["value"] == retrain["floor"] == idle["floor"]
        assert original["low"] > original["floor"]


def test_a_network_that_was_never_trained_has_numbers_and_no_verdict(audited):
    made = drawn(1, 6, 40, 3.0, ceiling=2.0)
    frame = audit(*audited(made, replace(made, method="untrained")), [Area()])
    assert [np.isnan(one(frame, method=name, stratum=None)["p"]) for name in ("finetune", "untrained")] == [False, True]
    assert one(frame, method="untrained", stratum=None)["value"] > 80


def test_strata_are_scored_by_the_other_half_of_the_originals(audited):
    made = memorised(0)
    frame = audit(*audited(made), [Distinguishability(), Mean()])
    rows = frame[(frame["method"] == "finetune") & (frame["metric"] == "distinguishability")]
    assert rows["stratum"].fillna("all").tolist() == ["all", "low", "mid", "high"]
    assert rows["originals"].tolist() == [16, 8, 8, 8]
    assert rows["samples"].tolist() == [240, 80, 80, 80]
    for name, part in strata(made):
        row, score = one(rows, stratum=name), Distinguishability()
        expected = [score.of(part), score.floor(part).value, score.ceiling(part).value]
        assert [row["value"], row["floor"], row["ceiling"]] == pytest.approx(expected, abs=0.02)
    assert frame[frame["metric"] == "mean"]["stratum"].isna().all()


@pytest.mark.parametrize(("ceiling", "note"), [(0.0, NO_POWER), (3.0, "")])
def test_where_the_original_is_not_told_from_retrain_the_score_has_no_power(audited, ceiling, note):
    frame = audit(*audited(drawn(1, 16, 100, 0.5, ceiling=ceiling)), [Area()])
    assert frame[frame["stratum"].isna()]["note"].fillna("").unique().tolist() == [note]


def moved_by_seed(made):
    """The same margins, but of other samples in every seed."""
    [beside] = made.sets
    moved = {}
    for who in ("unlearned", "retrain"):
        parts = [model["forget"] for model in getattr(beside, who)]
        moved[who] = tuple(
            {"forget": replace(part, samples=part.samples + seed * len(part.samples))}
            for seed, part in enumerate(parts)
        )
    return replace(made, sets=(replace(beside, **moved),))


def test_seeds_that_forget_different_samples_have_the_scores_of_single_models_alone(audited):
    made = moved_by_seed(drawn(0, 3, 40, 1.0))
    frame = audit(*audited(made), [Area(), Mean()])
    row = one(frame, metric="ulira_auc", method="finetune")
    assert np.isnan(row["value"])
    assert row["note"] == "seeds forget different samples"
    row = one(frame, metric="mean", method="finetune")
    assert row["value"] == pytest.approx(1, abs=0.3)
    assert row["note"] == "no floor: seeds forget different samples; no ceiling: no originals of all these seeds"


def test_seeds_that_hold_out_different_samples_are_compared_on_the_rest(audited):
    """Of 60 samples each of eight seeds lacks three others; what needs no comparison is of all that a seed forgets."""
    made = drawn(0, 8, 60, 1.0, ceiling=3.0)
    [beside] = made.sets
    there = [np.arange(60) // 3 != seed for seed in range(8)]
    lacking = {
        who: tuple(
            {"forget": model["forget"].subset(own)} for model, own in zip(getattr(beside, who), there, strict=True)
        )
        for who in ("unlearned", "retrain", "original")
    }
    frame = audit(*audited(replace(made, sets=(replace(beside, **lacking),))), [Distinguishability(), Mean()])
    row = one(frame, metric="distinguishability", method="finetune", stratum=None)
    assert (row["samples"], row["negatives"]) == (36, 288)
    expected = Distinguishability().estimate(made.where(np.arange(60) >= 24))
    assert (row["value"], row["low"]) == pytest.approx((expected.value, expected.low), abs=0.01)
    assert one(frame, metric="mean", method="finetune")["samples"] == 57


def test_methods_share_the_floor_of_their_own_seeds(audited):
    """The second method lacks seeds: its floor is of those that it has."""
    whole = drawn(0, 16, 100, 1.0, ceiling=3.0)
    part = drawn(0, 16, 100, 1.0, ceiling=3.0, method="scrub").take(range(8))
    frame = audit(*audited(part, whole), [Distinguishability()])
    floors = [one(frame, method=method, stratum=None)["floor"] for method in ("finetune", "scrub", "retrain")]
    expected = [Distinguishability().floor(made).value for made in (whole, part, whole)]
    assert floors == pytest.approx(expected, abs=0.02)
    assert floors[0] != floors[1]


def test_what_is_stored_has_nulls_and_its_types(audited, tmp_path):
    directory, trials = audited(drawn(0, 8, 60, 1.0, ceiling=3.0))
    frame = audit(directory, trials)
    paths = write_audit(frame, task_tables(frame, trials, SCORES), tmp_path / "report")
    assert [path.name for path in paths] == ["audit.parquet", "audit.csv", "audit.md"]
    table = pq.read_table(paths[0])
    assert table.schema.equals(AUDIT)
    assert table.equals(audit_table(frame))
    rows = [row for row in table.to_pylist() if row["metric"] == "ulira_tpr_01" and row["method"] == "finetune"]
    assert (rows[0]["value"], rows[0]["low"], rows[0]["floor"]) == (None, None, None)
    assert rows[0]["note"] == "needs 10000 pairs of a Retrain and a sample, there are 480"
    assert len(paths[1].read_text().splitlines()) == len(frame) + 1


def test_an_empty_audit_is_a_table(audited):
    frame = audit(*audited())
    assert frame.empty
    assert audit_table(frame).schema.equals(AUDIT)


@pytest.fixture
def several():
    """A method like Retrain, one that remembers, one that forgets too much."""
    return [
        drawn(0, 16, 200, shift, ceiling=2.5, method=method, task_id="made")
        for method, shift in (("finetune", 0.0), ("neggrad", 0.8), ("scrub", -0.8))
    ]


def shared_references(cohorts):
    """The cohorts with the first one's Retrains and originals."""
    [kept] = cohorts[0].sets
    return [replace(each, sets=(replace(kept, unlearned=each.sets[0].unlearned),)) for each in cohorts]


def test_methods_are_ordered_and_judged_by_their_distance_to_the_floor(audited, several):
    directory, trials = audited(*shared_references(several))
    scores = [Distinguishability(), Remembered(), OnePercent()]
    frame = audit(directory, trials, scores)
    [found] = task_tables(frame, trials, scores)
    by_label = {table.score.label: table for table in found.tables}
    assert {name: [row[0] for row in table.rows][:3] for name, table in by_label.items()} == {
        "Δ": ["original", "retrain", "finetune"],
        "remembered": ["original", "retrain", "finetune"],
        "U-LiRA TPR at 1 %": ["original", "retrain", "finetune"],
    }
    verdicts = {row[0]: row[-1] for row in by_label["remembered"].rows}
    assert verdicts == {
        "original": "",
        "retrain": "",
        "finetune": "not told from Retrain",
        "neggrad": "above Retrain",
        "scrub": "below Retrain",
    }


@pytest.mark.parametrize("score", [Area(), Distinguishability()])
def test_a_method_is_judged_by_what_is_expected_where_that_is_known_not_by_a_chance_floor(audited, score):
    """Retrains of even seeds happen to know all samples better than those of odd seeds."""
    rng = np.random.default_rng(0)
    lucky = np.where(np.arange(16) % 2, -0.6, 0.6)[:, None]
    noise = rng.normal(size=(4, 16, 200))
    retrain, original = noise[0] + lucky, noise[1] + 1.1
    made = [(noise[2] + 0.7, "scrub"), (noise[3] + 1.0, "ssd")]
    directory, trials = audited(*(cohort(margins, retrain, original, method=name) for margins, name in made))
    frame = audit(directory, trials, [score], by_memorisation=False)
    rows = frame.set_index("method")
    assert rows.loc["scrub", "expected"] == score.expected < rows.loc["scrub", "value"] < rows.loc["scrub", "floor"]
    [found] = task_tables(frame, trials, [score])
    assert [(row[0], row[-1]) for row in found.tables[0].rows[2:]] == [
        ("scrub", "above Retrain"),
        ("ssd", "above Retrain"),
    ]


def test_no_power_stands_in_the_place_of_a_verdict(audited):
    directory, trials = audited(drawn(1, 16, 100, 2.0, ceiling=0.0))
    [found] = task_tables(audit(directory, trials, [Area()]), trials, [Area()])
    [table] = found.tables
    assert {row[-1] for row in table.rows} == {NO_POWER}
    assert "no power, the original is not told from Retrain" in table.remark
    assert "above Retrain" not in to_markdown([found])


def test_markdown_has_a_row_for_each_method_with_its_interval(audited):
    directory, trials = audited(memorised(0))
    frame = audit(directory, trials)
    text = to_markdown(task_tables(frame, trials, SCORES))
    row = one(frame, method="finetune", metric="ulira_auc", stratum=None)
    assert "| method | n | all | low | mid | high | remark |" in text
    assert f"| finetune | 16 | {row['value']:.1f} [{row['low']:.1f}, {row['high']:.1f}] |" in text
    assert "### Missing\n\n- U-LiRA TPR at 0.1 %: needs 10000 pairs of a Retrain and a sample, there are 3840" in text
    assert text.count("## digits, small-cnn, forget 10 % at random\n") == 1


def test_strata_without_a_number_are_no_columns_and_the_table_says_why(audited):
    directory, trials = audited(memorised(0, originals=6))
    (found,) = task_tables(audit(directory, trials), trials, SCORES)
    tables = {table.score.name: table for table in found.tables}
    assert tables["distinguishability"].headers == ["method", "n", "all", "low", "mid", "high"]
    assert tables["ulira_auc"].headers == ["method", "n", "all"]
    assert tables["ulira_auc"].remark.endswith(" low, mid and high: need 4 originals, there are 3.")
    assert BY_MEMORISATION in found.captions


def test_a_summary_has_a_line_for_each_score(audited, capsys):
    directory, trials = audited(memorised(0))
    found = task_tables(audit(directory, trials), trials, SCORES)
    render_rich(found, Console(width=80), whole=False)
    out = capsys.readouterr().out
    [task] = found
    assert max(map(len, out.splitlines())) <= 80
    assert re.findall(r"^ (\S.*?)  +[\d.-]+ ", out, re.M) == [table.score.label for table in task.tables]
    assert "| U-LiRA AUC |" in to_markdown(found)


def test_a_terminal_of_80_columns_shows_all_of_it(audited, capsys):
    directory, trials = audited(memorised(0))
    frame = audit(directory, trials)
    render_rich(task_tables(frame, trials, SCORES), Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(re.search(r"\d \[", line) for line in lines)  # intervals stand below their values
    shown = " ".join(" ".join(lines).split())
    for row in frame[frame["metric"] == "distinguishability"].to_dict("records"):
        assert f"{row['value']:.3f}" in shown
    assert "…" not in shown


def test_tasks_have_tables_of_their_own(audited):
    one, other = drawn(0, 8, 40, ceiling=1.0, task_id="a"), drawn(1, 8, 40, ceiling=1.0, task_id="b")
    directory, trials = audited(one, other)
    found = task_tables(audit(directory, trials), trials, SCORES)
    assert [each.task.split(" [")[1] for each in found] == ["a]", "b]"]
