"""Pages of a results directory: what leads where, what each shows, and that odd directories have pages too."""

import html
import re

import pytest
from made_sites import HOSTILE, VALUES, classified, compared, one_hot, predictions, row, site_of, stored
from page_document import Document

from analysis.pages.files import write_pages
from analysis.pages.plan import Planned
from analysis.pages.samples import Samples
from analysis.pages.site import Site
from analysis.reading.frames import read_frames
from analysis.report import write_report
from sweep.store.results import Results

SHAPES = {"line", "polyline", "circle"}


def text_of(page):
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"</?(a|b|code)\b[^>]*>", "", page))).split())


def table_of(page, heading):
    """The texts of the cells of the table whose caption has this id, or of the first one after a heading."""
    place = page.index(f'id="{heading}"')
    inside = page[:place].count("<table") > page[:place].count("</table>")
    start = page.rindex("<table", 0, place) if inside else place
    (table,) = re.findall(r"<table.*?</table>", page[start:], re.DOTALL)[:1]
    lines = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", line, re.DOTALL)] for line in lines]


def link(page, words):
    return html.unescape(re.search(rf'<a href="([^"]*)"[^>]*>{words}</a>', page)[1])


@pytest.fixture
def site(tmp_path):
    return site_of(compared(tmp_path / "results"))


def test_the_comparison_leads_to_a_configuration_and_that_to_its_trials(site):
    path = link(site.page("index.html"), "UAM")
    configuration = site.page(path)
    assert table_of(configuration, "trials-heading")[1] == [
        *("0", "ok", "95.0 gap 5.0", "80.0 gap 4.0", "91.0 gap 2.0", "30.0 gap 13.0", "6.0", "2.00", "1.00")
    ]
    trial = site.page(link(configuration, "1").removeprefix("../"))
    assert "UAM, seed 1" in text_of(trial)
    assert link(trial, "UAM") == f"../{path}"
    retrain = site.page(link(trial, "Retrain").removeprefix("../"))
    assert "Retrain, seed 1" in text_of(retrain)


def test_every_page_is_well_formed_and_its_links_lead_to_pages(site):
    for path in ["index.html", *site.paths]:
        folder = path.rpartition("/")[0]
        document = Document(site.page(path))
        ids = [each["id"] for _, each in document.elements if "id" in each]
        assert len(ids) == len(set(ids))
        for href in document.links:
            target = href.removeprefix("../") if folder else href
            assert href.startswith("#") or target in ("index.html", *site.paths), (path, href)
        assert all(each.get("scope") for each in document.all("th"))
        assert all(each.get("alt") for each in document.all("img"))
        assert all(each.get("aria-label") or each.get("aria-hidden") for each in document.all("svg"))
    assert site.page("trials/none.html") is None
    assert site.page("../spec.yaml") is None


def test_a_trial_stands_beside_retrain_and_original_of_its_seed(site):
    page = site.page("trials/task-uam--0.html")
    cells = {line[0]: line[1:] for line in table_of(page, "metrics")}
    assert cells["Metric"] == ["UAM", "Retrain", "Gap", "Original"]
    assert cells["FA"] == ["80.0", "76.0", "4.0", "100.0"]
    assert cells["Seconds of unlearning"] == ["2.00", "2.00", "–", "2.00"]
    assert "FA: accuracy on the forget data" in text_of(page)


def test_the_samples_that_differ_most_come_first(site):
    lines = table_of(site.page("trials/task-uam--0.html"), "differences")
    assert lines[0] == ["Sample", "Label", "Original", "Retrain", "UAM", "Distance"]
    assert lines[1][:5] == ["0", "0", "0 (99 %)", "0 (99 %)", "1 (99 %)"]
    assert float(lines[1][5]) == pytest.approx(0.63, abs=0.02)
    assert lines[2][5] == "0.000"
    page = site.page("trials/task-uam--0.html")
    assert "Jensen-Shannon divergence of the softmaxes, nats" in text_of(page)
    assert page.count('class="wrong"') == 3, "UAM of 0 and 1, Retrain of 1"


