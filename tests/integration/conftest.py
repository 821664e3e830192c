import os
import sys

import pytest
from tiny_sweeps import BUILT_INS, KILLER, MISBEHAVING, PLAIN_PRIORITY, Sweep, call, write_spec

from sweep.on_ray.session import session


@pytest.fixture(scope="session")
def shared_ray():
    """Ray, started once in this process: what `call` runs through Ray uses it, whatever address it gives.

    Its processes have the environment that is there now; a test cannot change it for them.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ({"PYTHONPATH": os.pathsep.join(sys.path)} | PLAIN_PRIORITY).items():
            patch.setenv(name, value)
        with session("local"):
            patch.undo()
            yield


@pytest.fixture(scope="session")
def ray_sweep(tmp_path_factory, shared_ray):
    """Every built-in method, and methods that raise, diverge and die, through Ray."""
    folder = tmp_path_factory.mktemp("ray")
    path = write_spec(folder, [KILLER, *BUILT_INS, *MISBEHAVING])
    return Sweep(path, folder / "out", call("run", path, "--out", folder / "out", "--track", "tensorboard"))


@pytest.fixture(scope="session")
def inline_sweep(tmp_path_factory):
    """Every built-in method, and methods that raise and diverge, in this process."""
    folder = tmp_path_factory.mktemp("inline")
    path = write_spec(folder, [*BUILT_INS, *MISBEHAVING])
    return Sweep(path, folder / "out", call("run", path, "--out", folder / "out", "--executor", "inline"))
