"""Labels of Parquet files: which column they are in, and what classes they are."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.errors import InputError
from sweep.tasks.class_labels import Labels, read_labels
from sweep.tasks.images import Called, class_number
from sweep.tasks.shards import find_shards

TEXT = ["cat", "dog", "ant", "cat"]


@pytest.fixture
def labels(tmp_path):
    """Read what columns of a training and a test file say."""

    def labels(train: dict, test: dict, chosen: str | None = None, metadata: dict | None = None) -> Labels:
        for split, columns in (("train", train), ("test", test)):
            table = pa.table({"image": [b"x"] * len(next(iter(columns.values()))), **columns})
            pq.write_table(table.replace_schema_metadata(metadata), tmp_path / f"{split}.parquet")
        shards = [
            find_shards(str(tmp_path), split, "test" if split == "train" else "train", "option")
            for split in ("train", "test")
        ]
        return read_labels("set", *shards, chosen)

    return labels


def test_labels_that_count_from_0_stay_what_they_are(labels):
    for kind in (pa.int64(), pa.uint8(), pa.int32()):
        found = labels({"y": pa.array([2, 0, 1, 0], kind)}, {"y": pa.array([1, 1], kind)})
        assert (found.train.tolist(), found.test.tolist()) == ([2, 0, 1, 0], [1, 1])
        assert found.train.dtype == found.test.dtype == np.int64
        assert found.called == Called((0, 1, 2))


def test_labels_with_holes_are_numbered_anew(labels):
    found = labels({"y": [8, 0, 3, 5, 1, 8]}, {"y": [5, 8]})
    assert (found.train.tolist(), found.test.tolist()) == ([4, 0, 2, 3, 1, 4], [3, 4])
    assert found.called.values == (0, 1, 3, 5, 8)
    assert found.called.renumbered


@pytest.mark.parametrize(
    "column",
    [pa.array(TEXT), pa.array(TEXT, pa.large_string()), pa.array(TEXT).dictionary_encode()],
    ids=["text", "large", "dictionary"],
)
def test_text_is_numbered_in_sorted_order(labels, column):
    found = labels({"y": column}, {"y": column[:2]})
    assert (found.train.tolist(), found.test.tolist()) == ([1, 2, 0, 1], [1, 2])
    assert found.called.values == ("ant", "cat", "dog")


def test_dictionaries_that_differ_between_files_mean_the_same_text(labels, tmp_path):
    pq.write_table(pa.table({"y": pa.array(["dog", "cow"]).dictionary_encode()}), tmp_path / "train-more.parquet")
    found = labels({"y": pa.array(["cat", "dog"]).dictionary_encode()}, {"y": pa.array(["cow"]).dictionary_encode()})
    assert (found.train.tolist(), found.test.tolist()) == ([2, 1, 0, 2], [1])


def test_true_and_false_are_two_classes(labels):
    found = labels({"y": [True, False, True]}, {"y": [True]})
    assert (found.train.tolist(), found.test.tolist()) == ([1, 0, 1], [1])


def test_an_id_beside_a_label_is_not_taken_for_it(labels):
    columns = {"label": ["a", "b"] * 30, "image_id": list(range(60))}
    test = {"label": ["a", "b"], "image_id": [60, 61]}
    with pytest.raises(InputError, match=r"'set' has 2 candidates for dataset.label_column: \['label', 'image_id'\]"):
        labels(columns, test)
    assert labels(columns, test, "label").called.values == ("a", "b")
    with pytest.raises(
        InputError, match=r"column 'image_id': 'train' never has 60, 61, which 'test' has; name another"
    ):
        labels(columns, test, "image_id")


def test_a_number_of_its_own_for_each_row_is_no_label_unless_it_is_named(labels):
    train, test = {"number": list(range(60))}, {"number": [3, 4]}
    with pytest.raises(
        InputError, match="column 'number': 60 values in 60 rows are too many for classes; name another"
    ):
        labels(train, test)
    assert len(labels(train, test, "number").called.values) == 60


def test_text_that_names_each_row_is_no_rival_of_labels(labels):
    files = [f"{number}.png" for number in range(60)]
    for label in ([0, 1] * 30, ["a", "b"] * 30):
        train = {"file": files, "split": ["x"] * 60, "target": label}
        test = {"file": ["60.png"], "split": ["x"], "target": label[:1]}
        assert labels(train, test).train.tolist() == [0, 1] * 30


def test_integers_that_are_called_labels_are_preferred_to_text(labels):
    columns = {"label": [0, 1, 0], "breed": ["x", "y", "y"]}
    assert labels(columns, columns).train.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["label", "y"])
@pytest.mark.parametrize("note", [["a", "b"], [None, None]], ids=["text", "nothing"])
def test_text_that_is_not_in_every_file_is_no_rival_and_no_fault(labels, name, note):
    """A column of Nones only is of type null."""
    train = {name: [0, 1], "note": ["a", "b"]}
    assert labels(train, {name: [1]}).train.tolist() == [0, 1]
    assert labels(train | {"note": note}, {name: [1], "note": [None]}).train.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ({"y": [0, 1]}, {"y": [1, 2]}, "column 'y': 'train' never has 2, which 'test' has"),
        ({"y": TEXT}, {"y": ["Cat"]}, "0 candidates for dataset.label_column .*; its columns: 'image' .binary., 'y' "),
        ({"y": [3, 3]}, {"y": [3]}, "column 'y': all labels are 3"),
        ({"y": [0.0, 1.0]}, {"y": [0.0]}, r"0 candidates .*'y' \(double\)"),
        ({"y": [0, 1], "z": [0, 1]}, {"y": [0], "z": [0]}, r"2 candidates .*\['y', 'z'\]"),
        ({"y": [0, 1]}, {"z": [0]}, r"test.parquet' has no label_column 'y'; valid: z"),
        ({"y": [0, 1]}, {"y": ["a"]}, "column 'y' holds int64 for 'train' and large_string for 'test'"),
        ({"y": [0, None]}, {"y": [0]}, "labels of 'train' are missing in places"),
        ({"y": pa.array([2**63 + 1], pa.uint64())}, {"y": [0]}, r"train.parquet': column 'y': "),
    ],
)
def test_what_is_no_label(labels, train, test, message):
    with pytest.raises(InputError, match=message) as caught:
        labels(train, test)
    assert len(str(caught.value).splitlines()) == 1


def test_text_that_is_named_and_differs_between_the_splits(labels):
    with pytest.raises(InputError, match="column 'y': 'train' never has 'Cat', which 'test' has"):
        labels({"y": TEXT}, {"y": ["Cat"]}, "y")


def test_names_come_from_the_hubs_metadata(labels):
    features = {"y": {"names": ["ant", "bee", "cat", "dog"], "_type": "ClassLabel"}}
    hub = {"huggingface": json.dumps({"info": {"features": features}})}
    assert labels({"y": [0, 1, 2, 3]}, {"y": [1]}, metadata=hub).called == Called(
        (0, 1, 2, 3), ("ant", "bee", "cat", "dog")
    )
    assert labels({"y": [0, 3, 3]}, {"y": [3]}, metadata=hub).called == Called((0, 3), ("ant", "dog"))
    assert labels({"y": [0, 9]}, {"y": [9]}, metadata=hub).called.names == ()
    assert labels({"y": [0, 1]}, {"y": [1]}, metadata={"huggingface": "{"}).called.names == ()


@pytest.mark.parametrize(
    ("label", "called", "number"),
    [
        (3, None, 3),
        (5, Called((0, 1, 3, 5, 8)), 3),
        ("dog", Called(("ant", "cat", "dog")), 2),
        (3, Called((0, 3), ("ant", "dog")), 1),
    ],
)
def test_a_class_goes_by_its_label_in_the_data(label, called, number):
    assert class_number(label, called) == number


@pytest.mark.parametrize(
    ("label", "called", "message"),
    [
        ("cat", None, "class 'cat' is none of the labels, which are integers; classes are numbers here"),
        (2, Called((0, 1, 3)), "class 2 is none of 0, 1, 3"),
        ("dgo", Called(("ant", "dog")), "class 'dgo' is none of the labels, which are text; did you mean 'dog'?"),
        (3, Called(("2", "3")), "class 3 is none of the labels, which are text; did you mean '3'?"),
        ("dog", Called((0, 3), ("ant", "dog")), "class 'dog' has the label 3 in the data; write that label"),
    ],
)
def test_a_class_that_is_not_there(label, called, message):
    with pytest.raises(InputError) as caught:
        class_number(label, called)
    assert str(caught.value) == f"forget: {message}"
