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
    """A head, which asks for a token, and nodes that come and go. A context manager."""

    def __init__(self, cpus=2):
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets in it must have short paths
        self._nodes = []
        self._cpus = cpus

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        options = ["--head", f"--port={port}", "--include-dashboard=false", "--disable-usage-stats"]
        self.head = self._start([RAY, "start", *options, f"--num-cpus={self._cpus}", f"--temp-dir={self._folder}"], 1)
        return self

    def __exit__(self, *exception):
        for node in self._nodes[::-1]:
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, name, cpus=1, hidden=None):
        """Start a node with a host name of its own, for which the directory `hidden` is an empty one."""
        command = [RAY, "start", f"--address={self.address}", f"--num-cpus={cpus}"]
        steps = [f"hostname {name}", *([f"mount -t tmpfs -o ro tmpfs {hidden}"] if hidden else []), 'exec "$@"']
        return self._start(["unshare", "-um", "sh", "-c", " && ".join(steps), "node", *command], self._raylets() + 1)

    def kill(self, node):
        """End all of a node's processes at once."""
        end_session(node.pid)
        node.wait()

    def _raylets(self):
        return len(list(Path(self._folder).glob("session_2*/sockets/raylet*")))

    def _start(self, command, raylets):
        node = subprocess.Popen(
            [*command, "--block"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | AUTHENTICATION | PLAIN_PRIORITY | {"PYTHONPATH": FOLDER, "PAUSE": "2"},
            start_new_session=True,
        )
        self._nodes.append(node)
        deadline = time.monotonic() + 180
        while self._raylets() < raylets:
            assert node.poll() is None, "Ray did not start"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return node
