"""The device that a trial computes on: its arithmetic, its memory, waiting for it, and whether it still works."""

from __future__ import annotations

import re
import resource
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The device's name in rows: the GPU's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def set_arithmetic(precision: str) -> None:
    """Let GPUs compute float32 products and convolutions in TF32 (10 of 23 bits) if `precision` is tf32, else in full.

    Also let cuDNN use only deterministic algorithms. Under autocast to bfloat16 the first makes no difference.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 products and convolutions in full while the body runs, whatever `set_arithmetic` allowed."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    set_arithmetic("float32")
    try:
        yield
    finally:
        set_arithmetic("tf32" if allowed else "float32")


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all work that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lost(device: torch.device) -> bool:
    """Whether a GPU's context is broken. After some errors (a failed assertion, an illegal address, a hardware fault)
    everything that this process asks of the GPU fails from then on.
    """
    try:
        synchronise(device)
    except RuntimeError:
        return True
    return False


NO_MEMORY = re.compile(r"out of memory|ALLOC(ATION)?_FAILED|can't allocate memory")
"""Messages of CUDA, its libraries and torch about lack of memory, for which torch has no exception of its own."""


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory of the device or the host ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = "".join(traceback.format_exception_only(error))  # also where a plugin's error has no text
    return NO_MEMORY.search(said) is not None


def reset_peak_memory(device: torch.device) -> None:
    """Measure the peak anew from here on: of the GPU, or of this process where the system can (Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        warnings.warn("peak memory is that of the whole process", stacklevel=2)


def busy() -> int | None:
    """Percent of the last second or less in which the GPU computed, for any process; None where that is unknown."""
    if not torch.cuda.is_initialized():
        return None
    try:
        return torch.cuda.utilization()
    except Exception:  # NVML's exceptions can be imported only where it is installed; the number is only shown
        return None


def peak_memory(device: torch.device) -> int:
    """Peak of memory since `reset_peak_memory`, in bytes: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024
