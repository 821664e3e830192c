"""Texts and questions in files of one's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sweep.errors import InputError, inside
from sweep.tasks.dataset import Dataset
from sweep.tasks.language.rows import lettered, read_rows
from sweep.tasks.language.texts import Layout, Row, Texts
from sweep.tasks.language.tokenizer import Tokenizer, trained_byte_pairs
from sweep.tasks.sections import Count


@dataclass(frozen=True)
class TextFiles(Dataset):
    """Rows of JSON Lines or Parquet files below a folder; `read_rows` says what a row is.

    Each of `train`, `forget`, `test`, `outsiders` and the values of `questions` is a file or a pattern of files, as in
    corpora/part-*.jsonl. The forget rows are trained on too; no group may be among them and among the others.

    With `format: letters` the choices of a question stand in its prompt, and its candidate answers are their letters,
    without an end-of-text token, as WMDP and MMLU are asked; plain texts stay what they are.
    """

    kind = "language"
    located_by: ClassVar[tuple[str, ...]] = ("path",)

    path: str = field(metadata={"meaning": "folder of the files"})
    train: str = field(metadata={"meaning": "rows that are trained on"})
    test: str = field(metadata={"meaning": "rows that are asked besides"})
    forget: str | None = field(
        default=None,
        metadata={"meaning": "rows, trained on too, that may be forgotten; null: all training rows may be"},
    )
    outsiders: str | None = field(default=None, metadata={"meaning": "rows never trained on; null: there is no attack"})
    questions: dict[Literal["retain", "forget"], str] | None = field(
        default=None, metadata={"meaning": "rows asked in place of the training rows of a part"}
    )
    template: str = field(default="{question} {answer}", metadata={"meaning": "text of a row with a question"})
    max_length: Annotated[int, Field(ge=2)] = field(
        default=512, metadata={"meaning": "most tokens of a row; longer texts are cut, longer questions refused"}
    )
    prompt_tokens: Count = field(default=1, metadata={"meaning": "tokens of a text that are given, not learned"})
    format: Literal["answers", "letters"] = field(
        default="answers", metadata={"meaning": "candidates of a question: its answers, or the letters of its choices"}
    )
    vocabulary: Annotated[int, Field(ge=2)] | None = field(
        default=None,
        metadata={"meaning": "size of a byte-pair encoding of the training rows, for models without a tokenizer"},
    )

    def fingerprint(self) -> str:
        return self.load().fingerprint()

    def load(self) -> Texts:
        """The rows.

        Raises:
            InputError: a file is missing or not as described, or a group is in both `train` and `forget`.
        """
        others, forget = self._rows("train"), self._rows("forget")
        if shared := sorted({row.group for row in others} & {row.group for row in forget}):
            more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
            raise InputError(f"group '{shared[0]}'{more} is in both train and forget")
        train = others + forget
        layout = Layout(self.template, self.max_length, self.prompt_tokens, end=self.format != "letters")
        return Texts(
            train=train,
            test=self._rows("test"),
            outsiders=self._rows("outsiders"),
            eligible=frozenset(row.group for row in forget or train),
            layout=layout,
            tokenizer=self._tokenizer(train, layout),
            asked={part: self._read(f"questions.{part}", name) for part, name in (self.questions or {}).items()},
        )

    def _tokenizer(self, rows: tuple[Row, ...], layout: Layout) -> Tokenizer | None:
        if self.vocabulary is None:
            return None
        prompts = ((row, "" if row.question is None else layout.prompt(row.question)) for row in rows)
        return trained_byte_pairs((prompt + one for row, prompt in prompts for one in row.choices), self.vocabulary)

    def _rows(self, part: str) -> tuple[Row, ...]:
        name: str | None = getattr(self, part)
        return () if name is None else self._read(part, name)

    def _read(self, part: str, name: str) -> tuple[Row, ...]:
        with inside(part):
            rows = read_rows(f"{self.path.rstrip('/') or '/'}/{name}")
            return tuple(row if self.format == "answers" or row.question is None else lettered(row) for row in rows)
