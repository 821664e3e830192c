"""The pages of configurations and trials as files, for any web server, beside the report that leads to them."""

from __future__ import annotations

from pathlib import Path

from analysis.pages.site import Site
from analysis.wording.page_names import CONFIGURATIONS, TRIALS


def write_pages(site: Site, out: Path) -> dict[Path, int]:
    """Write every page but the first; returns for each folder how many pages were written to it.

    Args:
        out: the folder of the report.

    Raises:
        OSError: a file cannot be written, or results cannot be read.
    """
    for folder in (CONFIGURATIONS, TRIALS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    counts = {out / CONFIGURATIONS: 0, out / TRIALS: 0}
    for path in site.paths:
        page = site.page(path)
        assert page is not None
        (out / path).write_text(page, encoding="utf-8")
        counts[(out / path).parent] += 1
    return counts
