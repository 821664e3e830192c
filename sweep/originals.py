"""Original models as files: safetensors with a checksum, which is verified when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sweep.results import Results

State = dict[str, Tensor]


@dataclass(frozen=True)
class Original:
    """A trained model.

    Attributes:
        state: its state dict, on the CPU.
        version: of the code that trained it (`versions.original_version`).
    """

    state: State
    version: str

    @cached_property
    def sha256(self) -> str:
        """The checksum of its weights, by their names: the same wherever it is stored."""
        return _checksum(self.state)


def original_path(original_id: str) -> str:
    """Where an original lies in the results directory."""
    return f"models/{original_id}.safetensors"


def store_original(results: Results, original_id: str, original: Original) -> None:
    """Write an original.

    Raises:
        OSError: it cannot be stored.
    """
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in original.state.items()
    }
    metadata = {"sha256": _checksum(tensors), "code_version": original.version}
    content = safetensors.torch.save(tensors, metadata=metadata)
    results.write(original_path(original_id), content)


def load_original(results: Results, original_id: str) -> Original | None:
    """A stored original; None if it is not there or damaged."""
    content = results.read(original_path(original_id))
    if content is None:
        return None
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header["__metadata__"]
        original = Original(tensors, str(metadata["code_version"]))
        intact = metadata["sha256"] == original.sha256
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return original if intact else None


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


def _checksum(tensors: State) -> str:
    """SHA-256 of names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
