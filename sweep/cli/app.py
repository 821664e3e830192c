"""The command line. Each command imports what is slow to load when it is called."""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import typer

from sweep.cli.exit_status import INTERRUPTED
from sweep.cli.export import export
from sweep.cli.listing import listing
from sweep.cli.messages import fail
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

COMMANDS = (run, search, plan, status, view, report, score, export, track, rerun, schema)

FEW_COLLECTIONS = 100_000
"""Objects made before Python looks for unreachable ones: what torch and pandas load stays, and is searched in vain."""

app = typer.Typer(
    help="Fair, resumable sweeps over machine-unlearning methods.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(listing, name="list")


def main() -> NoReturn:
    """Run the command that was given, and exit: 0 all trials ended, 1 some failed or could not be stored, 2 bad input,
    3 the time budget is spent, 130 interrupted.
    """
    gc.set_threshold(FEW_COLLECTIONS)
    try:
        _require_own_packages()
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


def _require_own_packages() -> None:
    """Refuse to run where a module on PYTHONPATH hides one of this project's packages."""
    for name in ("analysis", "methods"):
        found = find_spec(name)
        place = None if found is None else found.origin or next(iter(found.submodule_search_locations or ()), None)
        if place is None or Path(place).parent.resolve() != Path(__file__).parents[2].resolve() / name:
            raise InputError(f"PYTHONPATH: {place} hides this project's package '{name}'; give it another name")
