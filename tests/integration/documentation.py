"""What the documentation shows: its pages, the files they tell a reader to write, and the commands of their blocks."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")))
OPERATORS = {"&&", "||", "|", ";", "&"}


@dataclass(frozen=True)
class Command:
    """A command, as words, and the page that shows it."""

    words: tuple[str, ...]
    page: str

    def __str__(self) -> str:
        return shlex.join(self.words)


def text_of(name: str) -> str:
    """A page, such as docs/methods.md."""
    return (ROOT / name).read_text("utf-8")


def files_shown() -> dict[str, str]:
    """By its name, each file that a block of a page holds: a block whose first line is a comment with that name."""
    blocks = re.findall(r"^```(?:yaml|python)\n# (\S+\.(?:yaml|py))\n(.*?)^```", all_text(), re.M | re.S)
    assert len({name for name, _ in blocks}) == len(blocks), "two pages show a file of one name"
    return dict(blocks)


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's blocks for a shell; continued ones are joined."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]


def commands() -> list[Command]:
    """Every command of every block for a shell, page by page, from top to bottom."""
    return [
        Command(words, str(page.relative_to(ROOT)))
        for page in PAGES
        for line in shell_lines(page)
        for words in simple_commands(line)
    ]


def bare(line: str) -> str:
    """What of a line a shell reads itself: without comments, and what is in quotes."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|(?:^|\s)#.*", "", line)


def simple_commands(line: str) -> list[tuple[str, ...]]:
    """A line without its comment, cut at `&&`, `|` and the like; what a redirection names is no word."""
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "VALUE", line), posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[list[str]] = [[]]
    tokens = iter(lexer)
    for token in tokens:
        if token in OPERATORS:
            found.append([])
        elif token in (">", "<", ">>"):
            next(tokens)
        else:
            found[-1].append(token)
    return [tuple(words) for words in found if words]


def all_text() -> str:
    """Every page, one after another."""
    return "\n".join(page.read_text("utf-8") for page in PAGES)
