"""Original models as files: safetensors with a checksum, which is verified when they are read."""

from __future__ import annotations

import hashlib
import json

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sweep.identity import code_version
from sweep.results import Results

State = dict[str, Tensor]


def original_path(original_id: str) -> str:
    """Where an original lies in the results directory."""
    return f"models/{original_id}.safetensors"


def store_original(results: Results, original_id: str, state: State) -> None:
    """Write an original's state dict.

    Raises:
        OSError: it cannot be stored.
    """
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }
    metadata = {"sha256": _checksum(tensors), "code_version": code_version()}
    content = safetensors.torch.save(tensors, metadata=metadata)
    results.write(original_path(original_id), content)


def load_original(results: Results, original_id: str, any_version: bool = True) -> State | None:
    """An original's state dict on the CPU; None if it is not there or damaged.

    With `any_version` false, one that another code version trained counts as not there.
    """
    content = results.read(original_path(original_id))
    if content is None:
        return None
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header["__metadata__"]
        intact = metadata["sha256"] == _checksum(tensors)
        current = any_version or metadata["code_version"] == code_version()
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return tensors if intact and current else None


def _checksum(tensors: State) -> str:
    """SHA-256 of names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
