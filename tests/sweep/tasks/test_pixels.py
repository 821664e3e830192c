"""One encoded image as 8-bit pixels, of every mode that Pillow reads."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from sweep.tasks.pixels import Unusable, decode, eight_bits, without_alpha

GREY = np.random.default_rng(0).integers(256, size=(5, 4), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(256, size=(5, 4, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(2).integers(256, size=(5, 4), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def rgb(encoded: bytes, background="white", size=None) -> np.ndarray:
    """Pixels [H, W, 3]."""
    return decode(encoded, "RGB", background, size).transpose(1, 2, 0)


def grey(encoded: bytes, background="white") -> np.ndarray:
    """Pixels [H, W]."""
    return decode(encoded, "L", background, None)[0]


def three(image: np.ndarray) -> np.ndarray:
    return np.stack([image] * 3, axis=2)


def laid_on(image: np.ndarray, alpha: np.ndarray, paper: int) -> np.ndarray:
    """Pixels [H, W, 3] on a plain background, by the definition of compositing; not rounded."""
    share = alpha[:, :, None] / 255
    return share * image + (1 - share) * paper


def test_pixels_of_8_bits_are_what_they_were():
    np.testing.assert_array_equal(rgb(encoded(Image.fromarray(COLOUR))), COLOUR)
    np.testing.assert_array_equal(rgb(encoded(Image.fromarray(GREY))), three(GREY))
    np.testing.assert_array_equal(grey(encoded(Image.fromarray(GREY))), GREY)
    luma = COLOUR @ np.array([299, 587, 114]) / 1000  # ITU-R BT.601
    assert np.abs(grey(encoded(Image.fromarray(COLOUR))) - luma).max() <= 0.51


def test_black_and_white_and_palettes_are_what_they_show():
    bits = Image.fromarray(np.where(GREY > 127, 255, 0).astype(np.uint8)).convert("1")
    np.testing.assert_array_equal(rgb(encoded(bits)), three(np.where(GREY > 127, 255, 0)))
    palette = Image.fromarray(GREY % 3, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    shown = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])[GREY % 3]
    np.testing.assert_array_equal(rgb(encoded(palette)), shown)


@pytest.mark.parametrize("widened", [GREY.astype(np.uint16) * 257, GREY.astype(np.uint16) * 256], ids=["257", "256"])
@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bits_in_every_order_of_bytes_are_the_same_image_as_8(mode, widened):
    order = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}[mode]
    image = Image.frombytes(mode, GREY.shape[::-1], widened.astype(order).tobytes())
    np.testing.assert_array_equal(np.asarray(eight_bits(image)), GREY)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bits_of_every_format_are_the_same_image_as_8(kind):
    file = encoded(Image.fromarray(GREY.astype(np.uint16) * 257), kind)
    np.testing.assert_array_equal(rgb(file), three(GREY))
    np.testing.assert_array_equal(grey(file), GREY)


def test_16_bits_with_a_transparent_colour():
    values = GREY.astype(np.uint16) * 257
    file = encoded(Image.fromarray(values), transparency=int(values[2, 1]))
    expected = np.where(values == values[2, 1], 0, GREY)
    np.testing.assert_array_equal(grey(file, "black"), expected)
    np.testing.assert_array_equal(grey(file, "white"), np.where(values == values[2, 1], 255, GREY))


def tiff(bits: int, photometric: int, packed: bytes) -> bytes:
    """A grey TIFF file of 4 x 2 pixels."""
    entries = [
        (256, 4, 4),
        (257, 4, 2),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 2),
        (279, 4, len(packed)),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + bytes(4)


def test_12_bits_are_scaled_as_12_bits():
    first, second = np.arange(0, 4096, 1024), np.arange(1023, 4096, 1024)
    values = np.stack([first, second])
    pairs = values.reshape(-1, 2)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    np.testing.assert_array_equal(grey(tiff(12, 1, packed)), values >> 4)


def test_16_bits_of_which_0_is_white():
    values = np.array([[0, 257, 512, 65535], [1, 2, 3, 40000]], dtype="<u2")
    np.testing.assert_array_equal(grey(tiff(16, 0, values.tobytes())), (65535 - values.astype(int)) >> 8)


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_is_laid_on_a_plain_background(background, kind):
    paper = {"white": 255, "black": 0}[background]
    layered = {
        "RGBA": (np.dstack([COLOUR, ALPHA]), COLOUR),
        "LA": (np.dstack([GREY, ALPHA]), three(GREY)),
    }
    for image, colours in layered.values():
        found = rgb(encoded(Image.fromarray(image), kind), background)
        assert np.abs(found - laid_on(colours, ALPHA, paper)).max() <= 1
        opaque = image.copy()
        opaque[:, :, -1] = 255
        np.testing.assert_array_equal(rgb(encoded(Image.fromarray(opaque), kind), background), colours)


def test_a_shape_in_the_alpha_channel_alone_is_seen():
    shape = np.dstack([np.zeros_like(GREY), GREY])
    np.testing.assert_array_equal(grey(encoded(Image.fromarray(shape))), 255 - GREY)


def test_modes_that_hold_alpha_in_other_ways_are_laid_on_the_background_too():
    direct = Image.fromarray(np.dstack([COLOUR, ALPHA]))
    expected = laid_on(COLOUR, ALPHA, 255)
    multiplied = direct.convert("RGBa")
    assert np.abs(np.asarray(without_alpha(multiplied, "white"))[:, :, :3] - expected).max() <= 2
    grey_multiplied = Image.fromarray(np.dstack([GREY, ALPHA])).convert("La")
    found = np.asarray(without_alpha(grey_multiplied, "white"))[:, :, :3]
    assert np.abs(found - laid_on(three(GREY), ALPHA, 255)).max() <= 2
    palette = Image.fromarray(GREY % 2, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.info["transparency"] = 1
    shown = np.where((GREY % 2 == 1)[:, :, None], 255, [10, 20, 30])
    for image in (palette, palette.convert("PA")):
        np.testing.assert_array_equal(np.asarray(without_alpha(image, "white"))[:, :, :3], shown)
    np.testing.assert_array_equal(rgb(encoded(palette)), shown)
    np.testing.assert_array_equal(rgb(encoded(palette, "GIF")), shown)


def test_a_transparent_colour_of_grey_and_colour_images():
    file = encoded(Image.fromarray(GREY), transparency=int(GREY[0, 0]))
    np.testing.assert_array_equal(grey(file), np.where(GREY[0, 0] == GREY, 255, GREY))
    key = COLOUR[3, 2]
    file = encoded(Image.fromarray(COLOUR), transparency=tuple(key.tolist()))
    expected = np.where((key == COLOUR).all(axis=2)[:, :, None], 0, COLOUR)
    np.testing.assert_array_equal(rgb(file, "black"), expected)


def test_colours_that_are_mixed_otherwise_come_out_as_red_green_and_blue():
    ink = 255 - COLOUR.astype(int)
    cmyk = Image.fromarray(np.dstack([ink.astype(np.uint8), np.zeros_like(GREY)]), "CMYK")
    np.testing.assert_array_equal(rgb(encoded(cmyk, "TIFF")), COLOUR)
    smooth = np.full((16, 16, 3), [200, 100, 50], np.uint8)
    for mode, tolerance in (("YCbCr", 2), ("HSV", 4), ("RGBX", 0)):
        found = np.asarray(without_alpha(eight_bits(Image.fromarray(smooth).convert(mode)), "white").convert("RGB"))
        assert np.abs(found.astype(int) - smooth).max() <= tolerance, mode
    assert np.abs(rgb(encoded(Image.fromarray(smooth), "JPEG", quality=95)).astype(int) - smooth).max() <= 3


def test_lab_is_what_its_definition_says():
    """CIELAB of D50, as ICC profiles have it, against sRGB adapted to D50 by Bradford's matrix (IEC 61966-2-1)."""
    found = np.full((3, 3, 3), [180, 90, 60], np.uint8)
    linear = (((found[0, 0] / 255) + 0.055) / 1.055) ** 2.4
    matrix = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    x, y, z = np.cbrt(np.array(matrix) @ linear / [0.96422, 1.0, 0.82521])
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    lab = np.round([lightness * 255 / 100, a, b]).astype(np.int64).astype(np.uint8)  # a and b are signed
    image = Image.frombytes("LAB", (3, 3), lab.tobytes() * 9)
    assert ImageCms.core is not None
    assert np.abs(np.asarray(eight_bits(image)).astype(int) - found).max() <= 2
    assert np.abs(rgb(encoded(image, "TIFF")).astype(int) - found).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_images_stand_as_their_exif_says(orientation, kind):
    stored = {
        1: COLOUR,
        2: COLOUR[:, ::-1],
        3: COLOUR[::-1, ::-1],
        4: COLOUR[::-1],
        5: COLOUR.transpose(1, 0, 2),
        6: COLOUR.transpose(1, 0, 2)[::-1],  # row 0 is the right side: it is to be turned clockwise
        7: COLOUR.transpose(1, 0, 2)[::-1, ::-1],
        8: COLOUR.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(rgb(encoded(Image.fromarray(stored.copy()), kind, exif=exif)), COLOUR)


@pytest.mark.parametrize("exif", [b"no such thing", b"II*\0\x08\0\0\0\x01\0"], ids=["nonsense", "cut"])
def test_exif_that_cannot_be_read_says_nothing(exif):
    file = encoded(Image.fromarray(COLOUR), exif=b"Exif\0\0" + exif)
    with warnings.catch_warnings(record=True) as warned:
        np.testing.assert_array_equal(rgb(file), COLOUR)
    assert not warned


@pytest.mark.parametrize(
    ("pixels", "mode"), [(GREY.astype(np.int32) - 9, "I"), (GREY.astype(np.float32) / 255, "F")], ids=["I", "F"]
)
def test_pixels_whose_range_is_not_known_are_not_used(pixels, mode):
    with pytest.raises(Unusable, match=rf"its pixels have mode {mode} \(TIFF\), whose range is not known"):
        rgb(encoded(Image.fromarray(pixels), "TIFF"))


def test_damage_is_told_without_memory_addresses():
    file = encoded(Image.fromarray(COLOUR))
    for damaged in (file[:-30], file[:40], file[:20], b"", b"GIF89a", bytes(100)):
        with pytest.raises(Unusable) as caught:
            rgb(damaged)
        assert "0x" not in str(caught.value)
        assert str(caught.value).startswith("it ")
