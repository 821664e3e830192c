"""Distances of predicted numbers to Retrain's, against independent computations."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from analysis.distances import _numbers, between
from sweep.store.columns import PREDICTIONS
from sweep.store.parquet import parquet_bytes
from sweep.store.results import Results


def test_the_wasserstein_distance_is_the_area_between_the_distributions():
    random = np.random.default_rng(0)
    one, other = random.normal(size=40), random.normal(1, 2, size=40)
    wasserstein, rms = between(one, other)
    assert wasserstein == pytest.approx(np.abs(np.sort(one) - np.sort(other)).mean())  # of equally many numbers
    assert rms == pytest.approx(np.linalg.norm(one - other) / np.sqrt(40))


def test_samples_are_compared_with_themselves_in_whatever_order_they_are_stored(tmp_path):
    results = Results(str(tmp_path))
    for name, order in (("a", [0, 1, 2]), ("b", [2, 0, 1])):
        columns = {"trial_id": name, "split": "forget", "label": None, "target": 0.0, "logits": None}
        rows = [columns | {"sample_id": sample, "outputs": [float(sample)]} for sample in order]
        results.write(f"predictions/{name}.parquet", parquet_bytes(pa.Table.from_pylist(rows, schema=PREDICTIONS)))
    assert between(_numbers(results, "a"), _numbers(results, "b")) == (0.0, 0.0)


def test_the_same_numbers_for_other_samples_are_near_as_a_whole_and_far_one_by_one():
    assert between(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == (0.0, 1.0)
