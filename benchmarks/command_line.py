"""The command `unlearn-sweep`: where it is, and what it costs."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


def script() -> str:
    """The command beside this Python, else the first on the path.

    A machine whose packages lie in a folder of their own has it on the path only.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("unlearn-sweep", path=os.pathsep.join([str(beside), os.environ.get("PATH", "")]))
    if found is None:
        raise SystemExit(f"no command unlearn-sweep in {beside} nor on the path; `make install` puts it beside Python")
    return found


def measure(*arguments: object) -> str:
    """Seconds of the whole command, by the clock and of computing, and its most memory, in words."""
    began = time.perf_counter()
    process = subprocess.Popen([script(), *map(str, arguments)], stdout=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    seconds, computing = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"unlearn-sweep {arguments[0]} exited with {process.returncode}")
    return f"{seconds:.1f} s, {computing:.1f} s of computing, {usage.ru_maxrss / 2**20:.2f} GiB at most"


def environment() -> dict[str, str]:
    """For commands that are to find the modules beside this one, as plugins."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_worker_niceness": "0"}
