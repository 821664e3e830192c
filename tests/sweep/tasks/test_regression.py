"""Regression: targets in standard deviations, errors, splits by ranges of the target, tables in Parquet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.spec.sweep_spec import parse_spec
from sweep.store.metrics import OF_WEIGHTS
from sweep.tasks.evaluation import Predictions
from sweep.tasks.regression import Measured, Regression, error, losses, spread, standardised
from sweep.tasks.splits import Drawing
from sweep.tasks.tables import Diabetes, RatedImages, Table
from sweep.tasks.value_splits import in_range, strata

CPU = torch.device("cpu")
PLAIN = {"limit": None, "target_noise": 0.0, "validation": 0.0, "crop": None, "flip": None}
RANDOM = {"scenario": "random", "ratio": 0.2}


def measured(count: int = 60, seed: int = 0) -> Measured:
    """Rows of three numbers, the last of which never changes, and a number in hundreds for each."""
    random = np.random.default_rng(seed)
    inputs = np.column_stack([random.normal(5, 3, count), random.normal(-1, 0.1, count), np.full(count, 7.0)])
    targets = 300 + 50 * inputs[:, 0] + random.normal(0, 20, count)
    return Measured(inputs, targets, inputs[:20] + 0.5, targets[:20] + 10)


def test_networks_see_columns_and_targets_in_standard_deviations_of_the_training_set():
    data = measured()
    found = Regression().on_device(data, PLAIN, CPU)
    inputs, targets = next(found.train(np.arange(60)).in_order(60))
    np.testing.assert_allclose(inputs.numpy()[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.numpy()[:, :2].std(axis=0), 1, atol=1e-6)
    assert (inputs[:, 2] == 0).all()
    assert targets.shape == (60, 1)
    assert (inputs.dtype, targets.dtype) == (torch.float32, torch.float32)
    mean, deviation = data.train_targets.mean(), data.train_targets.std()
    np.testing.assert_allclose(targets.numpy()[:, 0], (data.train_targets - mean) / deviation, atol=1e-6)
    tested, answers = next(found.test().in_order(60))
    expected = (data.test_inputs[:, 0] - data.train_inputs[:, 0].mean()) / data.train_inputs[:, 0].std()
    np.testing.assert_allclose(tested.numpy()[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(answers.numpy()[:, 0], (data.test_targets - mean) / deviation, atol=1e-6)


def test_noise_changes_what_is_trained_on_alone_and_is_the_same_every_time():
    data = replace(measured(2000))
    quiet, loud, again = (
        Regression().on_device(data, PLAIN | {"target_noise": noise}, CPU) for noise in (0.0, 0.5, 0.5)
    )
    difference = (loud.train_targets - quiet.train_targets)[:, 0].numpy()
    assert abs(difference.std() - 0.5) < 0.03
    assert abs(difference.mean()) < 0.05
    assert torch.equal(loud.train_targets, again.train_targets)
    assert torch.equal(loud.true_targets, quiet.train_targets)
    assert torch.equal(loud.test_targets, quiet.test_targets)


def test_limit_keeps_a_share_of_every_tenth_of_the_targets():
    data = measured(200)
    found = Regression().on_device(data, PLAIN | {"limit": 50}, CPU)
    assert len(found.train_inputs) == 50
    kept = np.bincount(strata(data.train_targets)[found.splits.rows], minlength=10)
    assert kept.tolist() == [5] * 10


def test_a_range_of_targets_is_forgotten_by_the_targets_without_noise():
    data = measured(200)
    found = Regression().on_device(data, PLAIN | {"target_noise": 2.0}, CPU)
    bound = float(np.quantile(data.train_targets, 0.3))
    below = found.split(3, {"scenario": "range", "below": bound})
    np.testing.assert_array_equal(below.forget, np.flatnonzero(data.train_targets < bound))
    above = found.split(3, {"scenario": "range", "above": bound})
    np.testing.assert_array_equal(above.forget, np.flatnonzero(data.train_targets > bound))
    with pytest.raises(InputError, match="forget: targets above 1e\\+06 leaves no sample to forget of 200"):
        found.split(0, {"scenario": "range", "above": 1e6})


def test_a_share_is_forgotten_as_of_classes_with_tenths_in_their_place():
    data = measured(200)
    found = Regression().on_device(data, PLAIN | {"validation": 0.1}, CPU).split(5, RANDOM)
    tenths = strata(data.train_targets)
    expected = Drawing(tenths, 5, 0.1).split(ratio=0.2)
    for part in ("retain", "forget", "validation"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))


def test_equal_targets_are_in_the_same_tenth():
    targets = np.array([1.0] * 95 + [2.0] * 5)
    found = strata(targets)
    assert len(set(found[:95])) == len(set(found[95:])) == 1


def test_errors_are_in_percent_of_a_standard_deviation_and_losses_are_squared():
    part = Predictions(torch.arange(3), torch.tensor([[0.0], [1.0], [-2.0]]), torch.tensor([[0.5], [1.0], [-1.0]]))
    assert error(part) == pytest.approx(100 * (0.5 + 0 + 1) / 3)
    np.testing.assert_allclose(losses(part), [0.25, 0, 1])


class Constant(nn.Module):
    """Predicts one number for everything."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(inputs), 1)


