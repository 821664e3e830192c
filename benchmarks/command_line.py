"""Where the command `unlearn-sweep` is."""

import os
import shutil
import sys
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
