import pytest
from tiny_sweeps import BUILT_INS, KILLER, MISBEHAVING, Sweep, call, run, write_spec


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def ray_sweep(tmp_path_factory):
    """Every built-in method, and methods that raise, diverge and die, through Ray."""
    folder = tmp_path_factory.mktemp("ray")
    path = write_spec(folder, [KILLER, *BUILT_INS, *MISBEHAVING])
    return Sweep(path, folder / "out", run("run", path, "--out", folder / "out", "--track", "tensorboard"))


@pytest.fixture(scope="session")
def inline_sweep(tmp_path_factory):
    """Every built-in method, and methods that raise and diverge, in this process."""
    folder = tmp_path_factory.mktemp("inline")
    path = write_spec(folder, [*BUILT_INS, *MISBEHAVING])
    return Sweep(path, folder / "out", call("run", path, "--out", folder / "out", "--executor", "inline"))
