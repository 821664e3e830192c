"""One use of a GPU machine: steps taken in order within a budget, and what is known of them kept for another day."""

import contextlib
import dataclasses
import json
import os
import subprocess
import tarfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaos import end_session
from made_trials import ENVIRONMENT

from sweep.plan.code_version import code_version

STORE_EVERY = 20.0
"""Seconds between two writings of what there is, while a step runs."""
MARGIN = 8.0
"""Seconds of the budget that are left for the last of them."""
LEFT_OUT = {"models", "predictions"}
"""Folders of results that stay behind; so do those whose name starts with a dot."""
LAST_LINES = 15
"""Of a command that did not end well, gpu.md shows so many."""


@dataclass(frozen=True)
class Options:
    """What holds for every step: how, and on what, trials are run."""

    tiny: bool
    epochs: int
    data: str

    @property
    def gpu(self) -> bool:
        return not self.tiny


@dataclass(frozen=True)
class Step(ABC):
    """Something to be tried.

    Attributes:
        name, title: of the step, and of its part of gpu.md.
        least: seconds without which it is not begun.
        limit: seconds after which it is ended.
    """

    name: str
    title: str
    least: float
    limit: float

    def done(self, visit: "Visit") -> bool:
        return visit.record(self).done

    @abstractmethod
    def run(self, visit: "Visit", seconds: float) -> None:
        """Do it within so many seconds, and say in `visit.record(self)` what was found."""


@dataclass
class Record:
    """What is known of a step, on whichever days: `notes` are its visits, `text` is what was found, as Markdown."""

    begun: bool = False
    done: bool = False
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    text: str = ""

    def say(self, note: str) -> None:
        print(note, flush=True)
        self.notes.append(note)


@dataclass
class Visit:
    """One use of the machine: where results are, until when, and what is known of each step."""

    out: Path
    work: Path
    options: Options
    ends: float
    machine: str
    steps: list[Step]
    records: dict[str, Record] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.ends - time.monotonic()

    @property
    def state(self) -> Path:
        """The file that says what is known of the steps."""
        return self.work / "visits.json"

    def record(self, step: Step) -> Record:
        return self.records.setdefault(step.name, Record())

    def go_on(self, earlier: Path | None) -> None:
        """Go on from what lies in `work`, or else from an earlier visit's `results.tar`, if there is one."""
        if not self.state.is_file() and earlier is not None:
            with tarfile.open(earlier) as archive:
                archive.extractall(self.work, filter="data")
        if self.state.is_file():
            state = json.loads(self.state.read_text())
            self.records = {name: Record(**record) for name, record in state["records"].items()}
            self.machines = state["machines"]

    def go(self, chosen: list[Step]) -> None:
        """Take the steps that fit into what is left."""
        recipe = "tiny" if self.options.tiny else f"{self.options.epochs} epochs of training with ResNet-18"
        self.machines.append(f"{self.machine}; code {code_version()}; {recipe}")
        print(self.machines[-1], flush=True)
        self.store()
        for step in chosen:
            began = time.monotonic()
            try:
                self.take(step)
            except Exception as error:  # the other steps are still to be taken
                self.record(step).say(f"Visit {len(self.machines)}: {type(error).__name__}: {error}")
            finally:
                self.record(step).seconds += time.monotonic() - began
                self.store()

    def take(self, step: Step) -> None:
        """Take one step, unless it is done or does not fit."""
        record, least, most = self.record(step), step.least, min(step.limit, self.left - MARGIN)
        if self.options.tiny:
            least, most = 0, self.left - MARGIN
        record.done = step.done(self)
        if record.done:
            print(f"{step.name}: done before", flush=True)
        elif most < least:
            print(f"{step.name}: needs {least:.0f} s, and {max(0, most):.0f} s are left", flush=True)
        else:
            print(f"{step.name}: {step.title} At most {most:.0f} s.", flush=True)
            began, record.begun = time.monotonic(), True
            step.run(self, most)
            record.done = step.done(self)
            print(f"{step.name}: {time.monotonic() - began:.0f} s", flush=True)

    def command(
        self, words: list[str], seconds: float, watch: Callable[[int], None] | None = None
    ) -> tuple[int | None, list[str]]:
        """Run a command and print its lines as they come; its exit status, None if its time was over, and the lines."""
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, start_new_session=True
        )
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(map(printed, process.stdout or ())), daemon=True)
        reading.start()
        ends, kept = time.monotonic() + seconds, time.monotonic()
        try:
            while process.poll() is None and time.monotonic() < ends:
                time.sleep(0.1)
                if watch is not None:
                    watch(process.pid)
                if time.monotonic() > kept + STORE_EVERY:
                    with contextlib.suppress(OSError):  # a file may vanish while it is read; the next time will do
                        self.store()
                    kept = time.monotonic()
            code = process.poll()
        finally:
            end_session(process.pid)
            process.wait()
        reading.join(5)
        return code, lines

    def store(self) -> None:
        """Write the state, `results.tar` and `gpu.md`, each as a whole or not at all."""
        state = {name: dataclasses.asdict(record) for name, record in self.records.items()}
        archive, page, new = self.out / "results.tar", self.out / "gpu.md", self.work / ".visits.json"
        new.write_text(json.dumps({"machines": self.machines, "records": state}))
        os.replace(new, self.state)
        with tarfile.open(f"{archive}.new", "w") as writing:
            for path in sorted(self.work.iterdir()):
                writing.add(path, path.name, filter=wanted)
        os.replace(f"{archive}.new", archive)
        Path(f"{page}.new").write_text(self.page(), encoding="utf-8")
        os.replace(f"{page}.new", page)

    def page(self) -> str:
        """What was found, as Markdown."""
        lines = ["# What was tried on a GPU", ""]
        lines += [f"{number}. {machine}" for number, machine in enumerate(self.machines, 1)] + [""]
        lines += ["| step | state | seconds |", "|:--|:--|--:|"]
        for step in self.steps:
            record = self.record(step)
            state = "done" if record.done else "begun, to be continued" if record.begun else "still to be run"
            lines.append(f"| {step.name} | {state} | {record.seconds:.0f} |")
        for step in self.steps:
            record = self.record(step)
            if record.text or record.notes:
                lines += ["", f"## {step.name}: {step.title}", "", record.text, *(f"- {note}" for note in record.notes)]
        return "\n".join(lines) + "\n"


def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Of what lies in the folders of results, what comes back."""
    parts = Path(member.name).parts
    return None if any(part in LEFT_OUT or part.startswith(".") for part in parts) else member


def printed(line: str) -> str:
    print("  " + line, end="", flush=True)
    return line.rstrip("\n")


def quoted(lines: list[str], most: int = LAST_LINES) -> str:
    return "```\n" + "\n".join(lines[-most:]) + "\n```"
