"""What a sweep ran on: versions, commit and hardware, for `environment.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

from sweep.plan.code_version import code_version

PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "scikit-learn", "pyarrow", "pandas", "safetensors")


def environment_json(executor: str, precision: str) -> str:
    """The driver's environment as JSON; `precision` is the spec's, which decides whether GPUs may use TF32."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    described = {
        "code_version": code_version(),
        "commit": _commit(),
        "executor": executor,
        "python": sys.version.split()[0],
        "packages": {name: metadata.version(name) for name in PACKAGES if _installed(name)},
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "gpus": gpus,
        "cuda": torch.version.cuda if gpus else None,
        "cudnn": torch.backends.cudnn.version() if gpus else None,
        "cudnn_deterministic": True if gpus else None,
        "driver": _driver_version() if gpus else None,
        "tf32": precision == "tf32" if gpus else None,
    }
    return json.dumps(described, indent=2) + "\n"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _commit() -> str | None:
    """The commit of the checkout that this code is in, with `-dirty` if it was changed; None outside one."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def _driver_version() -> str | None:
    """The version of NVIDIA's driver; None where its tool is not installed."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip().partition("\n")[0] or None


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
