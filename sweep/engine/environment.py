"""What a sweep ran on: versions, commit and hardware, for `environment.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import torch

from sweep.plan.code_version import code_version

PACKAGES = (
    "torch",
    "torchvision",
    "ray",
    "optuna",
    "numpy",
    "scikit-learn",
    "pyarrow",
    "pandas",
    "safetensors",
    "transformers",
    "tokenizers",
)


def environment_json(executor: str, precision: str) -> str:
    """The driver's environment as JSON. `precision` is the spec's: it decides whether GPUs may use TF32."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    described = {
        "code_version": code_version(),
        "commit": _commit(),
        "executor": executor,
        "python": sys.version.split()[0],
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
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


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that holds this code, with `-dirty` if files were changed; None if there is none."""
    folder = Path(__file__).resolve().parent
    return _first_line("git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _driver_version() -> str | None:
    """The version of NVIDIA's driver; None where nvidia-smi is not installed."""
    return _first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def _first_line(*command: str) -> str | None:
    """The first line that a command prints; None if it prints nothing or cannot be run."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip().partition("\n")[0] or None


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
