"""The command `track`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.arguments import DirectoryArgument, TrackerName
from sweep.cli.messages import fail, warn_of_damage
from sweep.errors import first_line
from sweep.words import counted


def track(
    directory: DirectoryArgument,
    to: Annotated[list[TrackerName], typer.Option("--to", help="The tracker; may be given several times.")],
) -> None:
    """Send the trials of a results directory that were not sent yet to an experiment tracker, each as a run."""
    from sweep.store.results import existing_results
    from sweep.track.trackers import open_tracker
    from sweep.track.tracking import Sender

    results = existing_results(directory)
    warn_of_damage(results.trials(["trial_id"]))
    for name in dict.fromkeys(to):
        sender = Sender(results, name, open_tracker(name, results, "--to"))
        try:
            sender.send_all()
        except Exception as error:
            sent = f"--to {name}: {counted(sender.count, 'trial')} sent"
            raise typer.Exit(fail(f"{sent}, then: {first_line(error)}; the same command goes on", 1)) from error
        print(f"{name}: {counted(sender.count, 'trial')} sent, {sender.before} before")
