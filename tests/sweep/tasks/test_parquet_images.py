"""Images in Parquet files in the hubs' layout."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweep.errors import InputError
from sweep.tasks.datasets import ParquetImages


def noise(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Random pixels, uint8 [count, *shape]."""
    return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


@pytest.fixture
def parquet(write_images, tmp_path):
    """A set of 5 training images in two files and 2 test images; its folder and training images."""
    images = noise(5, 6, 4, 3)
    folder = tmp_path / "hub"
    write_images(folder / "data/train-00001-of-00002-ffff.parquet", images[3:], [2, 1])
    write_images(folder / "data/train-00000-of-00002-eeee.parquet", images[:3], [0, 1, 2])
    write_images(folder / "data/test-00000-of-00001-dddd.parquet", noise(2, 6, 4, 3, seed=1), [1, 2])
    (folder / "README.md").write_text("train")
    return folder, images


def test_parquet_files_of_a_split_are_joined_in_the_order_of_their_names(parquet):
    folder, images = parquet
    loaded = ParquetImages(str(folder)).load()
    np.testing.assert_array_equal(loaded.train_images, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(loaded.test_images, noise(2, 6, 4, 3, seed=1).transpose(0, 3, 1, 2))
    assert loaded.train_labels.tolist() == [0, 1, 2, 2, 1]
    assert loaded.test_labels.tolist() == [1, 2]
    assert (loaded.classes, loaded.called) == (3, None)


def test_the_order_of_parquet_files_is_not_the_order_in_which_they_were_written(write_images, tmp_path):
    for number in (3, 0, 4, 1, 2):
        write_images(tmp_path / f"train-0000{number}-of-00005.parquet", noise(1, 2, 2, 3, seed=number), [number])
    write_images(tmp_path / "test.parquet", noise(1, 2, 2, 3), [0])
    assert ParquetImages(str(tmp_path)).load().train_labels.tolist() == [0, 1, 2, 3, 4]


def test_the_outline_of_parquet_files_says_what_they_load(parquet):
    outline = ParquetImages(str(parquet[0])).outline()
    assert (outline.labels.tolist(), outline.outputs, outline.shape) == ([0, 1, 2, 2, 1], 3, (3, 6, 4))
    assert outline.test_labels.tolist() == [1, 2]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_rows_is_bad_input(write_images, tmp_path, split):
    for name in ("train", "test"):
        write_images(tmp_path / f"{name}.parquet", noise(1, 2, 2, 3)[: name != split], [0][: name != split])
    with pytest.raises(InputError, match=f"has no rows for '{split}'"):
        ParquetImages(str(tmp_path)).outline()


def cut_png() -> bytes:
    """A PNG file that lacks its end."""
    stream = io.BytesIO()
    Image.fromarray(noise(9, 9)).save(stream, format="PNG")
    return stream.getvalue()[:-30]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (None, "it has no bytes; a path alone is not followed"),
        (b"no image", "it is no image that Pillow can read"),
        (b"", "it is no image that Pillow can read"),
        (cut_png(), "it cannot be decoded: image file is truncated"),
    ],
    ids=["path only", "no image", "empty", "truncated"],
)
def test_what_is_no_image_is_named_by_file_row_and_cause(parquet, write_images, broken, why):
    folder, images = parquet
    name = "data/train-00001-of-00002-ffff.parquet"
    write_images(folder / name, [images[3], broken], [2, 1])
    with pytest.raises(InputError) as caught:
        ParquetImages(str(folder)).outline()
    assert str(caught.value) == f"'{folder}/{name}', image of row 1 (from 0): {why}"


