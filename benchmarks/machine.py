"""What a benchmark ran on, in words."""

import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Processor, what it computes matrices with, GPU, torch; no name of the machine."""
    flags, model = set[str](), platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "flags":
                flags = set(value.split())
            elif key.strip() == "model name":
                model = value.strip()
    units = [
        name for name, flag in (("AVX-512", "avx512f"), ("bf16", "avx512_bf16"), ("AMX", "amx_bf16")) if flag in flags
    ]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    processor = f"{os.cpu_count()} virtual cores ({model}; {', '.join(units) or 'no AVX-512'})"
    return f"{processor}, {gpu}, torch {torch.__version__}"
