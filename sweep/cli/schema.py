"""The command `schema`."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON schema of a spec, for editors' completion."""
    import json

    from sweep.spec.schema import spec_schema

    typer.echo(json.dumps(spec_schema(), indent=2))
