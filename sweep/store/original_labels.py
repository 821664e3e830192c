"""The labels of stored originals, read from the heads of their files, without torch and without the weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.store.results import Results
from sweep.words import counted, them


@dataclass(frozen=True)
class Label:
    """The metadata of a stored original: the checksum of its weights, and the version as in `Original`."""

    sha256: str
    version: str


HEAD = 1 << 16
"""How many bytes of a file are read for its label: more than the header of a network of a few hundred tensors."""


def original_path(original_id: str) -> str:
    """The path of an original in the results directory."""
    return f"models/{original_id}.safetensors"


def read_label(results: Results, original_id: str) -> Label | None:
    """The label of a stored original; None if the file is missing, its head is damaged, or its end is missing.

    Does not read the weights: only `load_original` compares them with the checksum.

    Raises:
        OSError: it cannot be read.
    """
    path = original_path(original_id)
    found = results.read_start(path, HEAD)
    if found is not None and HEAD < (length := _header_end(found[0])) <= found[1]:
        found = results.read_start(path, length)
    return None if found is None else label_of(*found)


def label_of(start: bytes, size: int) -> Label | None:
    """The label in the first bytes of a file of `size` bytes; None if the file cannot be whole.

    A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON: metadata, and for each
    tensor where its bytes begin and end after the header), and the tensors.
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


def differ_words(count: int) -> str:
    """The message about so many originals that `of_several_weights` found."""
    which = counted(count, "original was", "originals were")
    started = f"trials that started from {them(count)} are no fair comparison"
    return f"{which} trained more than once, to different weights: {started}"


def of_several_weights(rows: Iterable[Mapping[str, str | None]]) -> set[str]:
    """Ids of originals that were trained more than once with different weights as the result, by rows of trials.

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


def stored_originals(results: Results, names: Iterable[str | None]) -> set[str]:
    """Those of the originals that are stored; None, for a trial without an original, is passed over."""
    return {name for name in set(names) if name is not None and results.size(original_path(name)) is not None}
