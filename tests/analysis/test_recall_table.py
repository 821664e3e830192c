"""The table of recall: which rows and columns it has, and what its gap is over."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from made_results import row

from analysis.recall import recall

USUAL = {
    "forget_perplexity": 1.0,
    "test_perplexity": 900.0,
    "forget_extraction_strength": 100.0,
    "test_extraction_strength": 1.0,
    "min_k_auc": 100.0,
    "min_k_plus_plus_auc": 100.0,
    "zlib_auc": 100.0,
}
"""As of an Original."""
UNLEARNED = USUAL | {"forget_perplexity": 700.0, "forget_extraction_strength": 2.0, "min_k_auc": 50.0}
RETRAIN = UNLEARNED | {"forget_perplexity": 800.0, "min_k_plus_plus_auc": 60.0, "zlib_auc": 60.0}


def trial(method, seed, numbers, **columns):
    other = None if numbers is None else json.dumps(numbers)
    return row(method, seed, kind="language", other=other, n_predictions=0, **columns)


def table(*rows):
    return recall("", pd.DataFrame(rows))


def test_each_method_stands_beside_retrain_and_original_and_the_closest_to_retrain_comes_first():
    rows = [
        trial(method, seed, numbers)
        for seed in (0, 1)
        for method, numbers in (
            ("finetune", USUAL),
            ("simnpo", USUAL | {"forget_extraction_strength": 0.0}),
            ("npo", UNLEARNED | {"min_k_auc": 0.0 + 10 * seed}),
            ("retrain", RETRAIN),
            ("original", USUAL),
        )
    ]
    made = table(*rows)
    assert made.labels == ("PPL-F", "PPL-T", "ES-F", "ES-T", "AUC-K", "AUC-K++", "AUC-Z", "gap")
    assert made.table["method"].tolist() == ["original", "retrain", "npo", "simnpo", "finetune"]
    found = made.table.set_index("method")
    assert found.loc["retrain", ["ES-F.mean", "AUC-K.mean", "gap.mean"]].tolist() == [2, 50, 0]
    # over ES-F, AUC-K, AUC-K++ and AUC-Z: no perplexity, nothing of the test set
    assert found.loc["finetune", "gap.mean"] == pytest.approx((98 + 50 + 40 + 40) / 4)
    assert found.loc["npo", "gap.mean"] == pytest.approx(((0 + 50 + 40 + 40) / 4 + (0 + 40 + 40 + 40) / 4) / 2)
    assert found.loc["npo", "AUC-K.mean"] == 5
    assert found["seeds"].tolist() == [2] * 5
    assert "over ES-F, AUC-K, AUC-K++, AUC-Z." in made.markdown
    assert "ROUGE" not in made.markdown


def test_each_is_compared_with_the_retrain_of_its_own_seed():
    others = RETRAIN | {"forget_extraction_strength": 42.0}
    rows = [trial("retrain", 0, RETRAIN), trial("retrain", 1, others), trial("npo", 1, others)]
    assert table(*rows).table.set_index("method").loc["npo", "gap.mean"] == 0


def test_continuations_are_in_the_table_where_there_are_some():
    said = {"forget_exact_match": 0.0, "retain_exact_match": 90.0}
    said |= {"forget_rouge_l_recall": 12.0, "retain_rouge_l_recall": 95.0}
    made = table(trial("retrain", 0, RETRAIN | said), trial("npo", 0, RETRAIN | said | {"forget_rouge_l_recall": 30.0}))
    assert made.labels[-5:] == ("EM-F", "EM-R", "ROUGE-F", "ROUGE-R", "gap")
    assert made.table.set_index("method").loc["npo", "gap.mean"] == pytest.approx(18 / 6)
    assert "over ES-F, AUC-K, AUC-K++, AUC-Z, EM-F, ROUGE-F." in made.markdown


def test_a_perplexity_that_is_missing_leaves_the_rest():
    rows = [trial("retrain", 0, RETRAIN), trial("npo", 0, RETRAIN | {"forget_perplexity": None})]
    found = table(*rows).table.set_index("method")
    assert pd.isna(found.loc["npo", "PPL-F.mean"])
    assert found.loc["npo", "gap.mean"] == 0
    assert "| npo | 1 | – | 900 | 2 |" in table(*rows).markdown


def test_there_is_no_table_without_such_numbers_or_without_retrain():
    assert table(row("retrain"), row("finetune")) is None
    assert table(trial("npo", 0, USUAL)) is None
    assert table(trial("npo", 0, USUAL), trial("retrain", 1, RETRAIN)).table["method"].tolist() == ["retrain"]
    assert table(trial("retrain", 0, None), trial("npo", 0, None)) is None
    assert table(trial("retrain", 0, {"mine": 1.0}), trial("npo", 0, {"mine": 2.0})) is None
