"""`make docs`: the site is built without a warning, holds what the code says, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import chromium
import pytest

from methods import METHODS
from sweep.cli.app import COMMANDS
from sweep.store.columns import FOLDERS

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|img|iframe|source)\b[^>]* src="([^"]+)"|<link(?= [^>]*stylesheet)[^>]* href="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    ended = build(ROOT, folder)
    assert ended.returncode == 0, ended.stderr  # a warning is an error
    return folder / "site"


def test_every_page_loads_only_what_lies_beside_it(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for found in LOADED.findall(page.read_text("utf-8")):
            address = "".join(found).partition("?")[0]
            assert (page.parent / address).exists(), f"{page.name}: {address}"
    for style in site.rglob("*.css"):
        assert not re.findall(r"@import|url\([\"']?(?:https?:)?//", style.read_text("utf-8")), style.name


def test_the_reference_has_every_command_method_and_table(site):
    def heads(page):
        return set(re.findall(r'<section id="([^"]+)"', (site / "docs/reference" / page).read_text("utf-8")))

    assert {f"unlearn-sweep-{command.__name__}" for command in COMMANDS} <= heads("command-line.html")
    assert set(METHODS) <= heads("methods.html")
    assert {name.replace("_", "-") for name in FOLDERS} <= heads("columns.html")
    python = (site / "docs/reference/python.html").read_text("utf-8")
    assert all(f'id="methods.{name}"' in python for name in ("Method", "Descent.gradients", "Task.loss"))
    assert "Raised by whoever changes what the method computes: results of the old version" in python


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.find() is None:
        pytest.skip("no Chromium or Chrome on the path")
    with chromium.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page
        assert page.messages == []


def test_its_search_finds_words_of_generated_pages_without_a_server(site, browser):
    browser.open(f"{(site / 'search.html').as_uri()}?q=catastrophically")  # of the card of cf-k
    found = "[...document.querySelectorAll('#search-results a')].map((link) => link.getAttribute('href'))"
    for _ in range(50):
        addresses = browser.run(f"new Promise((go) => setTimeout(() => go({found}), 100))")
        if addresses:
            break
    assert [address.partition("?")[0].partition("#")[0] for address in addresses] == ["docs/reference/methods.html"]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_window(site, browser, width):
    for page in sorted(site.rglob("*.html")):
        if page != site / "index.html":  # which leads on at once
            browser.open(page.as_uri(), width=width)
            widest = "Math.max(document.scrollingElement.scrollWidth, document.querySelector('article').scrollWidth)"
            assert browser.run(f"{widest} - innerWidth") <= 0, page.name


def test_the_front_page_leads_to_one_that_exists(site):
    [address] = re.findall(r"url=([^\"]+)", (site / "index.html").read_text("utf-8"))
    assert (site / address).exists()


def test_a_broken_link_fails_the_build(tmp_path):
    for name in ("conf.py", "generated.py", "index.md"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / name).write_bytes((ROOT / "docs" / name).read_bytes())
    (tmp_path / "docs/start").mkdir()
    (tmp_path / "docs/index.md").write_text("# One page\n\n[nowhere](nowhere.md)\n")
    ended = build(tmp_path, tmp_path)
    assert ended.returncode != 0
    assert "nowhere.md" in ended.stderr


def build(source, folder):
    """The command of the Makefile's target `docs`, for another source and output."""
    [words] = re.findall(r"sphinx-build (.*)", (ROOT / "Makefile").read_text("utf-8"))
    words = words.replace("-c docs", f"-c {source}/docs").replace(".venv/.doctrees", f"{folder}/doctrees")
    words = words.removesuffix(". site").split()
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words, source, folder / "site"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