def test_confusion_and_accuracy_by_class(site):
    page = site.page("trials/task-uam--0.html")
    assert "Forget set, 6 samples" in text_of(page)
    head, *forget = table_of(page, "confusion-2")
    assert head == ["Label \\ predicted", "0", "1", "2"]
    assert forget == [["0", "1", "1", ""], ["1", "", "1", "1"], ["2", "", "", "2"]]
    rows = {line[0]: line[1:] for line in table_of(page, "by-class")}
    assert rows["0"] == ["2", "100", "100", "2", "50", "100", "2", "100", "100"]
    assert rows["1"] == ["2", "100", "100", "2", "50", "50", "2", "100", "100"]


def test_the_path_is_drawn(site):
    svg = Document(site.page("trials/task-uam--0.html")).all("svg")
    words = [each["aria-label"] for each in svg if "aria-label" in each]
    assert words == [
        "Loss of the method's batches: retain from 3 at epoch 0 to 1 at epoch 2.",
        "Angle between retain and forget gradients, degrees: "
        "of the method's steps from 60 at epoch 0 to 80 at epoch 2.",
    ]


def test_retrain_stands_beside_original(site):
    page = site.page("trials/task-retrain--0.html")
    assert "Samples that differ most from Original" in text_of(page)
    assert table_of(page, "differences")[1][0] == "1"
    assert table_of(page, "metrics")[0] == ["Metric", "Retrain", "Original"]


class Images(Samples):
    def png(self, part, sample):
        return b"" if sample == 5 else f"{part} {sample}".encode()


def test_images_and_names_of_classes_come_from_the_data_set(tmp_path):
    page = site_of(compared(tmp_path), open_samples=lambda config: Images(classes=("cat", "dog", "eel"))).page(
        "trials/task-uam--0.html"
    )
    assert "dog (99 %)" in text_of(page)
    images = Document(page).all("img")
    assert images[0] == {
        "src": "data:image/png;base64,Zm9yZ2V0IDA=",
        "width": "48",
        "height": "48",
        "alt": "Image of sample 0",
    }
    assert len(images) == 15, "six of each part, without the one that is not there"


def test_why_the_samples_are_not_shown_is_said(tmp_path):
    page = site_of(compared(tmp_path), open_samples=lambda config: Samples("no such folder.")).page(
        "trials/task-uam--0.html"
    )
    assert "Samples go by their numbers: no such folder." in text_of(page)
    assert Document(page).all("img") == []


def test_numbers_have_targets_and_outputs(tmp_path):
    def said(one, outputs):
        parts = {"forget": ([1.5, 2.5], np_column(outputs))}
        return one, predictions(one["trial_id"], parts, numbers=True)

    kind = {"kind": "regression"}
    trials = [said(row("retrain", **kind), [1.0, 2.0]), said(row("uam", **kind), [1.25, 0.0])]
    page = site_of(stored(tmp_path, trials)).page("trials/task-uam--0.html")
    lines = table_of(page, "differences")
    assert lines[:2] == [["Sample", "Target", "Retrain", "UAM", "Distance"], ["1", "2.5", "2", "0", "2.000"]]
    assert "absolute difference of the outputs; over 2 samples 1.125 in the mean" in text_of(page)
    assert "Confusion" not in text_of(page)


def np_column(values):
    return [[value] for value in values]


def of_language(tmp_path, **known):
    rows = [row(method, kind="language") for method in ("retrain", "uam")]
    said = {"retrain": [0, 1, 2, 0, 1, 2], "uam": [1, 1, 2, 0, 1, 2]}
    trials = [(one, predictions(one["trial_id"], classified(said[one["method"]]))) for one in rows]
    return site_of(stored(tmp_path, trials), **known).page("trials/task-uam--0.html")


def test_candidates_of_language_are_no_classes(tmp_path):
    page = of_language(tmp_path)
    assert "Target: the right one of the candidate answers" in text_of(page)
    assert "Confusion" not in text_of(page)
    head, first, *_ = table_of(page, "differences")
    assert (head, first[:4]) == (["Sample", "Target", "Retrain", "UAM", "Distance"], ["0", "0", "0 (99 %)", "1 (99 %)"])


