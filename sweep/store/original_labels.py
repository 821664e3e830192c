"""What stored originals say of themselves, read from the heads of their files: neither torch nor weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.store.results import Results


@dataclass(frozen=True)
class Label:
    """What a stored original says of itself: the checksum of its weights, and the version as in `Original`."""

    sha256: str
    version: str


HEAD = 1 << 16
"""Bytes of a file that are read to see what it is: more than the header of a network of a few hundred tensors has."""


def original_path(original_id: str) -> str:
    """Where an original lies in the results directory."""
    return f"models/{original_id}.safetensors"


def read_label(results: Results, original_id: str) -> Label | None:
    """What a stored original says of itself; None if it is not there, its head is damaged, or its end is missing.

    Its weights are not read: whether they are those of the checksum is seen by `load_original`.

    Raises:
        OSError: it cannot be read.
    """
    path = original_path(original_id)
    found = results.read_start(path, HEAD)
    if found is not None and HEAD < (length := _header_end(found[0])) <= found[1]:
        found = results.read_start(path, length)
    return None if found is None else label_of(*found)


def label_of(start: bytes, size: int) -> Label | None:
    """What a file of `size` bytes that starts so says of itself; None if it cannot be whole.

    A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON: of each tensor where its
    bytes begin and end in what follows, and metadata), and the tensors.
    """
    try:
        end = _header_end(start)
        header = json.loads(start[8:end])
        metadata = header.pop("__metadata__")
        whole = size == end + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        return Label(str(metadata["sha256"]), str(metadata["code_version"])) if whole else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def _header_end(start: bytes) -> int:
    return 8 + int.from_bytes(start[:8], "little")


DIFFER = "were trained more than once, to different weights: trials that started from them are no fair comparison"
"""What to say of `of_several_weights`."""


def of_several_weights(rows: Iterable[Mapping[str, str | None]]) -> set[str]:
    """The ids of originals that rows of trials started from with different weights: trained twice, to different ends.

    Args:
        rows: with the columns `original_id` and `original_sha256`.
    """
    known: dict[str, str] = {}
    several = set()
    for row in rows:
        name, weights = row["original_id"], row["original_sha256"]
        if name is not None and weights is not None and known.setdefault(name, weights) != weights:
            several.add(name)
    return several
