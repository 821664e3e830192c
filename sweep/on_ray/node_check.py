"""Checks, before anything is trained, that every node of a Ray cluster reaches the results and runs this code."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.errors import InputError, first_line
from sweep.plan.code_version import code_version
from sweep.store.redaction import redacted
from sweep.store.results import Results

ANSWER_SECONDS = 120
"""Seconds that a node may take to answer: it may have to start a process and unpack the code."""


@dataclass(frozen=True)
class Answer:
    """A node's answer: the version of its code, and what kept it from reading or writing, if anything did."""

    version: str
    problem: str | None


def answer(out: str, mark: str, name: str) -> Answer:
    """Read the mark that the driver wrote, and write one for the driver. Runs on each node."""
    results = Results(out)
    problem = None
    try:
        if results.read(mark) is None:
            problem = "what is written elsewhere does not appear there: it is not the same storage"
        results.write(f"{mark}-{name}", name.encode())
    except (OSError, InputError) as error:
        problem = redacted(first_line(error))
    return Answer(code_version(), problem)


def check_nodes(out: str, cpus: float, gpus: float) -> int:
    """Check that every node that can run a trial reads from `out` what this process writes there, and the reverse.

    Returns:
        How many such nodes there are. A node that Ray lists as alive and that has left is not counted.

    Raises:
        InputError: a node cannot read or write there, or runs other code; the message names it.
        OSError: this process cannot write there.
    """
    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and _fits(node["Resources"], cpus, gpus)}
    results, mark = Results(out), f".reach-{uuid.uuid4().hex[:8]}"
    results.write(mark, b"driver")
    ask = ray.remote(num_cpus=0, max_retries=0)(answer)
    asked = {
        name: ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote(out, mark, name)
        for name in nodes
    }
    there = 0
    try:
        if asked:  # all of them, so that none is still writing when the marks are removed
            ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_SECONDS)
        for name, reference in asked.items():
            node = f"node {nodes[name]['NodeManagerHostname']} ({nodes[name]['NodeManagerAddress']})"
            try:
                found = ray.get(reference, timeout=0)
            except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
                continue
            except ray.exceptions.RayError as error:
                why = str(error).strip().splitlines()[-1]
                raise InputError(f"--address: {node} does not answer: {redacted(why)}") from error
            if found.version != code_version():
                raise InputError(f"--address: {node} runs code version {found.version}, not {code_version()}")
            if found.problem is None and results.read(f"{mark}-{name}") is None:
                found = Answer(found.version, "what it writes does not appear here: it is not the same storage")
            if found.problem is not None:
                raise InputError(f"--out {out}: {node} cannot use it: {found.problem}")
            there += 1
    finally:
        for path in (mark, *(f"{mark}-{name}" for name in asked)):
            results.remove(path)
    return there


def _fits(resources: dict[str, float], cpus: float, gpus: float) -> bool:
    return resources.get("CPU", 0) >= cpus and resources.get("GPU", 0) >= gpus
