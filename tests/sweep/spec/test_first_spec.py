"""The first spec that `new` writes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from methods import METHODS
from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.spec.first_spec import STARTS, default_methods, first_spec, suited_model
from sweep.spec.sweep_spec import Spec, load_spec


def written(folder: Path, data="digits", model=None, methods=None, seeds=2, forget="0.1") -> Spec:
    path = folder / "first.yaml"
    path.write_text(first_spec(path, str(data), model, methods or default_methods(str(data)), seeds, forget))
    return load_spec(path)


def photos(folder: Path, sizes=((8, 8),), test="test", mode="RGB") -> Path:
    """A few images of cats and dogs."""
    rng = np.random.default_rng(0)
    for number in range(24):
        split, label = "train" if number < 16 else test, ("cat", "dog")[number % 2]
        image = Image.fromarray(rng.integers(256, size=(*sizes[number % len(sizes)], 3), dtype=np.uint8)).convert(mode)
        (folder / split / label).mkdir(parents=True, exist_ok=True)
        image.save(folder / split / label / f"{number}.png")
    return folder


@pytest.mark.parametrize("data", STARTS)
def test_every_built_in_choice_is_a_spec(tmp_path, data):
    spec = written(tmp_path, data, seeds=3)
    assert (spec.dataset.name, spec.model.name, spec.seeds) == (data, suited_model(data), [0, 1, 2])
    assert [entry.name for entry in spec.methods] == ["original", "retrain", *default_methods(data)]
    if "cifar" not in data:  # which is downloaded where it is missing
        check_task(spec)
        assert len(plan_trials(spec)) == 3 * (2 + len(default_methods(data)))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_stands_there_with_its_hyperparameters_at_their_defaults(tmp_path, name):
    [kind, *_] = METHODS[name].kinds or ["classification"]
    data = {"classification": "digits", "regression": "diabetes", "language": "invented-people"}[kind]
    plain = written(tmp_path, data, methods=[name])
    path = tmp_path / "first.yaml"
    path.write_text(path.read_text().replace("    # ", "    "))
    assert load_spec(path).methods == plain.methods


@pytest.mark.parametrize(
    ("made", "options"),
    [
        ({}, {"image_size": None, "grayscale": False, "test_split": "test"}),
        ({"test": "val", "mode": "L"}, {"image_size": None, "grayscale": True, "test_split": "val"}),
        ({"sizes": ((8, 8), (9, 7))}, {"image_size": 64}),
        ({"sizes": ((70, 70),)}, {"image_size": 64}),
    ],
    ids=["as it is", "grey, val", "of two sizes", "large"],
)
def test_a_folder_of_images_is_read_as_its_images_need(tmp_path, made, options):
    spec = written(tmp_path, photos(tmp_path / "photos", **made), methods=["finetune"], forget="class:cat")
    assert {key: spec.dataset.model_extra[key] for key in options} == options
    assert spec.forget[0].classes == ["cat"]
    check_task(spec)


def test_an_image_of_too_many_pixels_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8)
    with pytest.raises(InputError, match="it is no image that Pillow can read"):
        written(tmp_path, photos(tmp_path / "photos"))


def test_a_folder_whose_name_is_no_text_is_one_line(tmp_path):
    with pytest.raises(InputError, match="the name is not UTF-8"):
        written(tmp_path, photos(tmp_path / os.fsdecode(b"by\xff")))


def test_a_folder_called_by_a_number_is_a_name(tmp_path):
    root = photos(tmp_path / "photos")
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / "03")
    check_task(written(tmp_path, root, methods=["finetune"], forget="class:03"))


@pytest.mark.parametrize("test", ["test", "validation"])
def test_a_folder_of_parquet_files_is_read_by_its_splits(tmp_path, write_images, test):
    pixels = np.random.default_rng(0).integers(256, size=(20, 8, 8, 3), dtype=np.uint8)
    for split, part in (("train", pixels[:12]), (test, pixels[12:])):
        write_images(tmp_path / f"{split}.parquet", part, [number % 2 for number in range(len(part))])
    spec = written(tmp_path, tmp_path, methods=["finetune"])
    assert (spec.dataset.name, spec.dataset.model_extra["test_split"]) == ("parquet", test)
    check_task(spec)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"data": "no/such"}, "--data: 'no/such' is no folder and no data set; valid: cifar10"),
        ({"data": "."}, "has no folders train and test with a folder of images for each class"),
        ({"methods": ["fintune"]}, "--methods: unknown method 'fintune'; did you mean 'finetune'?"),
        ({"methods": ["npo"]}, "--methods: npo is for language, and these data are classification"),
        ({"model": "resnt8"}, "model.name: unknown model 'resnt8'; did you mean 'resnet8'?"),
        ({"forget": "some"}, "--forget: 'some' is neither a share, as 0.1, nor class:LABEL"),
        ({"forget": "1.5"}, "forget.ratio: should be less than 1"),
    ],
)
def test_a_choice_that_is_none_is_one_line(tmp_path, monkeypatch, choice, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        written(tmp_path, **choice)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