class Questions(Samples):
    def text(self, part, sample):
        return f"What is {part} {sample}{HOSTILE}?"

    def answers(self, part, sample):
        return [f"it is {part}", f"not {sample}"]


def test_questions_and_their_answers_are_in_words(tmp_path):
    page = of_language(tmp_path, open_samples=lambda config: Questions())
    head, first, *rest = table_of(page, "differences")
    assert head == ["Sample", "Text", "Target", "Retrain", "UAM", "Distance"]
    assert first[:2] == ["0", f"What is forget 0{HOSTILE}?"]
    assert first[2:5] == ["it is forget", "it is forget (99 %)", "not 0 (99 %)"]
    assert ["2", "2 (99 %)", "2 (99 %)"] in [line[2:5] for line in rest], "beyond what is known, by their numbers"
    assert HOSTILE not in page


def test_texts_without_other_answers_have_likelihoods_alone(tmp_path):
    def said(one, outputs):
        return one, predictions(one["trial_id"], {"forget": ([0, 0], np_column(outputs))})

    class Texts(Samples):
        def text(self, part, sample):
            return f"text {sample}"

    kind = {"kind": "language"}
    trials = [said(row("retrain", **kind), [-1.0, -2.0]), said(row("uam", **kind), [-1.25, -4.0])]
    page = site_of(stored(tmp_path, trials), open_samples=lambda config: Texts()).page("trials/task-uam--0.html")
    lines = table_of(page, "differences")
    assert lines[:2] == [["Sample", "Text", "Retrain", "UAM", "Distance"], ["1", "text 1", "-2", "-4", "2.000"]]
    assert "A model's column has the mean log-likelihood of the tokens, in nats." in text_of(page)


def test_of_many_classes_the_most_frequent_confusions_are_listed(tmp_path):
    targets, said = [*range(25), 3, 3], [*range(25), 7, 7]
    trials = [
        (row("retrain"), predictions("task-retrain--0", {"test": (targets, one_hot(targets, 25))})),
        (row("uam"), predictions("task-uam--0", {"test": (targets, one_hot(said, 25))})),
    ]
    page = site_of(stored(tmp_path, trials)).page("trials/task-uam--0.html")
    assert table_of(page, "confusion") == [["Label", "Predicted", "Samples", "Retrain"], ["3", "7", "2", "0"]]


FAILED = row("uam", 1, status="failed", error=f"Traceback\nValueError: {HOSTILE}")
ODD = {
    "nothing": [],
    "only failures": [(FAILED, None)],
    "no predictions": [(row("retrain"), None), (row("uam"), None)],
    "no Retrain": [(row("uam"), predictions("task-uam--0", classified([0] * 6)))],
    "no metrics": [(row("uam", values=(None,) * 4), None)],
    "pruned and diverged": [
        (row("uam", 0, status="pruned", study="s"), None),
        (row("uam", 1, status="diverged"), None),
    ],
    "two tasks": [(row("uam", task=task, forget_ratio=ratio), None) for task, ratio in (("a", 0.1), ("b", 0.5))],
    "an unknown kind": [(row("uam", kind="audio"), None)],
    "two sweeps": [(row("uam"), None), (row("uam", 1, sweep="other"), None)],
    "an id that is a path": [(row("uam") | {"trial_id": "a b"}, None)],
    "targets that are no classes": [(row("uam"), predictions("task-uam--0", {"test": ([9], [[0.0, 1.0]])}))],
}


PLANS = ["why not", Planned({"task-uam--0": "uam", "missing": "uam"})]


@pytest.mark.parametrize("trials", ODD.values(), ids=ODD)
@pytest.mark.parametrize("plan", PLANS, ids=["no plan", "plan"])
def test_odd_directories_have_pages(tmp_path, trials, plan):
    site = site_of(stored(tmp_path, trials), plan=lambda: plan, seconds=5)
    for path in ["index.html", *site.paths]:
        Document(site.page(path))
    assert len([path for path in site.paths if path.startswith("trials/")]) == len(trials)