def test_a_row_without_even_a_path_has_no_image(parquet):
    folder, _ = parquet
    images = pa.array([None], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": images, "label": [0]}), folder / "data/train-00000-of-00002-eeee.parquet")
    with pytest.raises(InputError, match=r"image of row 0 \(from 0\): it has no bytes"):
        ParquetImages(str(folder)).load()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_set_whose_images_are_all_the_same_is_bad_input(write_images, tmp_path, split):
    for name in ("train", "test"):
        images = noise(2, 3, 3, seed=len(name))
        write_images(tmp_path / f"{name}.parquet", images[[0, 0]] if name == split else images, [0, 1])
    with pytest.raises(InputError, match=f"all 2 images of '{split}' are the same, to the last pixel"):
        ParquetImages(str(tmp_path)).load()


TWICE = {
    "two folders": ["data/train-0.parquet", "default/train/0000.parquet"],
    "a copy": ["train-0.parquet", "train-0 (1).parquet"],
}


@pytest.mark.parametrize("names", TWICE.values(), ids=TWICE)
def test_files_that_are_there_twice_are_bad_input(write_images, tmp_path, names):
    write_images(tmp_path / "test.parquet", noise(2, 3, 3, seed=1), [0, 1])
    for name in names:  # of one config the labels may be others
        write_images(tmp_path / name, noise(4, 3, 3), [0, 1, 2, int(name == names[0])])
    with pytest.raises(InputError) as caught:
        ParquetImages(str(tmp_path)).load()
    assert "is in other files of 'train' too, such as" in str(caught.value)
    assert all(name in str(caught.value) for name in names)


def test_one_set_in_two_folders_is_found_though_its_files_are_cut_differently(write_images, tmp_path):
    images = noise(6, 3, 3)
    write_images(tmp_path / "test.parquet", noise(2, 3, 3, seed=1), [0, 1])
    write_images(tmp_path / "one/train.parquet", images, [0, 1] * 3)
    for number in range(2):
        write_images(tmp_path / f"two/train-{number}.parquet", images[3 * number : 3 * number + 3], [0, 1, 0])
    with pytest.raises(InputError, match=r"every image of '.*one/train.parquet' is in other files of 'train' too"):
        ParquetImages(str(tmp_path)).load()


def test_some_samples_that_are_there_twice_are_named_and_do_no_harm(write_images, tmp_path):
    images = noise(8, 3, 3)
    write_images(tmp_path / "train-0.parquet", images[:4], [0, 1, 0, 1])
    write_images(tmp_path / "train-1.parquet", images[[0, 4, 5]], [0, 1, 1])
    write_images(tmp_path / "test.parquet", images[[1, 2, 6]], [1, 1, 0])  # of the second the label is another
    outline = ParquetImages(str(tmp_path)).outline()
    assert outline.samples.tolist() == [0, 1, 2, 3, 0, 4, 5]
    assert outline.remarks == ("the training set has copies (same image and label) of 1 of 3 test samples",)


def test_parquet_from_a_uri(parquet):
    by_uri, by_path = ParquetImages(parquet[0].as_uri()), ParquetImages(str(parquet[0]))
    np.testing.assert_array_equal(by_uri.load().train_images, by_path.load().train_images)
    assert by_uri.fingerprint() == by_path.fingerprint()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.parquet", "test.parquet"),
        ("train/0.parquet", "test/0.parquet"),
        ("test-set/train-0.parquet", "test-set/test-0.parquet"),
        ("train/images/test-of-nothing/train-0.parquet", "train/test.parquet"),
    ],
)
def test_the_nearest_name_says_what_split_a_file_is_of(write_images, tmp_path, train, test):
    write_images(tmp_path / train, noise(3, 2, 2, 3), [0, 1, 2])
    write_images(tmp_path / test, noise(1, 2, 2, 3), [0])
    loaded = ParquetImages(str(tmp_path)).load()
    assert (len(loaded.train_labels), len(loaded.test_labels)) == (3, 1)


def test_grayscale_makes_one_channel(write_images, tmp_path):
    grey = noise(2, 3, 3)
    for split in ("train", "test"):
        write_images(tmp_path / f"{split}.parquet", grey, [0, 1])
    np.testing.assert_array_equal(ParquetImages(str(tmp_path), grayscale=True).load().train_images[:, 0], grey)
    assert ParquetImages(str(tmp_path)).load().train_images.shape == (2, 3, 3, 3)


def test_images_of_different_sizes_need_an_image_size(write_images, tmp_path):
    for split in ("train", "test"):
        write_images(tmp_path / f"{split}.parquet", [np.full((8, 6, 3), 9, np.uint8), noise(1, 5, 5, 3)[0]], [0, 1])
    with pytest.raises(InputError, match=r"images differ in size; set dataset.image_size"):
        ParquetImages(str(tmp_path)).load()
    resized = ParquetImages(str(tmp_path), image_size=5).load()
    assert resized.train_images.shape == (2, 3, 5, 5)
    assert (resized.train_images[0] == 9).all()
    np.testing.assert_array_equal(resized.train_images[1], noise(1, 5, 5, 3)[0].transpose(2, 0, 1))


def test_images_of_two_splits_that_differ_in_size_need_an_image_size(write_images, tmp_path):
    for split, size in (("train", 4), ("test", 5)):
        write_images(tmp_path / f"{split}.parquet", noise(2, size, size), [0, 1])
    with pytest.raises(InputError, match=r"images differ in size; set dataset.image_size"):
        ParquetImages(str(tmp_path)).load()


@pytest.fixture
def three_splits(write_images, tmp_path):
    """Splits of 2, 3 and 4 images, of which none is called test."""
    names = ("train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet", "train_small/0000.parquet")
    for count, name in enumerate(names, start=2):
        write_images(tmp_path / name, noise(count, 3, 3, seed=count), np.arange(count) % 2)
    return str(tmp_path)


def test_where_there_is_no_test_split_the_others_are_named(three_splits):
    with pytest.raises(InputError) as caught:
        ParquetImages(three_splits).fingerprint()
    there = (
        "has no Parquet file for 'test': it has train, train_small, validation; set dataset.test_split to one of them"
    )
    assert there in str(caught.value)


