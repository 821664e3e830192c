"""Decodes images of every mode that Pillow reads to 8-bit grey or colour, or says why not; and stacks them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin, UnidentifiedImageError

from sweep.errors import InputError

Background = Literal["white", "black"]

PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
SIXTEEN_BITS = ("PNG", "PPM")
"""Formats of 16 bits that Pillow may open as 32-bit integers."""

DECODING = 1
"""Raise this when the same files give other pixels than before, so that no node uses its cache."""


class Unusable(Exception):
    """An image cannot be used; the message is one line."""


def decode(encoded: bytes, mode: Literal["L", "RGB"], background: Background, size: int | None) -> NDArray[np.uint8]:
    """The first frame of an encoded image, upright as its EXIF says, on `background` where it is transparent.

    Of 16 bits it takes the upper 8, which undoes both common ways to widen 8 bits to 16.

    Args:
        size: resize the image to a square of so many pixels; None: do not resize.

    Returns:
        uint8 [C, H, W].

    Raises:
        Unusable: the image is damaged, or of a mode whose range of values is not known.
    """
    warnings.filterwarnings("ignore", module="PIL")  # what matters is raised below
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            image.load()
            with suppress(Exception):  # ignore EXIF that cannot be read
                ImageOps.exif_transpose(image, in_place=True)
            plain = without_alpha(eight_bits(image), background).convert(mode)
    except UnidentifiedImageError as error:
        raise Unusable("it is no image that Pillow can read") from error
    except Unusable:
        raise
    except Exception as error:  # Pillow raises many kinds of exceptions over damaged files
        raise Unusable(f"it cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from error
    if size is not None and plain.size != (size, size):
        plain = plain.resize((size, size), Image.Resampling.BILINEAR)
    array = np.asarray(plain, dtype=np.uint8)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


def stacked(images: Iterable[NDArray[np.uint8]], counts: Mapping[str, int], path: str) -> NDArray[np.uint8]:
    """The images of all splits, one split after another: uint8 [N, C, H, W].

    Args:
        counts: how many images each split has, at least 1.
        path: the dataset's path, for messages.

    Raises:
        InputError: images differ in size, or all of a split are the same.
    """
    pixels: NDArray[np.uint8] | None = None
    for place, image in enumerate(images):
        if pixels is None:
            pixels = np.empty((sum(counts.values()), *image.shape), np.uint8)
        if image.shape != pixels.shape[1:]:
            raise InputError(f"'{path}': images differ in size; set dataset.image_size")
        pixels[place] = image
    assert pixels is not None
    first = 0
    for split, count in counts.items():
        part = pixels[first : first + count]
        first += count
        if count > 1 and all(np.array_equal(part[0], image) for image in part[1:]):
            raise InputError(f"'{path}': all {count} images of '{split}' are the same, to the last pixel")
    return pixels


def eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits per channel, in a mode that `without_alpha` takes.

    Raises:
        Unusable: the range of its values is not known.
    """
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    if image.mode == "I" and image.format in SIXTEEN_BITS:
        return _from_sixteen_bits(image)
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        assert converted is not None
        return converted
    if image.mode in OPAQUE or image.has_transparency_data:
        return image
    raise Unusable(f"its pixels have mode {image.mode} ({image.format}), whose range is not known; 8 or 16 bits are")


def without_alpha(image: Image.Image, background: Background) -> Image.Image:
    """The image, laid on a plain background if it has an alpha channel or a transparent colour."""
    if not image.has_transparency_data:
        return image
    straight = image.convert(PREMULTIPLIED.get(image.mode, "RGBA")).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), straight)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values, bits = np.asarray(image).astype(np.int64), 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
        if image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # 0 is white, which Pillow does not undo
            values = (1 << bits) - 1 - values
    grey = Image.fromarray((values >> (bits - 8)).astype(np.uint8))
    if "transparency" not in image.info:
        return grey
    opaque = Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, opaque))
