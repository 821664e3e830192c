"""What a results directory's spec.yaml says of its plan and its data set. Downloads nothing, and imports no
plugin that its reader does not name.
"""

from __future__ import annotations

import io
import json
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from analysis.pages.plan import Plan, Planned
from analysis.pages.samples import Samples
from sweep.errors import InputError
from sweep.spec.spec_file import read_yaml
from sweep.store.location import is_uri
from sweep.store.results import Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sweep.tasks.language.texts import Row, Texts

UNREAD = "spec.yaml is being read."
"""The plan, as long as it is not known yet."""

LONGEST_TEXT, LONGEST_ANSWER = 240, 80
"""Characters of a text, and of a candidate answer, that are shown."""


class StoredPlan:
    """The plan of a directory's spec.yaml. It takes seconds, or minutes where a large data set is to be hashed, so
    another thread makes it.
    """

    def __init__(self, results: Results, plugins: frozenset[str] = frozenset()) -> None:
        """Reads nothing yet.

        Args:
            plugins: names that may be imported.
        """
        self._results = results
        self._plugins = plugins
        self._text: bytes | None = None
        self._found: Plan = "there is no spec.yaml."
        self._made = threading.Event()

    def now(self) -> Plan:
        """The plan, or why it is not known; begins anew where spec.yaml has changed.

        Raises:
            OSError: spec.yaml cannot be read.
        """
        text = self._results.read("spec.yaml")
        if text is not None and text != self._text:
            self._text, self._found = text, UNREAD
            threading.Thread(target=self._make, args=(text,), daemon=True).start()
        return self._found

    def within(self, seconds: float) -> Plan:
        """The plan once it is known; after so many seconds why it is not.

        Raises:
            OSError: spec.yaml cannot be read.
        """
        if self.now() is UNREAD and not self._made.wait(seconds):
            return f"to plan spec.yaml takes longer than {seconds:g} s."
        return self._found

    def _make(self, text: bytes) -> None:
        try:
            found: Plan = planned(self._results, text, self._plugins)
        except (InputError, OSError) as error:
            found = f"{error}."
        except Exception:
            traceback.print_exc()
            found = "a bug of this program; its traceback is in the terminal."
        if text == self._text:
            self._found = found
        self._made.set()


def planned(results: Results, text: bytes, plugins: frozenset[str] = frozenset()) -> Planned:
    """The plan of a spec.yaml.

    Args:
        plugins: names that may be imported.

    Raises:
        InputError: it is no spec, names another plugin or data that is not on this machine, or its data is missing.
        OSError: its data, or a list of rows, cannot be read.
    """
    document = _document(text, plugins)
    from sweep.plan.trials import plan_trials
    from sweep.spec.sweep_spec import parse_spec

    spec = parse_spec(document)
    spec.find_lists(results)
    suggestions = 0 if spec.search is None else spec.search.trials
    return Planned({trial.id: trial.method for trial in plan_trials(spec)} if spec.methods else {}, suggestions)


class StoredSamples:
    """The samples of the data set that a directory's spec.yaml names; opened when they are first asked for."""

    def __init__(self, results: Results) -> None:
        """Reads nothing yet."""
        self._results = results
        self._text: bytes | None = None
        self._found: tuple[str, Samples] = ("", Samples())

    def of(self, config: str) -> Samples:
        """The samples of a trial's data set.

        Raises:
            OSError: spec.yaml cannot be read.
        """
        text = self._results.read("spec.yaml")
        if text is None:
            return Samples("there is no spec.yaml, which says where the data set lies.")
        if text != self._text:
            self._text = text
            try:
                self._found = _opened(text)
            except (InputError, OSError) as error:
                self._found = "", Samples(f"the data set cannot be opened here: {error}.")
        identity, samples = self._found
        wanted = json.loads(config).get("dataset", {})
        if identity and {key: wanted.get(key) for key in json.loads(identity)} != json.loads(identity):
            return Samples("spec.yaml is of another data set than this trial.")
        return samples