def test_another_split_takes_the_place_of_test_and_training_data(three_splits):
    loaded = ParquetImages(three_splits, test_split="validation", train_split="train_small").load()
    assert (len(loaded.train_images), len(loaded.test_images)) == (4, 3)
    loaded = ParquetImages(three_splits, test_split="train_small").load()
    assert (len(loaded.train_images), len(loaded.test_images)) == (2, 4)


def test_one_split_cannot_be_both(three_splits):
    with pytest.raises(InputError, match="train_split and test_split are both 'train'"):
        ParquetImages(three_splits, test_split="train").load()


def test_images_are_decoded_once_on_a_node(parquet, monkeypatch):
    folder, _ = parquet
    first = ParquetImages(str(folder)).load()
    monkeypatch.setattr("sweep.tasks.parquet_images.decode", None)
    again = ParquetImages(str(shutil.copytree(folder, folder / "../copy"))).load()
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    with pytest.raises(TypeError):
        ParquetImages(str(folder), grayscale=True).load()


def test_one_of_several_integer_columns_is_named(write_images, tmp_path):
    for split in ("train", "test"):
        write_images(tmp_path / f"{split}.parquet", noise(2, 2, 2, 3), [0, 1], coarse_label=[1, 0])
    with pytest.raises(InputError, match=r"2 candidates for dataset.label_column: \['label', 'coarse_label'\]; set it"):
        ParquetImages(str(tmp_path)).load()
    loaded = ParquetImages(str(tmp_path), label_column="coarse_label").load()
    assert loaded.train_labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "lable"}, "has no label_column 'lable'; did you mean 'label'?"),
        ({"image_column": "img"}, "has no image_column 'img'; did you mean 'image'?"),
        ({"image_column": "label"}, "has no image_column 'label'; valid: image"),
        ({"label_column": "image"}, "column 'image' holds a struct; labels are integers or text"),
    ],
)
def test_a_wrong_column(parquet, options, message):
    with pytest.raises(InputError) as caught:
        ParquetImages(str(parquet[0]), **options).load()
    assert message in str(caught.value)


def test_a_table_without_images(tmp_path):
    for split in ("train", "test"):
        pq.write_table(pa.table({"label": [0, 1]}), tmp_path / f"{split}.parquet")
    with pytest.raises(InputError, match=r"0 candidates for dataset\.image_column"):
        ParquetImages(str(tmp_path)).load()


@pytest.mark.parametrize("read", [ParquetImages.load, ParquetImages.fingerprint])
def test_a_missing_split(parquet, read):
    (parquet[0] / "data/test-00000-of-00001-dddd.parquet").unlink()
    with pytest.raises(InputError, match="has no Parquet file for 'test'"):
        read(ParquetImages(str(parquet[0])))


@pytest.mark.parametrize("read", [ParquetImages.load, ParquetImages.fingerprint])
def test_a_missing_directory(tmp_path, read):
    with pytest.raises(InputError, match="no directory"):
        read(ParquetImages(str(tmp_path / "nowhere")))


def test_a_uri_of_no_known_file_system():
    with pytest.raises(InputError, match="'nosuch://place' cannot be opened"):
        ParquetImages("nosuch://place").load()


def test_a_file_that_is_not_parquet(parquet):
    (parquet[0] / "data/train-00000-of-00002-eeee.parquet").write_bytes(b"PAR1 or so")
    with pytest.raises(InputError, match=r"train-00000-of-00002-eeee.parquet' is not Parquet"):
        ParquetImages(str(parquet[0])).load()


@pytest.mark.parametrize(
    ("label", "message"), [(-1, "labels must count from 0"), (None, "labels of 'test' are missing")]
)
def test_labels_that_are_none(parquet, write_images, label, message):
    write_images(parquet[0] / "test-more.parquet", noise(1, 6, 4, 3), pa.array([label], pa.int64()))
    with pytest.raises(InputError, match=message):
        ParquetImages(str(parquet[0])).load()


def test_a_fingerprint_depends_on_content_and_not_on_where_it_lies(parquet, write_images, tmp_path):
    before = ParquetImages(str(parquet[0])).fingerprint()
    copied = shutil.copytree(parquet[0], tmp_path / "copy")
    assert ParquetImages(str(copied)).fingerprint() == before
    write_images(copied / "data/test-00000-of-00001-dddd.parquet", noise(2, 6, 4, 3, seed=1), [1, 0])
    assert ParquetImages(str(copied)).fingerprint() != before


def test_a_fingerprint_tells_training_files_from_test_files(parquet):
    data = parquet[0] / "data"
    before = ParquetImages(str(parquet[0])).fingerprint()
    (data / "train-00001-of-00002-ffff.parquet").rename(data / "test-00000-of-00001-aaaa.parquet")
    assert ParquetImages(str(parquet[0])).fingerprint() != before
