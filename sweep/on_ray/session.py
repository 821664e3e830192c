"""Ray's settings, a session of Ray on this machine or on a cluster, and the resources that a trial gets there."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
"""Ray reads these variables when it is imported. Where the user's environment has one, that value counts."""

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message="IProgress not found")  # nothing here needs ipywidgets

import ray  # noqa: E402
import torch  # noqa: E402

import methods  # noqa: E402
from sweep.engine.pace import SHARED_GPU  # noqa: E402
from sweep.errors import InputError, Unsuccessful, first_line  # noqa: E402
from sweep.spec.sweep_spec import Spec  # noqa: E402

FIRST = "sweep.on_ray.worker_setup.import_ours"
"""The function that every process of Ray calls first."""

CONNECT_SECONDS = 10
"""Seconds that a cluster's address may take to accept a connection."""

LONGEST_FOLDER = (103 if sys.platform == "darwin" else 107) - len(
    "/ray/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"
)
"""Longest path of Ray's temporary folder, in bytes: the path of a socket may have 107 bytes, on macOS 103."""

PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
"""Ray Tune's variable for how many tune_trials may wait for room; one if it is not set."""

AHEAD = 32
"""How many processes may start, or wait for room, at once."""


@dataclass(frozen=True)
class Cluster:
    """The cluster that the user asks for: its address, and how messages name it."""

    address: str
    named: str


def asked_cluster(address: str | None) -> Cluster | None:
    """The cluster that `--address` or RAY_ADDRESS names; None: this machine.

    As in Ray, RAY_ADDRESS counts where the address is not given or is 'auto'; 'local' is this machine.
    """
    variable = os.environ.get("RAY_ADDRESS")
    named = f"--address {address}"
    if variable and address in (None, "auto"):
        address, named = variable, f"RAY_ADDRESS={variable}"
    return None if address in (None, "local") else Cluster(str(address), named)


@contextmanager
def session(address: str | None) -> Iterator[bool]:
    """Connect to the cluster that the user asks for, or start Ray on this machine. Inside a session, use that one.

    Other Rays on this machine are left alone.

    Yields:
        Whether Ray runs on this machine only.

    Raises:
        InputError: no cluster answers, or the path of Ray's folder is too long.
        Unsuccessful: Ray does not start here.
    """
    cluster = asked_cluster(address)
    if ray.is_initialized():
        yield cluster is None
        return
    if cluster is None:
        _start()
    else:
        _connect(cluster)
    try:
        yield cluster is None
    finally:
        ray.shutdown()


def _start() -> None:
    """Start Ray on this machine."""
    _make_room_for_sockets()
    try:
        _init({}, address="local", include_dashboard=False)
    except Exception as error:  # Ray raises many kinds, Exception itself among them
        files = "; its files lie in RAY_TMPDIR, else TMPDIR, else /tmp" if isinstance(error, OSError) else ""
        raise Unsuccessful(f"Ray does not start on this machine: {first_line(error)}{files}") from error


def _connect(cluster: Cluster) -> None:
    """Connect to a cluster, and send this project's code there."""
    _check_address(cluster)
    packages = [str(Path(__file__).parents[1]), str(Path(str(methods.__file__)).parent)]
    try:
        _init({"py_modules": packages}, address=cluster.address)
    except Exception as error:
        why = first_line(error)
        refused = isinstance(error, ConnectionError) or why.startswith("Failed to conn")
        hint = "; if the cluster asks for a token, set RAY_AUTH_MODE=token" if refused else ""
        raise InputError(f"{cluster.named}: {why}{hint}") from error


def _init(code: dict[str, list[str]], **options: Any) -> None:
    environment = {"worker_process_setup_hook": FIRST} | code
    ray.init(log_to_driver=False, logging_level="ERROR", runtime_env=environment, **options)


def _make_room_for_sockets() -> None:
    """Let Ray use /tmp where the path in TMPDIR is too long, as on Slurm.

    Raises:
        InputError: the path in RAY_TMPDIR is too long.
    """
    own, usual = os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR", "")
    if own is not None and len(os.fsencode(own)) > LONGEST_FOLDER:
        raise InputError(f"RAY_TMPDIR={own}: Ray's sockets need a path of at most {LONGEST_FOLDER} bytes, such as /tmp")
    if own is None and len(os.fsencode(usual)) > LONGEST_FOLDER:
        os.environ["RAY_TMPDIR"] = "/tmp"


def _check_address(cluster: Cluster) -> None:
    """Check an address before Ray does, which would try it for minutes.

    Raises:
        InputError: nothing listens at the address (host:port, ray://host:port, or auto), or it is a dashboard's.
    """
    address, noted = cluster.address, ""
    if address.startswith(("http://", "https://")):
        raise InputError(
            f"{cluster.named}: a dashboard, which takes only jobs (ray job submit); a cluster is HOST:PORT, "
            "and this machine 'local'"
        )
    if address == "auto" and (file := _noted_cluster()).is_file():
        address, noted = file.read_text().strip(), f" at the address in {file}"
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{cluster.named}: no cluster answers{noted}: {error}") from error


def _noted_cluster() -> Path:
    """The file in which `ray start --head` notes the address that 'auto' means. A killed head leaves it there."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    return Path(folder) / "ray" / "ray_current_cluster"


def gpus_per_trial(spec: Spec, local: bool) -> float:
    """GPUs per trial. Checks that this machine has what the spec asks for, but not that a cluster has: it may grow.

    Raises:
        InputError: this machine does not have it, or it has GPUs that Ray does not find.
    """
    available = ray.cluster_resources()
    if local:
        for key, wanted in (("CPU", spec.resources.cpus), ("GPU", spec.resources.gpus or 0)):
            if wanted > available.get(key, 0):
                name = f"resources.{key.lower()}s"
                raise InputError(f"{name}: {wanted:g} wanted, and Ray finds {available.get(key, 0):g} on this machine")
    if spec.resources.gpus is not None:
        return spec.resources.gpus
    if available.get("GPU", 0):
        return SHARED_GPU
    if count := torch.cuda.device_count():
        raise InputError(
            f"resources.gpus: torch finds {count} on this machine, and Ray none (it asks NVML, as nvidia-smi does); "
            "write 0 to compute on CPUs"
        )
    return 0


def room(resources: dict[str, float]) -> int:
    """How many processes that take `resources` (cpu, gpu) each can run at once on Ray's nodes; at least 1."""
    available = ray.cluster_resources()
    return max(1, int(min(available.get(key.upper(), 0) / each for key, each in resources.items() if each)))


def in_use(resources: dict[str, float]) -> str:
    """Why no process that takes `resources` (cpu, gpu) can start now, where others hold what the cluster has; or ""."""
    there, free = ray.cluster_resources(), ray.available_resources()
    for key, each in resources.items():
        name = key.upper()
        if each and there.get(name, 0) >= each > free.get(name, 0):
            used = there[name] - free.get(name, 0)
            return f"no {name} free on the cluster ({used:g} of {there[name]:g} in use)"
    return ""


@contextmanager
def asked_ahead() -> Iterator[None]:
    """Let Ray Tune start up to `AHEAD` processes at once, so that an autoscaler sees how many wait."""
    if PENDING in os.environ:
        yield
        return
    os.environ[PENDING] = str(AHEAD)
    try:
        yield
    finally:
        del os.environ[PENDING]