def _opened(text: bytes) -> tuple[str, Samples]:
    """What tells a data set from others, as JSON, and its samples."""
    document = _document(text)
    from sweep.plan.trials import dataset_identity
    from sweep.spec.plugins import find_dataset
    from sweep.spec.sweep_spec import parse_spec

    sections = {"name": "stored", "methods": [{"name": "retrain"}], "dataset": document.get("dataset", {})}
    dataset = parse_spec(sections).dataset
    shared = set(type(dataset).model_fields) - {"name"}
    identity = json.dumps({key: value for key, value in dataset_identity(dataset).items() if key not in shared})
    kind = find_dataset(dataset.name).kind
    if kind not in ("classification", "regression", "language"):
        return "", Samples()
    data = find_dataset(dataset.name)(**(dataset.model_extra or {})).load()
    if kind == "language":
        return identity, _Texts(data)
    prefixes = "images", "inputs"
    train, test = (
        next((getattr(data, f"{part}_{name}") for name in prefixes if hasattr(data, f"{part}_{name}")), None)
        for part in ("train", "test")
    )
    if train is None or test is None or train.ndim != 4:
        return "", Samples()
    called = getattr(data, "called", None)
    names = () if called is None else called.names or tuple(map(str, called.values))
    return identity, _Images(train, test, names)


class _Images(Samples):
    """Arrays uint8 [N, C, H, W]."""

    def __init__(self, train: NDArray[np.uint8], test: NDArray[np.uint8], classes: Sequence[str]) -> None:
        super().__init__(classes=classes)
        self._train, self._test = train, test

    def png(self, part: str, sample: int) -> bytes:
        from PIL import Image

        images = self._test if part == "test" else self._train
        if sample >= len(images):
            return b""
        image = images[sample]
        made = Image.fromarray(image[0] if len(image) != 3 else image.transpose(1, 2, 0))
        content = io.BytesIO()
        made.save(content, "PNG")
        return content.getvalue()


class _Texts(Samples):
    """Questions with their candidate answers, and plain texts."""

    def __init__(self, texts: Texts) -> None:
        super().__init__()
        self._texts = texts

    def text(self, part: str, sample: int) -> str:
        row = self._row(part, sample)
        return shorten(row.question or row.answer, LONGEST_TEXT, placeholder="…") if row else ""

    def answers(self, part: str, sample: int) -> Sequence[str]:
        row = self._row(part, sample)
        if row is None or (row.question is None and len(row.choices) == 1):  # a text alone is no answer
            return ()
        return [shorten(choice, LONGEST_ANSWER, placeholder="…") for choice in row.choices]

    def _row(self, part: str, sample: int) -> Row | None:
        rows = self._texts.asked_of(part)
        return rows[sample] if sample < len(rows) else None


def _document(text: bytes, plugins: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A spec.yaml as plain data that is safe to plan: without other plugins than these, without what lies elsewhere.

    Raises:
        InputError: it is no mapping, or names such a thing.
    """
    document = read_yaml(text.decode(errors="replace"), "spec.yaml")
    if not isinstance(document, dict):
        raise InputError("spec.yaml is no mapping")
    if any(map(is_uri, _strings(document))):
        raise InputError("spec.yaml names a URI, which is not opened here")
    for key, name in _named(document):
        if ":" in name and name not in plugins:
            raise InputError(f"the {key} {name} is a plugin, which is not imported here")
    for key in ("dataset", "model"):
        section = document.get(key)
        if isinstance(section, dict) and section.get("download"):
            document[key] = section | {"download": False}
    return document


def _strings(document: Any) -> Iterator[str]:
    """Every string in a YAML document, keys too. A part that aliases name again, or that holds itself, counts once."""
    left, seen = [document], set()
    while left:
        part = left.pop()
        if isinstance(part, str | bytes):
            yield part if isinstance(part, str) else part.decode(errors="replace")
        elif isinstance(part, Mapping | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            left += [*part, *part.values()] if isinstance(part, Mapping) else part


def _named(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The sections of a spec that may name code, and what they name."""
    search = document.get("search")
    methods = [document.get("methods"), search.get("methods") if isinstance(search, dict) else None]
    listed = [("method", entry) for entries in methods if isinstance(entries, list) for entry in entries]
    for key, section in [("data set", document.get("dataset")), ("model", document.get("model")), *listed]:
        if isinstance(section, dict):
            yield key, str(section.get("name", ""))
