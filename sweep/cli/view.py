"""The command `view`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.arguments import DirectoryArgument
from sweep.cli.messages import warn
from sweep.errors import InputError


def view(
    directory: DirectoryArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine; 0: a free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the web browser.")] = False,
) -> None:
    """Serve pages of a results directory to this machine, while its sweep runs or later, until Ctrl-C ends it."""
    from analysis.pages.followed import Followed
    from sweep.cli.serving import LOOPBACK, Server
    from sweep.cli.stored_spec import StoredPlan, StoredSamples
    from sweep.store.read_only import ReadOnly
    from sweep.store.results import existing_results

    existing_results(directory)
    results = ReadOnly(directory)
    pages = Followed(results, StoredSamples(results).of, StoredPlan(results).now)
    try:
        server = Server(pages.page, port)
    except OSError as error:
        raise InputError(f"--port {port}: {LOOPBACK}:{port} cannot be used: {error.strerror}") from error
    with server:
        print(f"{directory}: {server.url} (Ctrl-C ends it)", flush=True)
        if open_browser:
            _open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, so no failure
            return


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        warn("--open: there is no web browser to open")
