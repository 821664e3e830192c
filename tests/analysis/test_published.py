"""Published numbers stand beside ours where data, network and forget set are the same, and nowhere else."""

import json

import pandas as pd
import pytest
from made_results import row

from analysis.published import COLUMNS, beside_published, published
from analysis.reading.frames import with_gaps

RECIPE = {"epochs": 30, "lr": 0.4, "batch_size": 512, "schedule": "one-cycle", "weight_decay": 5e-4}
DATASET = {"name": "cifar10", "limit": None, "label_noise": 0.0, "validation": 0.0, "crop": 4, "flip": True}
CONFIG = {
    "dataset": DATASET,
    "model": {"name": "resnet18", "width": 64},
    "forget": {"scenario": "random", "ratio": 0.1},
    "training": RECIPE,
}
REVIEW = "a public review's own run, 2025"
SALUN = "SalUn (ICLR 2024), as repeated in a discussion of NegMerge (ICML 2025)"
README = "torchunlearn's README"


def results(**changes):
    """Retrain and two configurations of UAM over two seeds, of a task that differs from the published one by these."""
    columns = {"config": json.dumps(CONFIG | changes)}
    rows = []
    for seed, shift in ((0, 0.0), (1, 2.0)):
        rows += [
            row("retrain", seed, metrics=(98.0 + shift, 88.0 + shift, 90.0, 14.0), **columns),
            row("uam", seed, params={"rho": 1}, metrics=(98.0 + shift, 90.0 + shift, 88.0, 14.0), **columns),
            row("uam", seed, params={"rho": 8}, metrics=(50.0, 50.0, 50.0, 50.0), **columns),
        ]
    return with_gaps(pd.DataFrame(rows))


def test_every_source_of_the_task_is_beside_it():
    found = beside_published(results())
    assert [table.source for table in found] == [REVIEW, SALUN, README]  # ReGUn has neither Retrain nor UAM
    accuracies = ["RA", "FA", "TA"]
    assert [table.columns for table in found] == [accuracies, [*accuracies, "MIA", "gap"], accuracies]


def test_a_cell_holds_both_numbers_their_difference_and_both_gaps():
    review = beside_published(results())[0]
    rows = {row.method: row for row in review.rows}
    cell = rows["UAM"].cells["FA"]
    assert (cell.published, cell.here.mean, cell.here.n) == (96.32, 91.0, 2)
    # Student's t with one degree of freedom: 12.706 standard deviations of a mean of 90 and 92
    assert (cell.here.low, cell.here.high) == pytest.approx((91 - 12.706, 100), abs=1e-3)
    assert cell.difference == pytest.approx(-5.32)
    assert cell.published_gap == pytest.approx(96.32 - 91.78)
    assert cell.here_gap.mean == 2.0
    assert rows["UAM"].configurations == 2
    assert rows["NegGrad"].configurations == 0
    assert rows["NegGrad"].cells["RA"].here.n == 0
    assert rows["Retrain"].reference


def test_it_is_said_what_differs_in_the_recipe():
    review = beside_published(results())[0]
    assert review.published_recipe == "one run; its training is not described"
    assert review.recipe == (
        "30 epochs, batches of 512, learning rate 0.4 (one-cycle), weight decay 0.0005, random crops and flips"
    )
    plain = beside_published(results(dataset=DATASET | {"crop": 0, "flip": False}))[0]
    assert plain.recipe.endswith("no augmentation")


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": DATASET | {"name": "cifar100"}},
        {"dataset": DATASET | {"limit": 20000}},
        {"dataset": DATASET | {"label_noise": 0.2}},
        {"dataset": DATASET | {"validation": 0.1}},
        {"dataset": DATASET | {"name": "parquet", "fingerprint": "0" * 16}},
        {"model": {"name": "resnet18", "width": 32}},
        {"model": {"name": "resnet8", "width": 64}},
        {"model": None},
        {"forget": {"scenario": "random", "ratio": 0.2}},
        {"forget": {"scenario": "class", "class": 3}},
        {"model": None, "forget": {"scenario": "class", "class": 3}},
    ],
)
def test_another_task_stands_beside_nothing(changes):
    assert beside_published(results(**changes)) == []


def test_files_that_hold_the_data_set_count_as_it_and_how_they_differ_is_said():
    copy = published()["copies"][0]
    files = DATASET | {"name": "parquet", "fingerprint": copy["fingerprint"]}
    found = beside_published(results(dataset=files))
    assert [table.source for table in found] == [REVIEW, SALUN, README]
    assert all(table.recipe.endswith(copy["differs"]) for table in found)


def test_trials_that_did_not_end_ok_are_not_ours():
    failed = results().assign(status="failed")
    assert beside_published(failed) == []
    assert beside_published(failed[:0]) == []


def test_the_published_numbers_are_percents_of_known_columns():
    for result in published()["results"]:
        assert {label for numbers in result["methods"].values() for label in numbers} <= set(COLUMNS)
        assert all(0 <= number <= 100 for numbers in result["methods"].values() for number in numbers.values())
