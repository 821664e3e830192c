"""Image-classification sets in the hubs' Parquet layout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sweep.errors import InputError, nearest
from sweep.store.content_ids import canonical_json, content_id
from sweep.tasks.class_labels import read_labels
from sweep.tasks.dataset import Dataset
from sweep.tasks.images import Images, keys
from sweep.tasks.node_cache import kept_array
from sweep.tasks.pixels import DECODING, Background, Unusable, decode, stacked
from sweep.tasks.sections import Name
from sweep.tasks.shards import Shard, find_both


@dataclass(frozen=True)
class ParquetImages(Dataset):
    """Any image-classification set in the hubs' Parquet layout.

    A directory or URI with Parquet files whose name, or whose folder's name, starts with `train` and `test`
    (`train.parquet`, `data/train-00000-of-00002.parquet`, `test/0.parquet`). One column holds images as a struct with
    encoded `bytes`, one holds labels: integers, or text. The classes are the labels in sorted order.
    """

    crop: ClassVar[int] = 4
    flip: ClassVar[bool] = True
    located_by: ClassVar[tuple[str, ...]] = ("path",)
    came_later: ClassVar[tuple[str, ...]] = ("background", "train_split", "test_split")

    path: str = field(metadata={"meaning": "directory or URI with train and test files"})
    image_column: str | None = field(default=None, metadata={"meaning": "the only struct with bytes if null"})
    label_column: str | None = field(default=None, metadata={"meaning": "the only one that can be it if null"})
    image_size: int | None = field(default=None, metadata={"meaning": "resize to this many pixels square"})
    grayscale: bool = field(default=False, metadata={"meaning": "one channel in place of three"})
    background: Background = field(default="white", metadata={"meaning": "what is seen through transparent pixels"})
    train_split: Name = field(default="train", metadata={"meaning": "how names of files with training data start"})
    test_split: Name = field(default="test", metadata={"meaning": "how names of files with test data start"})

    def fingerprint(self) -> str:
        train, test = self._shards()
        called = read_labels(self.path, train, test, self.label_column).called
        # Renumbered labels enter the hash: before they were renumbered, such a set was another one.
        return content_of(train, test, canonical_json(called.values).encode() if called.renumbered else b"")

    def load(self) -> Images:
        train, test = self._shards()
        labels = read_labels(self.path, train, test, self.label_column)
        pixels = self._kept_pixels(train, test)
        first, rest = pixels[: len(labels.train)], pixels[len(labels.train) :]
        called = labels.called if labels.called.renumbered or labels.called.names else None
        return Images(first, labels.train, rest, labels.test, len(labels.called.values), called)

    def _kept_pixels(self, train: list[Shard], test: list[Shard]) -> NDArray[np.uint8]:
        """`_pixels`, decoded once a node."""
        options = [DECODING, PIL.__version__, self.image_column, self.image_size, self.grayscale, self.background]
        key = content_id(content_of(train, test) + canonical_json(options))
        return kept_array(f"images-{key}", lambda: self._pixels(train, test))

    def _shards(self) -> tuple[list[Shard], list[Shard]]:
        return find_both(self.path, self.train_split, self.test_split)

    def _pixels(self, train: list[Shard], test: list[Shard]) -> NDArray[np.uint8]:
        """The images of `train`, then those of `test`: uint8 [N, C, H, W]."""
        counts = [[shard.parquet().metadata.num_rows for shard in shards] for shards in (train, test)]
        first = sum(counts[0])
        decoded = (image for shard in (*train, *test) for image in self._decoded(shard))
        pixels = stacked(decoded, {"train": first, "test": sum(counts[1])}, self.path)
        _require_read_once("train", train, counts[0], pixels[:first])
        _require_read_once("test", test, counts[1], pixels[first:])
        return pixels

    def _decoded(self, shard: Shard) -> Iterator[NDArray[np.uint8]]:
        file = shard.parquet()
        column, row = self._image_column(shard, file), 0
        for batch in file.iter_batches(batch_size=1024, columns=[f"{column}.bytes"]):
            for encoded in pc.struct_field(batch.column(0), "bytes"):
                try:
                    yield self._decode(encoded.as_py())
                except Unusable as error:
                    raise InputError(f"'{shard.name}', image of row {row} (from 0): {error}") from error
                row += 1

    def _decode(self, encoded: bytes | None) -> NDArray[np.uint8]:
        if encoded is None:
            raise Unusable("it has no bytes; a path alone is not followed")
        return decode(encoded, "L" if self.grayscale else "RGB", self.background, self.image_size)

    def _image_column(self, shard: Shard, file: pq.ParquetFile) -> str:
        schema = file.schema_arrow
        found = [item.name for item in schema if pa.types.is_struct(item.type) and _has_bytes(item.type)]
        if self.image_column is not None and self.image_column not in found:
            hint = nearest(self.image_column, found)
            raise InputError(f"'{shard.name}' has no image_column '{self.image_column}'; {hint}")
        if self.image_column is None and len(found) != 1:
            there = found or f"no struct has bytes among {', '.join(schema.names)}"
            raise InputError(f"'{shard.name}' has {len(found)} candidates for dataset.image_column: {there}; set it")
        return self.image_column or found[0]


def _has_bytes(kind: pa.StructType) -> bool:
    place = kind.get_field_index("bytes")
    if place < 0:
        return False
    held = kind.field(place).type
    return bool(pa.types.is_binary(held) or pa.types.is_large_binary(held) or pa.types.is_binary_view(held))


def content_of(train: Sequence[Shard], test: Sequence[Shard], more: bytes = b"") -> str:
    """16 hexadecimal digits of a hash of the files' contents, in their order."""
    digest = hashlib.sha256()
    for split, shards in ((b"train", train), (b"test", test)):
        for shard in shards:
            with shard.open() as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
        digest.update(split)
    digest.update(more)
    return digest.hexdigest()[:16]


def _require_read_once(split: str, shards: Sequence[Shard], rows: Sequence[int], images: NDArray[np.uint8]) -> None:
    """Raise InputError if all images of a file are in other files of its split too, as if a set lies in two folders."""
    if len(shards) == 1:
        return
    ends = np.cumsum(rows)
    hashes = [keys(images[end - count : end]) for end, count in zip(ends, rows, strict=True)]
    holders: dict[bytes, set[int]] = {}
    for place, found in enumerate(hashes):
        for key in found:
            holders.setdefault(key, set()).add(place)
    for place, found in enumerate(hashes):
        if len(found) > 1 and all(len(holders[key]) > 1 for key in found):
            other = shards[min(holders[found[0]] - {place})].name
            raise InputError(
                f"every image of '{shards[place].name}' is in other files of '{split}' too, such as '{other}'; "
                "remove one, or set dataset.path to the folder of one"
            )