def test_where_a_range_is_forgotten_its_test_samples_are_judged_apart():
    data = measured(200)
    bound = float(np.median(data.test_targets))
    forget = {"scenario": "range", "above": bound}
    found = Regression().on_device(data, PLAIN | {"validation": 0.2}, CPU)
    split = found.split(0, forget)
    judged = Regression().evaluate(Constant(0.3), found, split, forget, 0)
    mean, deviation = data.train_targets.mean(), data.train_targets.std()

    def expected(targets: np.ndarray) -> float:
        return 100 * np.abs(0.3 - (targets - mean) / deviation).mean()

    trained = data.train_targets
    for name, targets in {
        "retain_error": trained[split.retain],
        "forget_error": trained[split.forget],
        "test_error": data.test_targets[data.test_targets <= bound],
        "forgotten_test_error": data.test_targets[data.test_targets > bound],
        "validation_error": trained[split.validation][trained[split.validation] <= bound],
    }.items():
        assert judged.metrics[name] == pytest.approx(expected(targets), rel=1e-5), name
    assert set(judged.metrics) == {metric.column for metric in Regression.metrics if metric not in OF_WEIGHTS}
    [_, (name, kept, rows), tested, validated] = judged.kept
    assert name == "forget"
    np.testing.assert_array_equal(rows[kept.index].numpy(), split.forget)
    assert len(tested[1]) == 20
    assert validated[0] == "validation"
    np.testing.assert_array_equal(validated[2][validated[1].index].numpy(), split.validation)


def test_without_a_range_all_test_samples_are_judged():
    found = Regression().on_device(measured(), PLAIN, CPU)
    judged = Regression().evaluate(Constant(0.0), found, found.split(0, RANDOM), RANDOM, 0)
    assert judged.metrics["forgotten_test_error"] is None
    assert "validation_error" not in judged.metrics


