"""Ray itself: its settings, a session on this machine or on a cluster, and what a trial may have there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_timeout_ms_task_wait_for_death_info": "10000",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "86400",
}
"""Settings of Ray's that the user's environment overrides; Ray reads them when it is imported."""

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402

import methods  # noqa: E402
import sweep  # noqa: E402
from sweep.errors import InputError  # noqa: E402
from sweep.spec import Spec  # noqa: E402

CONNECT_SECONDS = 10
"""How long a cluster's address may take to accept a connection."""

PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
"""Ray Tune's variable for the number of its trials that may wait for room; without it, one."""

AHEAD = 32
"""Processes that may wait for room at once, or be starting."""

SHARED_GPU = 0.25
"""Share of a GPU that a trial takes where the spec does not say and there is a GPU."""


@contextmanager
def session(address: str | None) -> Iterator[None]:
    """Ray, started here or on the cluster at `address`; inside another session, that one.

    Raises:
        InputError: no cluster answers.
    """
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"include_dashboard": False}
    if address is not None:
        _check_reachable(address)
        packages = [str(Path(str(module.__file__)).parent) for module in (sweep, methods)]
        options = {"address": address, "runtime_env": {"py_modules": packages}}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError) as error:
        why = str(error).splitlines()[0]
        hint = "; if the cluster asks for a token, set RAY_AUTH_MODE=token" if why.startswith("Failed to conn") else ""
        raise InputError(f"--address {address}: {why}{hint}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries an address for minutes.

    Raises:
        InputError: nothing listens at `address` (host:port, or ray://host:port).
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no cluster answers: {error}") from error


def gpus_per_trial(spec: Spec, local: bool) -> float:
    """GPUs per trial. A cluster may still grow; this machine's resources are what they are.

    Raises:
        InputError: this machine does not have what is asked for.
    """
    available = ray.cluster_resources()
    if local:
        for key, wanted in (("CPU", spec.resources.cpus), ("GPU", spec.resources.gpus or 0)):
            if wanted > available.get(key, 0):
                name = f"resources.{key.lower()}s"
                raise InputError(f"{name}: {wanted:g} wanted, and Ray finds {available.get(key, 0):g} on this machine")
    if spec.resources.gpus is None:
        return SHARED_GPU if available.get("GPU", 0) else 0
    return spec.resources.gpus


def room(resources: dict[str, float]) -> int:
    """How many processes that take `resources` (cpu, gpu) each run at once on what Ray has."""
    available = ray.cluster_resources()
    return max(1, int(min(available.get(key.upper(), 0) / each for key, each in resources.items() if each)))


@contextmanager
def asked_ahead() -> Iterator[None]:
    """Let Ray Tune start many processes at once, and an autoscaler see that many wait."""
    if PENDING in os.environ:
        yield
        return
    os.environ[PENDING] = str(AHEAD)
    try:
        yield
    finally:
        del os.environ[PENDING]
