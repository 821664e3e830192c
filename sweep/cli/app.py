"""The command line. Each command imports what is slow to load when it is called."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from sweep.cli.exit_status import INTERRUPTED
from sweep.cli.export import export
from sweep.cli.listing import listing
from sweep.cli.merge import merge
from sweep.cli.messages import fail
from sweep.cli.new import new
from sweep.cli.own_packages import require_own_packages
from sweep.cli.plan import plan
from sweep.cli.report import report
from sweep.cli.rerun import rerun
from sweep.cli.run import run
from sweep.cli.schema import schema
from sweep.cli.score import score
from sweep.cli.search import search
from sweep.cli.status import status
from sweep.cli.track import track
from sweep.cli.view import view
from sweep.errors import InputError, Unsuccessful

COMMANDS = (new, run, search, plan, status, view, report, score, export, merge, track, rerun, schema)

FEW_COLLECTIONS = 100_000
"""Objects that Python makes before it looks for unreachable ones. Among what torch and pandas load there are none."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from sweep.plan.code_version import code_version

        typer.echo(f"unlearn-sweep {code_version()}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, as in rows, and exit."
        ),
    ] = False,
) -> None:
    """Fair, resumable sweeps over machine-unlearning methods."""


for command in COMMANDS:
    app.command()(command)
app.add_typer(listing, name="list")


def main() -> NoReturn:
    """Run the command that was given, and exit: 0 all trials ended, 1 some failed or could not be stored, 2 bad input,
    3 the time budget is spent, 130 interrupted.
    """
    gc.set_threshold(FEW_COLLECTIONS)
    try:
        if sys.platform == "win32":
            raise InputError("this needs Linux or macOS; on Windows, use WSL")
        require_own_packages()
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this status and prints nothing
            raise KeyboardInterrupt
    except InputError as error:
        code = fail(str(error), 2)
    except Unsuccessful as error:
        code = fail(str(error), 1)
    except typer.TyperException as error:
        code = fail(error.format_message().replace("Value error, ", ""), 2)  # the message names the option
    except (KeyboardInterrupt, typer.Abort):
        code = fail("interrupted; finished trials are kept, and the same command runs the rest", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        code = fail(f"{error}; what was stored before is kept", 1)
    sys.exit(code)