def test_the_spread_of_equal_values_counts_as_one():
    values = np.array([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_array_equal(spread(values), [1.0, 1.0])
    first, second = standardised(values, np.array([[2.0, 6.0]]))
    assert (first.tolist(), second.tolist()) == ([[-1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0]])


def test_ranges_are_open():
    targets = np.array([1.0, 2.0, 3.0])
    assert in_range(targets, {"below": 2}).tolist() == [True, False, False]
    assert in_range(targets, {"above": 2}).tolist() == [False, False, True]
    assert in_range(targets, RANDOM).tolist() == [False] * 3


def test_diabetes_is_split_once_and_for_all():
    data = Diabetes().load()
    assert (data.train_inputs.shape, data.test_inputs.shape) == ((354, 10), (88, 10))
    outline = Diabetes().outline()
    assert (outline.inputs, outline.outputs, outline.noun, outline.size) == (10, 1, "row", "10 numbers")
    assert data.train_targets.min() == 25
    np.testing.assert_array_equal(data.train_targets, Diabetes().load().train_targets)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of the columns a, b (integers), c (text) and y."""
    for name, rows in (("train", [0, 1, 2, 3]), ("test", [4, 5])):
        columns = {
            "a": [row + 0.5 for row in rows],
            "b": rows,
            "c": [f"row {row}" for row in rows],
            "y": [10.0 * row for row in rows],
        }
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return tmp_path


def test_a_table_predicts_one_column_from_all_others_that_are_numbers(folder):
    data = Table(str(folder), "y").load()
    assert data.train_inputs.tolist() == [[0.5, 0], [1.5, 1], [2.5, 2], [3.5, 3]]
    assert (data.train_targets.tolist(), data.test_targets.tolist()) == ([0, 10, 20, 30], [40, 50])
    assert Table(str(folder), "y", features=["b"]).load().test_inputs.tolist() == [[4], [5]]


def test_a_tables_content_decides_its_fingerprint(folder, tmp_path):
    before = Table(str(folder), "y").fingerprint()
    assert Table(str(folder), "y").fingerprint() == before
    assert Table(str(folder), "a").fingerprint() != before
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table.set_column(0, "a", pa.array([0.5, 1.5, 2.5, 3.6])), folder / "train.parquet")
    assert Table(str(folder), "y").fingerprint() != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "z"}, "has no numeric column 'z'"),
        ({"target": "c"}, "has no numeric column 'c'"),
        ({"target": "y", "features": ["y"]}, "features: 'y' is the target"),
        ({"target": "y", "features": ["c"]}, "features: 'c' is no numeric column"),
        ({"target": "y", "test_split": "train"}, "are both 'train'"),
        ({"target": "y", "train_split": "exam"}, "has no Parquet file for 'exam'"),
    ],
)
def test_what_a_table_does_not_have_is_named(folder, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Table(str(folder), **options).load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("a", [0.5, None, 2.5, 3.5], "column 'a' has 1 missing or infinite values"),
        ("y", [0.0, float("inf"), float("nan"), 1.0], "column 'y' has 2 missing or infinite values"),
        ("y", [4.0] * 4, "all targets are 4"),
    ],
)
def test_values_that_cannot_be_used_are_named(folder, column, values, message):
    table = pq.read_table(folder / "train.parquet")
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values, pa.float64())), folder / "train.parquet")
    with pytest.raises(InputError, match=message):
        Table(str(folder), "y").load()


def test_files_whose_columns_differ_are_named(folder):
    pq.write_table(pa.table({"y": [1.0], "b": [2]}), folder / "test.parquet")
    with pytest.raises(InputError, match=r"test\.parquet' has no column 'a'"):
        Table(str(folder), "y").load()
    pq.write_table(pa.table({"y": [1.0], "b": [2], "a": ["x"]}), folder / "test.parquet")
    with pytest.raises(InputError, match=r"test.parquet': column 'a' holds string, not numbers"):
        Table(str(folder), "y").load()


def checked(**changes: object) -> None:
    document = {
        "name": "numbers",
        "dataset": {"name": "diabetes"},
        "model": {"name": "mlp", "width": 4, "depth": 1},
        "methods": [{"name": "retrain"}],
    }
    check_task(parse_spec(document | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{"name": "fisher"}]}, "methods.0: fisher is for classification; diabetes is regression"),
        ({"forget": {"scenario": "class", "class": 1}}, "regression has random and range and rows, not class"),
        ({"dataset": {"name": "diabetes", "crop": 2}}, "dataset.crop and dataset.flip are for images"),
        ({"model": {"name": "small-cnn"}}, "model: small-cnn cannot be used on rows of 10 numbers"),
        ({"dataset": {"name": "diabetes", "label_noise": 0.1}}, "dataset.label_noise: unknown key"),
        ({"forget": {"scenario": "range"}}, "scenario: range needs 'below' or 'above', a number or a list of them"),
        ({"forget": {"scenario": "range", "below": 1, "above": 2}}, "scenario: range needs 'below' or 'above'"),
        ({"forget": {"scenario": "random", "below": 1}}, "'below' needs scenario: range"),
        ({"forget": {"scenario": "range", "below": 0}}, "targets below 0 leaves no sample to forget"),
        ({"forget": {"scenario": "range", "below": 345}}, "every test sample has targets below 345"),
    ],
)
def test_what_regression_does_not_have_is_refused_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        checked(**changes)
    assert "\n" not in str(caught.value)


def test_what_regression_has_is_accepted():
    checked(forget=[{"scenario": "range", "below": [80, 100]}, {"scenario": "random", "ratio": 0.1}])


def test_a_class_is_nothing_but_for_classification():
    with pytest.raises(InputError, match=r"forget.0.scenario: classification has random and class and rows, not range"):
        parse_spec({"name": "x", "forget": {"scenario": "range", "below": 1}, "methods": [{"name": "retrain"}]})


def test_images_with_a_number_each_are_regression_with_image_networks(write_images, tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    ages = [20.5 + row for row in range(40)]
    write_images(tmp_path / "train.parquet", images[:30], ages[:30])
    write_images(tmp_path / "test.parquet", images[30:], ages[30:])
    dataset = {"name": "rated-images", "path": str(tmp_path)}
    data = RatedImages(str(tmp_path)).load()
    np.testing.assert_array_equal(data.train_inputs, images[:30].transpose(0, 3, 1, 2))
    assert (data.train_targets.tolist(), data.test_targets.tolist()) == (ages[:30], ages[30:])
    checked(dataset=dataset, model={"name": "small-cnn", "width": 4}, forget={"scenario": "range", "below": 30})
    spec = parse_spec({"name": "x", "dataset": dataset, "methods": [{"name": "retrain"}]})
    assert (spec.dataset.crop, spec.dataset.flip) == (4, True)
    found = Regression().on_device(data, PLAIN | {"crop": 2, "flip": True}, CPU)
    assert (found.inputs, found.outputs, found.classes) == (3, 1, None)
    inputs, targets = next(found.train(np.arange(30)).epoch(30, torch.Generator().manual_seed(0)))
    assert (inputs.shape, targets.shape) == ((30, 3, 8, 8), (30, 1))


def test_images_with_two_numbers_each_are_asked_for_one(write_images, tmp_path):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[1] += 9
    for split in ("train", "test"):
        write_images(tmp_path / f"{split}.parquet", images, [0.5, 1.5], height=[3, 4])
    with pytest.raises(InputError, match=r"2 candidates for dataset.label_column: \['label', 'height'\]"):
        RatedImages(str(tmp_path)).load()
    assert RatedImages(str(tmp_path), label_column="height").load().train_targets.tolist() == [3, 4]
    with pytest.raises(InputError, match="column 'image' holds struct"):
        RatedImages(str(tmp_path), label_column="image").load()
