"""Originals as safetensors files with a checksum, which is verified when they are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sweep.store.original_labels import label_of, original_path
from sweep.store.results import Results

State = dict[str, Tensor]


@dataclass(frozen=True)
class Original:
    """A trained model.

    Attributes:
        state: its state dict, on the CPU.
        version: the version of the code that trained it (`versions.original_version`).
    """

    state: State
    version: str

    @cached_property
    def sha256(self) -> str:
        """The checksum of its weights and their names."""
        return checksum(self.state)


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
    metadata = {"sha256": checksum(tensors), "code_version": original.version}
    content = safetensors.torch.save(tensors, metadata=metadata)
    results.write(original_path(original_id), content)


def load_original(results: Results, original_id: str) -> Original | None:
    """A stored original; None if it is missing or damaged."""
    content = results.read(original_path(original_id))
    if content is None:
        return None
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, RuntimeError):
        return None
    label = label_of(content, len(content))
    if label is None:
        return None
    original = Original(tensors, label.version)
    return original if original.sha256 == label.sha256 else None


def checksum(tensors: State) -> str:
    """SHA-256 of the tensors' names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