def test_what_is_stored_cannot_become_part_of_a_page(tmp_path):
    hostile = {"sweep": HOSTILE, "dataset": HOSTILE, "error": HOSTILE, "device": HOSTILE}
    bad = row("uam", 1, status="failed") | hostile | {"method": HOSTILE, "params": '{"lr": "<script>"}'}
    site = site_of(stored(tmp_path, [(bad, None), (row("retrain") | hostile, None)]))
    for path in ["index.html", *site.paths]:
        page = site.page(path)
        assert page.count("<script>") == 1
        assert "<img" not in page
        assert "49" not in text_of(page).replace("digits", "")


def test_a_page_needs_nothing_else_and_allows_its_own_script_only(site):
    for path in ["index.html", *site.paths]:
        document = Document(site.page(path))
        (policy,) = [each["content"] for each in document.all("meta") if "http-equiv" in each]
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        sources = [each.get("src", "") for _, each in document.elements] + [
            each["href"] for each in document.all("link")
        ]
        assert all(source.startswith("data:") for source in sources if source)


def test_only_pages_that_are_served_follow(tmp_path):
    results = compared(tmp_path)
    assert 'id="following"' not in site_of(results).page("index.html")
    served = site_of(results, seconds=5)
    assert 'id="following" data-seconds="5"' in served.page("index.html")
    assert 'id="following"' not in served.page("trials/task-uam--0.html")


def test_the_first_page_counts_against_the_plan_that_is_known(tmp_path):
    plans = ["spec.yaml is being read.", Planned({"task-uam--0": "uam", "task-uam--1": "uam", "next": "uam"})]
    site = site_of(compared(tmp_path), plan=lambda: plans[0])
    assert "6 trials are stored: 6 ok. How many there will be is not known: spec.yaml is" in text_of(
        site.page("index.html")
    )
    plans.pop(0)
    text = text_of(site.page("index.html"))
    assert "2 of 3 trials that spec.yaml asks for have ended: 2 ok. 1 runs or has not begun." in text
    assert "Beside these 4 trials are stored that spec.yaml does not ask for" in text


def test_failures_are_shown_with_their_errors_and_lead_to_their_trials(tmp_path):
    site = site_of(stored(tmp_path, [(FAILED, None), (row("retrain"), None)]))
    page = site.page("index.html")
    assert f"failed uam, seed 1: ValueError: {HOSTILE}" in text_of(page)
    assert f"Traceback ValueError: {HOSTILE}" in text_of(site.page(link(page, "<code>task-uam--1</code>")))


def test_pages_are_written_beside_the_report_which_leads_to_them(tmp_path):
    results = compared(tmp_path / "results")
    frames = read_frames(results.location)
    site = site_of(results)
    write_report(results.location, frames, tmp_path / "out", {}, linked=True)
    counts = write_pages(site, tmp_path / "out")
    assert counts == {tmp_path / "out/configurations": 4, tmp_path / "out/trials": 6}
    report = Document((tmp_path / "out/index.html").read_text("utf-8"))
    pages = {href for href in report.links if "/" in href}
    assert len(pages) == len(VALUES) + 6, "each configuration, and each trial where it says how to run it again"
    for page in [tmp_path / "out/index.html", *(tmp_path / "out").glob("*/*.html")]:
        for href in Document(page.read_text("utf-8")).links:
            assert href.startswith("#") or (page.parent / href).is_file(), (page, href)


def test_a_report_without_pages_leads_to_none(tmp_path):
    results = compared(tmp_path / "results")
    write_report(results.location, read_frames(results.location), tmp_path / "out", {})
    assert not any("/" in href for href in Document((tmp_path / "out/index.html").read_text("utf-8")).links)


def test_no_name_leads_out_of_the_folder(tmp_path):
    results = Results(str(tmp_path / "results"))
    results.write_trial(row("uam"))
    frames = read_frames(results.location, paths=False)
    frames.trials["trial_id"] = "../../outside"
    write_pages(Site(frames, results), tmp_path / "a/b/out")
    written = [path.relative_to(tmp_path / "a/b/out") for path in tmp_path.rglob("*.html")]
    assert len(written) == 3
    assert all(len(path.parts) == 2 for path in written)
