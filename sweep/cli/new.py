"""The command `new`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.completion import completed
from sweep.cli.exit_status import INTERRUPTED
from sweep.cli.messages import fail
from sweep.errors import InputError

DATA, SEEDS, FORGET, FILE = "digits", 3, "0.1", "sweep.yaml"
"""What stands for an option that is not given."""


def new(
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="A built-in data set, a folder of Parquet files, or one of images in train/CLASS/ and test/CLASS/.",
            autocompletion=completed("datasets"),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The network; one that suits the data.", autocompletion=completed("models")),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Beside Original and Retrain.", autocompletion=completed("methods")),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, metavar="COUNT", help="How many seeds.")] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="SHARE|class:LABEL", help="What is forgotten, e.g. 0.1 or class:3.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Where to write; sweep.yaml by default.")] = None,
) -> None:
    """Write a first spec, with comments. Asks, unless an option is given or nobody is there to answer."""
    there = sys.stdin is not None and sys.stdin.isatty()  # None: it is closed
    asks = there and all(each is None for each in (data, model, methods, seeds, forget, out))
    from sweep.plan.check import check_task
    from sweep.spec.first_spec import STARTS, default_methods, first_spec, suited_model
    from sweep.spec.spec_file import read_yaml, write_new
    from sweep.spec.sweep_spec import parse_spec

    if asks:
        print(f"Enter takes what stands in brackets. Data sets: {', '.join(STARTS)}, or a folder of your own.")
    try:
        data = typer.prompt("Data", default=DATA) if asks else data or DATA
        usual = ",".join(default_methods(data))
        if asks:
            model = typer.prompt("Network", default=suited_model(data))
            methods = typer.prompt("Methods beside Original and Retrain", default=usual)
            seeds = typer.prompt("Number of seeds", default=SEEDS, type=int)
            forget = typer.prompt("Share of the training data to forget, or class:LABEL", default=FORGET)
            out = typer.prompt("File", default=FILE)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(fail("interrupted; nothing was written", INTERRUPTED))
    path = Path(out or FILE)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem) or path.suffix not in (".yaml", ".yml"):
        raise InputError(f"--out {path}: write a name of letters, digits, '.', '_' and '-' that ends in .yaml")
    names = [name.strip() for name in (methods or usual).split(",") if name.strip()]
    text = first_spec(path, data, model, names, SEEDS if seeds is None else seeds, forget or FORGET)
    spec = parse_spec(read_yaml(text, str(path)))
    if not (spec.dataset.model_extra or {}).get("download"):
        check_task(spec)
    try:
        write_new(path, text)
    except FileExistsError:
        raise InputError(f"--out {path}: is there already; name another file") from None
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from error
    console = Console(markup=False)
    console.print(f"{path} is written; next: unlearn-sweep plan {path}", soft_wrap=True, highlight=False)
