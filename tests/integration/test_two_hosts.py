"""Two hosts, each with a network, mounts and a name of its own, and a link between them that is cut for good."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from clusters import AUTHENTICATION, FOLDER, RAY, wait_until
from tiny_sweeps import PLAIN_PRIORITY, call, end_session, ended_on_error, rows, start, write_spec

from sweep.store.results import Results

METHODS = [{"name": "sweep_plugins:Slow", "epochs": 1, "lr": [round(0.01 * step, 2) for step in range(1, 13)]}]
ADDRESSES = {"here": "10.11.12.1", "there": "10.11.12.2"}
HEAD = f"{ADDRESSES['here']}:6379"


def why_not():
    """Why this machine cannot have such hosts; None if it can."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return "needs ip, unshare and nsenter"
    link = "ip link add one type veth peer name two && mount -t tmpfs tmpfs /mnt"
    made = subprocess.run(["unshare", "-unm", "sh", "-c", link], capture_output=True, text=True)
    return f"namespaces are not allowed here: {made.stderr.strip()}" if made.returncode else None


class Host:
    """A host: processes in namespaces of their own. A context manager; its end kills all that was started in it."""

    def __init__(self, name, hidden):
        known = Path(hidden) / "hosts"
        known.write_text("127.0.0.1 localhost\n" + "".join(f"{each} {other}\n" for other, each in ADDRESSES.items()))
        mounts = f"mount --bind {known} /etc/hosts && mount -t tmpfs tmpfs {hidden}"
        steps = f"hostname {name} && ip link set lo up && {mounts} && echo up && exec sleep 3600"
        self._sessions = [subprocess.Popen(["unshare", "-unm", "sh", "-c", steps], stdout=subprocess.PIPE, text=True)]
        self.pid = self._sessions[0].pid
        assert self._sessions[0].stdout.readline() == "up\n"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process in self._sessions[::-1]:
            end_session(process.pid)
            process.kill()
            process.wait()

    def within(self, *command):
        return ["nsenter", f"--target={self.pid}", "--net", "--uts", "--mount", *command]

    def run(self, *command):
        subprocess.run(self.within(*command), check=True, capture_output=True, timeout=60)

    def start_ray(self, log, *options):
        variables = {"PYTHONPATH": FOLDER, "PYTHONUNBUFFERED": "1", "PAUSE": "6"} | AUTHENTICATION | PLAIN_PRIORITY
        with log.open("w") as said:
            command = self.within(RAY, "start", *options, "--num-cpus=1", "--block")
            environment = {**os.environ, **variables}
            node = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
        self._sessions.append(node)
        wait_until(lambda: node.poll() is not None or "Ray runtime started" in log.read_text())
        assert node.poll() is None, log.read_text()


@pytest.mark.soak
def test_a_sweep_whose_hosts_lose_sight_of_each_other_for_good_ends_with_all_rows(tmp_path):
    if reason := why_not():
        pytest.skip(reason)
    path, out = write_spec(tmp_path, METHODS, seeds=[0, 1], max_retries=0), tmp_path / "out"
    assert call("run", path, "--out", tmp_path / "one", "--executor", "inline").code == 0
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as hidden:
        cut_in_the_middle(path, out, hidden, tmp_path)
    assert hosts(out) == {"here", "there"}
    assert rows(out) == rows(tmp_path / "one")


def cut_in_the_middle(path, out, hidden, logs):
    """Run the sweep on two hosts, and cut the link between them once both have stored a row."""
    with Host("here", hidden) as here, Host("there", hidden) as there:
        link = ("ip", "link", "add", "eth", "netns", str(here.pid), "type", "veth")
        subprocess.run([*link, "peer", "name", "eth", "netns", str(there.pid)], check=True)
        for host, address in zip((here, there), ADDRESSES.values(), strict=True):
            host.run("ip", "address", "add", f"{address}/24", "dev", "eth")
            host.run("ip", "link", "set", "eth", "up")
        own = f"--node-ip-address={ADDRESSES['here']}"
        here.start_ray(logs / "here.log", "--head", own, "--include-dashboard=false", f"--temp-dir={hidden}")
        there.start_ray(logs / "there.log", f"--address={HEAD}", f"--node-ip-address={ADDRESSES['there']}")
        command = ("run", path, "--out", out, "--address", HEAD)
        process = start(*command, prefix=here.within(), **AUTHENTICATION)
        with ended_on_error(process):
            wait_until(lambda: process.poll() is not None or {"here", "there"} <= hosts(out))
            before = len(rows(out))
            here.run("ip", "link", "set", "eth", "down")
            _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert before < 24


def hosts(out):
    return set(Results(str(out)).trials().table["host"].to_pylist())
