"""Arguments and options that several commands take, and what their values stand for."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sweep.cli.completion import completed
from sweep.errors import InputError, nearest

if TYPE_CHECKING:
    from sweep.engine.driver import Executor
    from sweep.plan.shards import Shard

Name = TypeVar("Name", bound=StrEnum)


class ExecutorName(StrEnum):
    """Where trials run."""

    ray = "ray"
    inline = "inline"


class TrackerName(StrEnum):
    """Where trials can be sent."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


SpecArgument = Annotated[
    str,
    typer.Argument(metavar="[SPEC]", help="A spec file, or the name of a preset.", autocompletion=completed("specs")),
]

DirectoryArgument = Annotated[str, typer.Argument(metavar="DIR", help="A results directory or URI.")]

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a key, e.g. 'methods.uam.rho=[1,2]'.")
]

OutOption = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Results directory or URI; results/<name> by default.")
]

ReportOutOption = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Where to write; DIR/report by default.")
]

AddressOption = Annotated[str | None, typer.Option(metavar="ADDR", help="Address of a Ray cluster, or 'auto'.")]

ExecutorOption = Annotated[ExecutorName, typer.Option(help="Ray Tune, or this process without Ray.")]

ForecastOption = Annotated[
    bool, typer.Option(help="Time a few batches on this machine, and say how long the rest would take on it.")
]

RefreshOption = Annotated[
    bool,
    typer.Option(help="Run again the trials that another code version computed, or that kept fewer predictions."),
]

RetryFailedOption = Annotated[bool, typer.Option(help="Run again the trials that failed.")]

TimeBudgetOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start no trial after this time, e.g. 2h or 1h30m; then exit with status 3."),
]

ShardOption = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="Only the K-th of N parts of the trials, as a task of a job array runs it."),
]

TrackOption = Annotated[
    list[TrackerName] | None, typer.Option("--track", help="Send each trial there, as a run of its own.")
]


def named(option: str, name: str, names: type[Name]) -> Name:
    """The member of `names` that a call from Python names as a command's option would.

    Raises:
        InputError: there is none.
    """
    try:
        return names(name)
    except ValueError:
        raise InputError(f"{option}: {name!r} is unknown; {nearest(name, [*names])}") from None


def executor_named(chosen: ExecutorName) -> Executor:
    """The executor that an option names."""
    from sweep.engine.inline import INLINE
    from sweep.on_ray.entry import RAY

    return RAY if chosen is ExecutorName.ray else INLINE


def require_no_address_inline(address: str | None, executor: ExecutorName) -> None:
    """Raise InputError if a cluster is named for the executor that uses none."""
    if address is not None and executor is ExecutorName.inline:
        raise InputError("--address: the inline executor uses no cluster; drop one of the two")


def report_folder(directory: str, out: str | None) -> Path:
    """Where to write what results show: `out`, or the folder `report` of the results directory.

    Raises:
        InputError: it is no folder, or none is given for results at a URI.
    """
    from sweep.store.location import local_path

    place = local_path(directory) if out is None else Path(out)
    if place is None:
        raise InputError("--out: needed where the results are at a URI")
    folder = place / "report" if out is None else place
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is not a directory")
    return folder


def seconds_of(time_budget: str | None) -> float | None:
    """Seconds of a `--time-budget` such as 2h, 1h30m or 90s; None if none is given.

    Raises:
        InputError: the text is no such duration.
    """
    if time_budget is None:
        return None
    number = r"([0-9]+(?:\.[0-9]+)?)"
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", time_budget)
    if found is None or not time_budget:
        raise InputError(
            f"--time-budget {time_budget or repr(time_budget)}: write hours, minutes, seconds, as in 2h or 1h30m"
        )
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def shard_named(shard: str | None) -> Shard | None:
    """The shard that an option such as 3/40 names; None if none is given.

    Raises:
        InputError: it names no shard, or one that is not there.
    """
    if shard is None:
        return None
    from sweep.plan.shards import Shard

    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    if found is None:
        raise InputError(f"--shard {shard}: write which of how many, as in 3/40")
    number, count = int(found[1]), int(found[2])
    if not 1 <= number <= count:
        raise InputError(f"--shard {shard}: " + (f"shards are 1/{count} to {count}/{count}" if count else "no shards"))
    return Shard(number, count)
