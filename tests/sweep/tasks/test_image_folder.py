"""Image files in folders."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torchvision
from PIL import Image

from sweep.errors import InputError
from sweep.tasks.datasets import ImageFolder


@pytest.fixture
def folder(tmp_path):
    """Six training and four test images of two classes; one deeper, one in capital letters, and what is no image."""
    rng = np.random.default_rng(0)
    names = ["train/cat/a.png", "train/cat/old/b.PNG", "train/dog/c.png", "train/dog/d.png", "train/dog/e.png"]
    names += ["train/cat/f.png", "test/cat/a.png", "test/dog/b.png", "test/dog/c.png", "test/cat/d.png"]
    for name in names:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(256, size=(4, 6, 3), dtype=np.uint8)).save(path)
    for name in ("train/cat/notes.txt", "train/readme.png", "train/.hidden/x.png", "train/cat/._a.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no image")
    return tmp_path / "set"


def test_it_loads_what_torchvisions_image_folder_does(folder):
    loaded = ImageFolder(str(folder)).load()
    for hidden in (folder / "train/.hidden", folder / "train/cat/._a.png"):
        shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink()
    for split, images, labels in (
        ("train", loaded.train_images, loaded.train_labels),
        ("test", loaded.test_images, loaded.test_labels),
    ):
        reference = torchvision.datasets.ImageFolder(str(folder / split))
        assert labels.tolist() == reference.targets
        pixels = [np.asarray(image).transpose(2, 0, 1) for image, _ in reference]
        np.testing.assert_array_equal(images, pixels)
        assert loaded.called.values == tuple(reference.classes)


def test_at_a_uri_and_in_another_place_it_is_the_same_set(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    here = ImageFolder(str(folder))
    assert ImageFolder((tmp_path / "copy").as_uri()).fingerprint() == here.fingerprint()
    np.testing.assert_array_equal(ImageFolder(folder.as_uri()).load().train_images, here.load().train_images)


@pytest.mark.parametrize("change", ["moved", "written", "added"])
def test_another_content_is_another_set(folder, change):
    before = ImageFolder(str(folder)).fingerprint()
    if change == "moved":
        (folder / "train/cat/old/b.PNG").rename(folder / "train/dog/a.PNG")  # all images stay in the same order
    elif change == "written":
        (folder / "test/dog/b.png").write_bytes((folder / "train/dog/c.png").read_bytes())
    else:
        shutil.copy(folder / "train/dog/c.png", folder / "train/dog/g.png")
    assert ImageFolder(str(folder)).fingerprint() != before


def test_options_change_the_pixels(folder):
    loaded = ImageFolder(str(folder), image_size=3, grayscale=True).load()
    assert loaded.train_images.shape == (6, 1, 3, 3)


def test_splits_may_have_other_names(folder):
    (folder / "test").rename(folder / "val")
    assert len(ImageFolder(str(folder), test_split="val").load().test_images) == 4


def write(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: shutil.rmtree(root / "test"), "no directory '.*/test'; it has a folder for each class"),
        (lambda root: [shutil.rmtree(root / "test" / name) for name in ("cat", "dog")], "has no images in folders"),
        (lambda root: shutil.rmtree(root / "train/cat"), "has no class 'cat', which the test images have"),
        (
            lambda root: [shutil.rmtree(root / split / "cat") for split in ("train", "test")],
            "has one class, 'dog'; a folder is a class",
        ),
        (
            lambda root: (root / "train/dog/c.png").write_text("x"),
            "train/dog/c.png': it is no image that Pillow can read",
        ),
        (
            lambda root: Image.new("RGB", (9, 9)).save(root / "train/dog/c.png"),
            "images differ in size; set dataset.image_size",
        ),
    ],
    ids=["no split", "empty split", "unseen class", "one class", "damaged", "sizes"],
)
def test_what_cannot_be_read_is_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        ImageFolder(str(folder)).load()
    assert "\n" not in str(caught.value)
