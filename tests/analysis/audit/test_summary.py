"""An audit in a line for each score."""

import math

import pandas as pd
import pytest

from analysis.audit.distinguish import Distinguishability
from analysis.audit.summary import summary
from analysis.audit.table import NO_POWER
from analysis.audit.ulira import Area

AREA = [
    ("original", 90.0, math.nan, ""),
    ("retrain", 50.9, math.nan, ""),
    ("untrained", 51.0, math.nan, ""),
    ("uam", 58.0, 0.004, ""),
    ("finetune", 44.0, 0.02, ""),
    ("scrub", 75.0, 0.0001, ""),
]


def rows(values, metric="ulira_auc", expected=50.0):
    return pd.DataFrame(
        [
            {
                "method": method,
                "label": method,
                "metric": metric,
                "stratum": None,
                "value": value,
                "expected": expected,
                "p": p,
                "note": note,
            }
            for method, value, p, note in values
        ]
    )


def test_a_line_has_the_ends_the_methods_told_after_bonferroni_and_the_closest():
    """Of p = 0.004, 0.02 and 0.0001 two are below 0.05 / 3; 44 is closer to 50 than 58 is."""
    strata = rows([("uam", 50.0, 0.9, "")]).assign(stratum="low")
    found = summary(pd.concat([rows(AREA), strata]), [Area(), Distinguishability()])
    assert found == [["U-LiRA AUC", "50.9", "90.0", "2 of 3", "finetune 44.0"]]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([(*each[:3], NO_POWER) for each in AREA], ["Δ", "50.900", "90.000", NO_POWER, "–"]),
        (AREA[:2], ["Δ", "50.900", "90.000", "–", "–"]),
        (AREA[3:4], ["Δ", "–", "–", "1 of 1", "uam 58.000"]),
        ([(*each[:2], math.nan, "") for each in AREA], ["Δ", "50.900", "90.000", "–", "finetune 44.000"]),
        ([*AREA[:4], (*AREA[4][:3], NO_POWER)], ["Δ", "50.900", "90.000", "1 of 1", "uam 58.000"]),
    ],
    ids=["no power", "no method", "no references", "no test", "no power for one"],
)
def test_what_is_missing_is_a_dash(values, line):
    assert summary(rows(values, "distinguishability"), [Distinguishability()]) == [line]


def test_a_method_without_anything_to_compare_with_is_not_the_closest():
    assert summary(rows(AREA, expected=math.nan), [Area()])[0][-1] == "–"
