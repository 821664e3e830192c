"""The best that a search found, as specs that run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.errors import InputError
from sweep.plan.trials import describe
from sweep.search.plan import search_section
from sweep.search.study import Study
from sweep.spec.spec_file import write_new
from sweep.spec.sweep_spec import MethodSpec, Spec

TITLE = "The best of a search"
"""How the first line of such a spec begins."""


def best_specs(spec: Spec, studies: Sequence[Study]) -> list[str]:
    """For each forget set the text of a spec with the best configurations of all studies, on the confirmation seeds.

    Values have every digit. What lies where, and which plugins are named, is as in `spec`. A run of it in the search's
    directory finds the trials that confirmed them.
    """
    seeds = search_section(spec).confirm_seeds
    alone = [each for grid in spec.forget for each in grid.alone()]
    found = []
    for number, forget in enumerate(alone, start=1):
        here = [each for each in studies if describe(each.definition.retrain[0])["forget"] in forget.sets()]
        entries, comments = [MethodSpec(name="original"), MethodSpec(name="retrain")], []
        for study in here:
            best = study.best()
            if not best:
                comments.append(f"{study.name}: no suggestion is complete")
            for suggestion in best:
                values = study.standing(suggestion.number).values or ()
                comments.append(f"{study.name}, suggestion {suggestion.number}: {study.named(values)}")
                values_of = study.definition.space.defaults | suggestion.params
                entry = {"name": study.definition.method} | {key: [value] for key, value in values_of.items()}
                entries.append(MethodSpec.model_validate(entry))
        name = f"{spec.name}-best" + (f"-{number}" if len(alone) > 1 else "")
        chosen = {"name": name, "search": None, "seeds": seeds, "forget": [forget], "methods": entries}
        heading = "".join(f"# {line}\n" for line in [f"{TITLE}, on its validation data:", *comments])
        found.append(heading + spec.model_copy(update=chosen).to_yaml())
    return found


def require_writable(path: str, spec: Spec) -> None:
    """Refuse, before a search, files that its best cannot be written into.

    Raises:
        InputError: one is a folder, is in none, has no name, or exists and is not the best of a search.
    """
    if not Path(path).name:
        raise InputError(f"--write-best {path!r}: name a file")
    for file in best_files(path, sum(len(grid.alone()) for grid in spec.forget)):
        try:
            start = file.read_bytes()[: len(f"# {TITLE}")]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"--write-best {path}: {file}: {error.strerror}") from error
        if start != f"# {TITLE}".encode():
            raise InputError(f"--write-best {path}: {file} exists and says something else; name another file")


def best_files(path: str, count: int) -> list[Path]:
    """The files of so many specs: `path` itself, of several the path with a number."""
    whole = Path(path)
    return [whole.with_stem(f"{whole.stem}-{number}") if count > 1 else whole for number in range(1, count + 1)]


def write_best(path: str, texts: Sequence[str]) -> list[str]:
    """Write each text into a file of `best_files`, and return the files.

    Raises:
        InputError: a file exists and says something else. It stays as it is, and none is written.
    """
    files = best_files(path, len(texts))
    for file, text in zip(files, texts, strict=True):
        if file.exists() and not (file.is_file() and file.read_bytes() == text.encode()):
            raise InputError(f"--write-best {path}: {file} exists and says something else; name another file")
    for file, text in zip(files, texts, strict=True):
        if file.exists():
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_new(file, text)
        except OSError as error:
            raise InputError(f"--write-best {path}: {error}") from error
    return [str(file) for file in files]
