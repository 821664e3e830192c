"""Datasets as arrays: embedded, and through torchvision."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torchvision
from plugin_examples import Stripes

from sweep.errors import InputError
from sweep.tasks.datasets import Cifar10, Digits


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
    assert (outline.outputs, outline.shape) == (4, (1, 4, 4))


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
