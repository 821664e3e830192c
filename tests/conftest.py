"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the tests' own for what a node keeps."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNLEARN_SWEEP_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def plugins_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget plugins that a test wrote: `sweep.run` in a later test would miss their files."""
    monkeypatch.setattr("sweep.spec.plugins._imported", {})
