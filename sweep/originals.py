"""Original models as files: safetensors with a checksum, which is verified when they are read."""

from __future__ import annotations

import hashlib
import json

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

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
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    content = safetensors.torch.save(tensors, metadata={"sha256": _checksum(tensors)})
    results.write(original_path(original_id), content)


def load_original(results: Results, original_id: str) -> State | None:
    """An original's state dict on the CPU; None if it is not there or damaged."""
    content = results.read(original_path(original_id))
    if content is None:
        return None
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        intact = header["__metadata__"]["sha256"] == _checksum(tensors)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return tensors if intact else None


def _checksum(tensors: State) -> str:
    """SHA-256 of names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
