"""The device that a trial computes on: its arithmetic, waiting for it, its memory, and whether it still answers."""

from __future__ import annotations

import re
import resource
import sys
import warnings
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """What a row calls the device that it was computed on: the GPU's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def set_arithmetic(precision: str) -> None:
    """Let GPUs compute float32 products and convolutions in full, or in TF32 (10 of 23 bits) for `tf32` only.

    And let cuDNN take only algorithms that give the same each time. Where autocast is on, neither precision matters.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lost(device: torch.device) -> bool:
    """Whether a GPU's context is broken: after some errors (a failed assertion, an illegal address, a hardware fault)
    it is for good, and whatever this process asks of it fails.
    """
    try:
        synchronise(device)
    except RuntimeError:
        return True
    return False


NO_MEMORY = re.compile(r"out of memory|ALLOC(ATION)?_FAILED|can't allocate memory")
"""What CUDA, its libraries, and torch for the host's memory say, for which torch has no exception of its own."""


def out_of_memory(error: Exception) -> bool:
    """Whether memory of the device or the host ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or NO_MEMORY.search(str(error)) is not None


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring the peak anew: of the GPU, or of this process where the operating system allows it (Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        warnings.warn("peak memory is that of the whole process", stacklevel=2)


def busy() -> int | None:
    """Percent of the last second or less that this process's GPU computed, for whomever; None where nobody can tell."""
    if not torch.cuda.is_initialized():
        return None
    try:
        return torch.cuda.utilization()
    except Exception:  # NVML's errors are known only where it is installed; nothing depends on what it says
        return None


def peak_memory(device: torch.device) -> int:
    """Bytes at the peak since `reset_peak_memory`: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024
