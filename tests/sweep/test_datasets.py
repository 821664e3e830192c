"""Datasets as arrays: embedded, through torchvision, and Parquet files in the hubs' layout."""

from __future__ import annotations

import hashlib
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torchvision
from plugin_examples import Stripes

from sweep.datasets import Cifar10, Digits, ParquetImages
from sweep.errors import InputError


def noise(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Random pixels, uint8 [count, *shape]."""
    return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


def test_digits_are_grey_images_with_every_class_in_both_parts():
    images = Digits().load()
    assert images.train_images.shape == (1437, 1, 8, 8)
    assert images.test_images.shape == (360, 1, 8, 8)
    assert images.train_images.dtype == np.uint8
    assert (images.train_images.min(), images.train_images.max()) == (0, 255)
    assert images.classes == 10
    assert set(images.train_labels) == set(images.test_labels) == set(range(10))
    assert images.train_labels.dtype == np.int64


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images = Digits().load()
    ours = np.concatenate([images.train_images, images.test_images])[:, 0] * (16 / 255)
    labels = np.concatenate([images.train_labels, images.test_labels])
    theirs = load_digits()
    assert sorted((label, *image.round().ravel()) for label, image in zip(labels, ours, strict=True)) == sorted(
        (label, *image.ravel()) for label, image in zip(theirs.target, theirs.images, strict=True)
    )


def test_a_datasets_outline_says_what_it_loads():
    outline = Stripes(12, test_classes=3).outline()
    np.testing.assert_array_equal(outline.labels, Stripes(12).load().train_labels)
    np.testing.assert_array_equal(outline.test_labels, Stripes(12, test_classes=3).load().test_labels)
    assert (outline.classes, outline.shape) == (4, (1, 4, 4))


@pytest.fixture
def parquet(write_images, tmp_path):
    """A set of 5 training images in two files and 2 test images; its folder and training images."""
    images = noise(5, 6, 4, 3)
    folder = tmp_path / "hub"
    write_images(folder / "data/train-00001-of-00002-ffff.parquet", images[3:], [2, 1])
    write_images(folder / "data/train-00000-of-00002-eeee.parquet", images[:3], [0, 1, 2])
    write_images(folder / "data/test-00000-of-00001-dddd.parquet", noise(2, 6, 4, 3, seed=1), [1, 3])
    (folder / "README.md").write_text("train")
    return folder, images


def test_parquet_files_of_a_split_are_joined_in_the_order_of_their_names(parquet):
    folder, images = parquet
    loaded = ParquetImages(str(folder)).load()
    np.testing.assert_array_equal(loaded.train_images, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(loaded.test_images, noise(2, 6, 4, 3, seed=1).transpose(0, 3, 1, 2))
    assert loaded.train_labels.tolist() == [0, 1, 2, 2, 1]
    assert loaded.test_labels.tolist() == [1, 3]
    assert loaded.classes == 4


def test_the_order_of_parquet_files_is_not_the_order_in_which_they_were_written(write_images, tmp_path):
    for number in (3, 0, 4, 1, 2):
        write_images(tmp_path / f"train-0000{number}-of-00005.parquet", noise(1, 2, 2, 3), [number])
    write_images(tmp_path / "test.parquet", noise(1, 2, 2, 3), [0])
    assert ParquetImages(str(tmp_path)).load().train_labels.tolist() == [0, 1, 2, 3, 4]


def test_the_outline_of_parquet_files_says_what_they_load(parquet):
    outline = ParquetImages(str(parquet[0])).outline()
    assert (outline.labels.tolist(), outline.classes, outline.shape) == ([0, 1, 2, 2, 1], 4, (3, 6, 4))
    assert outline.test_labels.tolist() == ParquetImages(str(parquet[0])).load().test_labels.tolist() != []


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_rows_is_bad_input(write_images, tmp_path, split):
    for name in ("train", "test"):
        write_images(tmp_path / f"{name}.parquet", noise(1, 2, 2, 3)[: name != split], [0][: name != split])
    with pytest.raises(InputError, match=f"has no rows for '{split}'"):
        ParquetImages(str(tmp_path)).outline()


def test_a_damaged_image_is_bad_input(parquet):
    folder, _ = parquet
    images = pa.array([{"bytes": b"no image", "path": None}])
    pq.write_table(pa.table({"image": images, "label": [0]}), folder / "data/train-00000-of-00002-eeee.parquet")
    with pytest.raises(InputError, match="an image cannot be decoded"):
        ParquetImages(str(folder)).outline()


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
    with pytest.raises(InputError, match=r"images of 'train' differ in size; set dataset.image_size"):
        ParquetImages(str(tmp_path)).load()
    resized = ParquetImages(str(tmp_path), image_size=5).load()
    assert resized.train_images.shape == (2, 3, 5, 5)
    assert (resized.train_images[0] == 9).all()
    np.testing.assert_array_equal(resized.train_images[1], noise(1, 5, 5, 3)[0].transpose(2, 0, 1))


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
        ({"label_column": "image"}, "has no label_column 'image'; valid: label"),
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
    with pytest.raises(InputError, match="a file of 'train' is not Parquet"):
        ParquetImages(str(parquet[0])).load()


@pytest.mark.parametrize(
    ("label", "message"), [(-1, "labels must count from 0"), (None, "labels of 'test' are missing")]
)
def test_labels_that_are_none(parquet, write_images, label, message):
    write_images(parquet[0] / "test-more.parquet", noise(1, 6, 4, 3), [label])
    with pytest.raises(InputError, match=message):
        ParquetImages(str(parquet[0])).load()


def test_a_fingerprint_depends_on_content_and_not_on_where_it_lies(parquet, write_images, tmp_path):
    before = ParquetImages(str(parquet[0])).fingerprint()
    copied = shutil.copytree(parquet[0], tmp_path / "copy")
    assert ParquetImages(str(copied)).fingerprint() == before
    write_images(copied / "data/test-00000-of-00001-dddd.parquet", noise(2, 6, 4, 3, seed=1), [1, 2])
    assert ParquetImages(str(copied)).fingerprint() != before


def test_a_fingerprint_tells_training_files_from_test_files(parquet):
    data = parquet[0] / "data"
    before = ParquetImages(str(parquet[0])).fingerprint()
    (data / "train-00001-of-00002-ffff.parquet").rename(data / "test-00000-of-00001-aaaa.parquet")
    assert ParquetImages(str(parquet[0])).fingerprint() != before


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """torchvision's folder with 2 images per training batch and 2 test images, and its checksums; images [12, 3072]."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = noise(12, 3072)

    def write(name: str, content: dict) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    batches = [
        write(name, {"data": pixels[2 * n : 2 * n + 2], "labels": [2 * n % 10, (2 * n + 1) % 10]})
        for n, name in enumerate(names)
    ]
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", batches[:5])
    monkeypatch.setattr(kind, "test_list", batches[5:])
    monkeypatch.setattr(kind, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    return tmp_path, pixels


def test_cifar10_is_read_from_torchvisions_folder(cifar):
    root, pixels = cifar
    images = Cifar10(path=str(root)).load()
    np.testing.assert_array_equal(images.train_images, pixels[:10].reshape(10, 3, 32, 32))
    np.testing.assert_array_equal(images.test_images, pixels[10:].reshape(2, 3, 32, 32))
    assert images.train_labels.tolist() == list(range(10))
    assert images.test_labels.tolist() == [0, 1]
    assert images.classes == 10


def test_a_cifar10_that_is_damaged_is_missing(cifar):
    (cifar[0] / "cifar-10-batches-py/test_batch").write_bytes(b"")
    with pytest.raises(InputError, match=r"set dataset.path to torchvision's root, or dataset.download to true"):
        Cifar10(path=str(cifar[0])).load()


def test_a_cifar10_that_is_missing_is_found_when_planning(tmp_path):
    with pytest.raises(InputError, match="CIFAR10 is not in"):
        Cifar10(path=str(tmp_path)).fingerprint()
