"""Original models as files: safetensors with a checksum, which is verified when they are read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

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
        intact = metadata["sha256"] == _checksum(tensors)
        version = str(metadata["code_version"])
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return Original(tensors, version) if intact else None


def _checksum(tensors: State) -> str:
    """SHA-256 of names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
