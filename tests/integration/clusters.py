"""Ray clusters of several nodes on this machine, each node in a session of processes of its own."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiny_sweeps import PLAIN_PRIORITY, end_session

AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "7" * 32}
FOLDER = str(Path(__file__).parent)
RAY = str(Path(sys.executable).with_name("ray"))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    """A head, which asks for a token, and nodes that come and go. A context manager.

    Args:
        cpus: of the head.
        options: further ones of the head's `ray start`.
        environment: of every node.
    """

    def __init__(self, cpus=2, options=("--include-dashboard=false",), environment=None):
        self.address = f"127.0.0.1:{free_port()}"
        self.options = list(options)
        self.environment = dict(environment or {})
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets in it must have short paths
        self._nodes = []
        self._cpus = cpus

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        options = [f"--port={port}", "--disable-usage-stats", f"--temp-dir={self._folder}", *self.options]
        self.head = self._start([RAY, "start", "--head", f"--num-cpus={self._cpus}", *options])
        return self

    def __exit__(self, *exception):
        for node in self._nodes[::-1]:
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, name, cpus=1, hidden=None, access="ro", environment=None):
        """Start a node with a host name of its own, for which the directory `hidden` is an empty one."""
        command = [RAY, "start", f"--address={self.address}", f"--num-cpus={cpus}"]
        steps = [f"hostname {name}", *([f"mount -t tmpfs -o {access} tmpfs {hidden}"] if hidden else []), 'exec "$@"']
        return self._start(["unshare", "-um", "sh", "-c", " && ".join(steps), "node", *command], environment)

    def kill(self, node):
        """End all of a node's processes at once."""
        end_session(node.pid)
        node.wait()

    def _start(self, command, environment=None):
        said = Path(self._folder) / f"node-{len(self._nodes)}.log"
        variables = {"PYTHONPATH": FOLDER, "PYTHONUNBUFFERED": "1"} | self.environment | (environment or {})
        with said.open("w") as log:
            node = subprocess.Popen(
                [*command, "--block"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | AUTHENTICATION | PLAIN_PRIORITY | variables,
                start_new_session=True,
            )
        self._nodes.append(node)

        def registered():
            assert node.poll() is None, said.read_text()
            return "Ray runtime started" in said.read_text()

        wait_until(registered)
        return node


def wait_until(condition, seconds=180):
    """Until the function returns something true; an AssertionError when that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
