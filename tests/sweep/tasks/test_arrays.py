"""Arrays of data sets that are not as they must be are told in one line, before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.errors import InputError
from sweep.tasks.images import Images
from sweep.tasks.regression import Measured

PIXELS = np.zeros((4, 1, 8, 8), np.uint8)
LABELS = np.array([0, 1, 2, 0])
NUMBERS = np.zeros((4, 3))
TARGETS = np.zeros(4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": PIXELS / 255}, "train_images: uint8 [N, C, H, W] is needed, not float64 [4, 1, 8, 8]"),
        ({"test_images": PIXELS[:, 0]}, "test_images: uint8 [N, C, H, W] is needed, not uint8 [4, 8, 8]"),
        ({"train_images": PIXELS.tolist()}, "train_images: uint8 [N, C, H, W] is needed, not list"),
        (
            {"train_images": np.zeros((4, 8, 8, 3), np.uint8)},
            "train_images: channels come first, as in [N, C, H, W]; these are [4, 8, 8, 3]",
        ),
        ({"train_labels": LABELS.astype(np.int32)}, "train_labels: int64 [N] is needed, not int32 [4]"),
        ({"test_labels": LABELS + 1}, "test_labels: they are 1 to 3, not from 0 to below 3, as classes says"),
        ({"test_labels": LABELS - 1}, "test_labels: they are -1 to 1, not from 0 to below 3, as classes says"),
        ({"train_labels": LABELS[:3]}, "train: 4 inputs have 3 targets"),
        (
            {"test_images": PIXELS[:, :, :4]},
            "inputs differ in shape: train [1, 8, 8], test [1, 4, 8]",
        ),
    ],
)
def test_images_that_are_not_as_described_are_bad_input(changed, message):
    right = {"train_images": PIXELS, "train_labels": LABELS, "test_images": PIXELS, "test_labels": LABELS}
    Images(**right, classes=3)
    with pytest.raises(InputError) as raised:
        Images(**right | changed, classes=3)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_inputs": NUMBERS.astype(np.float32)}, "train_inputs: float64 [N, F] is needed, not float32 [4, 3]"),
        ({"test_targets": NUMBERS}, "test_targets: float64 [N] is needed, not float64 [4, 3]"),
        ({"train_targets": LABELS}, "train_targets: float64 [N] is needed, not int64 [4]"),
        ({"train_inputs": PIXELS / 2}, "train_inputs: uint8 [N, C, H, W] is needed, not float64 [4, 1, 8, 8]"),
        ({"train_inputs": PIXELS}, "inputs differ in shape: train [1, 8, 8], test [3]"),
        ({"test_inputs": NUMBERS + np.nan}, "test: an input or target is not finite"),
        ({"train_targets": TARGETS + np.inf}, "train: an input or target is not finite"),
        ({"train_targets": TARGETS[:2]}, "train: 4 inputs have 2 targets"),
    ],
)
def test_numbers_that_are_not_as_described_are_bad_input(changed, message):
    right = {"train_inputs": NUMBERS, "train_targets": TARGETS, "test_inputs": NUMBERS, "test_targets": TARGETS}
    Measured(**right)
    with pytest.raises(InputError) as raised:
        Measured(**right | changed)
    assert str(raised.value) == message
