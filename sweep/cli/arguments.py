"""Arguments and options that several commands take."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sweep.run.driver import Executor


class ExecutorName(StrEnum):
    """Where trials run."""

    ray = "ray"
    inline = "inline"


class TrackerName(StrEnum):
    """Where trials can be sent."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


SpecArgument = Annotated[str, typer.Argument(metavar="[SPEC]", help="A spec file, or the name of a preset.")]


SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a key, e.g. methods.uam.rho=[1,2].")
]


OutOption = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Results directory or URI; results/<name> by default.")
]


AddressOption = Annotated[str | None, typer.Option(metavar="ADDR", help="Address of a Ray cluster, or 'auto'.")]


ExecutorOption = Annotated[ExecutorName, typer.Option(help="Ray Tune, or this process without Ray.")]


RefreshOption = Annotated[bool, typer.Option(help="Run again what another code version wrote.")]


RetryFailedOption = Annotated[bool, typer.Option(help="Run again the trials that failed.")]


TimeBudgetOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Start no trial after so long, e.g. 2h or 1h30m; exit status 3.")
]


TrackOption = Annotated[
    list[TrackerName] | None, typer.Option("--track", help="Send each trial that ends there, as a run of its own.")
]


def executor_named(chosen: ExecutorName) -> Executor:
    from sweep.on_ray.ray_tune import RAY
    from sweep.run.driver import INLINE

    return RAY if chosen is ExecutorName.ray else INLINE
