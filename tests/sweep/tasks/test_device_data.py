"""A dataset on the device: limited, with label noise, normalised, cropped and flipped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sweep.tasks.classification import Classification
from sweep.tasks.datasets import Digits, Images
from sweep.tasks.image_tensors import augmentation, crop_and_flip, mean_and_spread
from sweep.tasks.splits import limited, noisy

CPU = torch.device("cpu")
PLAIN = {"limit": None, "label_noise": 0.0, "validation": 0.0, "crop": 0, "flip": False}


@pytest.fixture(scope="module")
def digits() -> Images:
    return Digits().load()


def colourful(count: int = 50) -> Images:
    """Images whose three channels differ in mean and spread; the last is constant."""
    random = np.random.default_rng(0)
    channels = [
        random.integers(0, 256, (count, 5, 7)),
        random.integers(100, 120, (count, 5, 7)),
        np.full((count, 5, 7), 9),
    ]
    images, labels = np.stack(channels, axis=1).astype(np.uint8), np.arange(count) % 3
    return Images(images, labels, images[:6], labels[:6], classes=3)


def in_one_loop(image: np.ndarray, top: int, left: int, flip: bool, padding: int) -> np.ndarray:
    """What a crop and a flip of one image [C, H, W] are, pixel by pixel."""
    channels, height, width = image.shape
    result = np.zeros_like(image)
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                source_row, source_column = row + top - padding, column + left - padding
                if 0 <= source_row < height and 0 <= source_column < width:
                    pixel = image[channel, source_row, source_column]
                    result[channel, row, width - 1 - column if flip else column] = pixel
    return result


@pytest.mark.parametrize("count", [1, 50, 5000])
def test_means_and_spreads_have_the_bits_that_numpy_gives(count):
    random = np.random.default_rng(count)
    flat = np.full((count, 1, 3, 2), 9, np.uint8)
    shape, scale = (count, 3, 3, 2), random.integers(2, 256, (1, 3, 1, 1))
    images = np.concatenate([random.integers(0, scale, shape).astype(np.uint8), flat], axis=1)
    found = [torch.tensor(each) for each in mean_and_spread(images)]
    expected = [images.mean(axis=(0, 2, 3), dtype=np.float64), images.std(axis=(0, 2, 3), dtype=np.float64)]
    for ours, numpys in zip(found, expected, strict=True):
        assert ours.numpy().tobytes() == numpys.astype(np.float32).tobytes()


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_cropping_and_flipping_is_what_a_loop_over_pixels_does(padding):
    images = colourful(30).train_images
    draws = augmentation(padding, flip=True)(30, torch.Generator().manual_seed(0))
    expected = [
        in_one_loop(image, top, left, flip, padding)
        for image, (top, left, flip) in zip(images, draws.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(crop_and_flip(torch.from_numpy(images), draws, padding), np.stack(expected))


def test_the_middle_crop_without_a_flip_is_the_image():
    images = torch.from_numpy(colourful().train_images)
    assert torch.equal(crop_and_flip(images, torch.tensor([[2, 2, 0]] * len(images)), 2), images)


def test_draws_cover_their_range_and_nothing_else():
    draws = augmentation(crop=2, flip=True)(2000, torch.Generator().manual_seed(0))
    assert draws.shape == (2000, 3)
    assert [set(column) for column in draws.T.tolist()] == [{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}, {0, 1}]


def test_draws_without_flips_or_crops():
    draws = augmentation(crop=2, flip=False)(100, torch.Generator().manual_seed(0))
    assert set(draws[:, 2].tolist()) == {0}
    draws = augmentation(crop=0, flip=True)(100, torch.Generator().manual_seed(0))
    assert draws[:, :2].unique().tolist() == [0]
    assert set(draws[:, 2].tolist()) == {0, 1}


def test_training_images_are_normalised_per_channel():
    data = Classification().on_device(colourful(), PLAIN, CPU)
    [(inputs, _)] = data.train(np.arange(50)).in_order(50)
    assert inputs.dtype == torch.float32
    torch.testing.assert_close(inputs.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        inputs.std(dim=(0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=0
    )


def test_test_images_are_normalised_as_training_images_are():
    data = Classification().on_device(colourful(), PLAIN, CPU)
    [(train, _)] = data.train(np.arange(6)).in_order(6)
    [(test, targets)] = data.test().in_order(6)
    assert torch.equal(train, test)
    assert targets.tolist() == [0, 1, 2, 0, 1, 2]


def test_padding_is_black_before_normalisation():
    data = Classification().on_device(colourful(), PLAIN | {"crop": 1}, CPU)
    image, corner = data.train_inputs[:1], torch.tensor([[0, 0, 0]])
    black = data.prepare(torch.zeros_like(image), None)
    assert torch.equal(data.prepare(image, corner)[:, :, 0], black[:, :, 0])


def test_training_samples_are_augmented_and_test_samples_are_not():
    data = Classification().on_device(colourful(), PLAIN | {"crop": 2, "flip": True}, CPU)
    samples = data.train(np.arange(50))
    one, other = (next(samples.epoch(50, torch.Generator().manual_seed(seed)))[0].double().sum() for seed in (0, 1))
    assert one != other
    assert data.test().draw is None


def test_nothing_is_drawn_where_nothing_is_augmented(digits):
    assert Classification().on_device(digits, PLAIN, CPU).draw is None


def test_images_stay_bytes_and_batches_are_channels_last(digits):
    data = Classification().on_device(digits, PLAIN, CPU)
    assert data.train_inputs.dtype == torch.uint8
    assert data.inputs == 1
    [(inputs, _)] = Classification().on_device(colourful(), PLAIN, CPU).test().in_order(6)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_limit_and_label_noise_apply_to_training_data_only(digits):
    data = Classification().on_device(digits, PLAIN | {"limit": 100, "label_noise": 0.5}, CPU)
    rows = limited(digits.train_labels, 100)
    np.testing.assert_array_equal(data.splits.rows, rows)
    np.testing.assert_array_equal(data.train_inputs, digits.train_images[rows])
    np.testing.assert_array_equal(data.train_targets, noisy(digits.train_labels[rows], 0.5, 10))
    np.testing.assert_array_equal(data.test_targets, digits.test_labels)


def test_samples_are_rows_of_the_limited_training_set(digits):
    data = Classification().on_device(digits, PLAIN | {"limit": 100}, CPU)
    samples = data.train(np.array([5, 7]))
    assert samples.targets[samples.index].tolist() == digits.train_labels[data.splits.rows[[5, 7]]].tolist()


def test_a_forgotten_class_is_the_true_one(digits):
    data = Classification().on_device(digits, PLAIN | {"label_noise": 0.3}, CPU)
    parts = data.split(0, {"scenario": "class", "class": 4})
    np.testing.assert_array_equal(parts.forget, np.flatnonzero(digits.train_labels == 4))
    forget = data.train(parts.forget)
    assert set(forget.targets[forget.index].tolist()) > {4}


def test_training_samples_have_noisy_labels_and_samples_held_out_true_ones(digits):
    data = Classification().on_device(digits, PLAIN | {"label_noise": 0.2, "validation": 0.2, "reference": 0.1}, CPU)
    parts = data.split(0, {"scenario": "random", "ratio": 0.1})
    trained = data.train(parts.training)
    for rows, count in ((parts.validation, 287), (parts.reference, 144)):
        held_out = data.held_out(rows)
        assert len(held_out) == count
        assert held_out.targets[held_out.index].tolist() == digits.train_labels[rows].tolist()
    wrong = trained.targets[trained.index].numpy() != digits.train_labels[parts.training]
    assert np.mean(wrong) == pytest.approx(0.2 * 9 / 10, abs=0.03)


def test_samples_held_out_are_not_augmented(digits):
    assert Classification().on_device(digits, PLAIN | {"flip": True}, CPU).held_out(np.arange(3)).draw is None


def test_bounds_are_what_the_darkest_and_the_brightest_image_become(digits):
    samples = Classification().on_device(digits, PLAIN, CPU).train(np.arange(3))
    for bound, value in zip(samples.bounds, (0, 255), strict=True):
        image = torch.full((1, 1, 8, 8), value, dtype=torch.uint8)
        torch.testing.assert_close(bound.expand(1, 1, 8, 8), samples.prepare(image, None), rtol=0, atol=0)


def test_what_is_forgotten_does_not_depend_on_augmentation(digits):
    wanted = {"scenario": "random", "ratio": 0.1}
    plain, augmented = (Classification().on_device(digits, PLAIN | {"flip": flip}, CPU) for flip in (False, True))
    np.testing.assert_array_equal(plain.split(0, wanted).forget, augmented.split(0, wanted).forget)


def test_the_dataset_is_left_as_it_was(digits):
    labels = digits.train_labels.copy()
    Classification().on_device(replace(digits), PLAIN | {"label_noise": 0.5}, CPU)
    np.testing.assert_array_equal(digits.train_labels, labels)
