"""Live progress of a search: a bar for each method on a terminal, a line per suggestion elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from sweep.objective import Standing
from sweep.progress import progress_bar
from sweep.study import Study, Suggestion


class SearchProgress:
    """Counts suggestions as they begin and end. A context manager: the bars live inside it."""

    def __init__(self, console: Console, studies: Sequence[Study]) -> None:
        self._console = console
        self._bar = progress_bar(console)
        self._best: dict[str, float] = {}
        self._done: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._budgets = {study.name: study.definition.budget for study in studies}
        self._tasks = {}
        for study in studies:
            known = [study.standing(number) for number in study.finished()]
            self._done[study.name] = len(known)
            for found in known:
                self._note(study.name, found)
            self._tasks[study.name] = self._bar.add_task(
                study.name, total=study.definition.budget, completed=len(known), detail=self._detail(study.name)
            )

    def __enter__(self) -> SearchProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line, above the bars if there are any."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def began(self, suggestion: Suggestion) -> None:
        """A suggestion's first trial starts."""
        self._running[suggestion.study] += 1
        self._refresh(suggestion.study)

    def ended(self, study: Study, suggestion: Suggestion, found: Standing) -> None:
        """A suggestion ended."""
        self._running[study.name] -= 1
        self._done[study.name] += found.state != "unfinished"
        self._note(study.name, found)
        values = f": {study.named(found.means[-1])}" if found.means else ""
        if found.means and found.state != "complete":
            values += f" after {len(found.means)} of {len(suggestion.trials)} seeds"
        line = f"{study.name} {suggestion.number} {found.state}{values} ({study.drawn(suggestion)})"
        if not self._console.is_terminal:
            done, budget = self._done[study.name], self._budgets[study.name]
            self._console.print(f"[{done}/{budget}] {line}", markup=False, highlight=False, soft_wrap=True)
        elif found.state == "failed":
            self._console.print(line, markup=False, style="yellow")
        self._refresh(study.name)

    def _note(self, name: str, found: Standing) -> None:
        if found.values is not None and len(found.values) == 1:
            self._best[name] = min(found.values[0], self._best.get(name, found.values[0]))

    def _detail(self, name: str) -> str:
        best = f", best {self._best[name]:.2f}" if name in self._best else ""
        return f"{self._running[name]} running{best}"

    def _refresh(self, name: str) -> None:
        self._bar.update(self._tasks[name], completed=self._done[name], detail=self._detail(name))
