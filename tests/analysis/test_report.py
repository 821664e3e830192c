"""The report's page: what it says of complete, partial and empty directories, and that it needs nothing else."""

import html
import json
import re
from itertools import pairwise

import pytest
import yaml
from made_results import CERTIFIED, CLAIM, OF_A_CLASS, TWO_SEEDS, row, versioned
from page_document import Document

from analysis.drawing.figure import Drawn, Skipped, new_figure
from analysis.reading.frames import read_frames
from analysis.report import write_report
from analysis.reruns import spec_fragment
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.store.results import Results

HOSTILE = """Traceback (most recent call last):
  File "a.py", line 1
ValueError: </script></pre><script>alert(1)</script> <img src=x onerror=alert(1)> {{ 7 * 7 }} {% raw %} & "quoted"
"""
GOOD, BAD = (99.0, 90.0, 92.0, 50.0), (10.0, 10.0, 10.0, 0.0)


def draw_line(frames):
    figure, (axes,) = new_figure()
    axes.plot([0, 1])
    return Drawn("line", "Does it <rise>?", figure, f"It rises over {len(frames.trials)} trials.", 'A "rising" line')


FIGURES = {"line": draw_line, "none": lambda _: Skipped("none", "needs several radii; the preset wide has them")}


@pytest.fixture
def page_of(tmp_path):
    """A function that writes the report of a directory and returns its page."""

    def write(location, figures=FIGURES):
        paths = write_report(location, read_frames(location), tmp_path / "out", figures)
        assert all(path.stat().st_size for path in paths)
        return paths[-1].read_text("utf-8")

    return write


def text_of(page):
    """What a reader reads, with single spaces."""
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"</?(a|b|code)\b[^>]*>", "", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_tables_figures_and_page_are_written(directory, tmp_path):
    location = directory(TWO_SEEDS)
    paths = write_report(location, read_frames(location), tmp_path / "out", FIGURES)
    names = ["methods.md", "methods.csv", "methods.tex", "line.png", "line.pdf", "line.svg", "index.html"]
    assert [path.name for path in paths] == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


def test_the_page_opens_with_the_question_and_its_answer(directory, page_of):
    rows = [*TWO_SEEDS, *(row("uam", seed, metrics=metrics) for seed, metrics in enumerate((GOOD, GOOD)))]
    page = page_of(directory(rows))
    assert Document(page).texts["h1"] == ["Which method comes closest to Retrain?"]
    # gaps of uam: 1, 0, 0, 0 and 1, 4, 2, 10
    assert "UAM, with an average gap of 2.2 percentage points (95 % interval 0.0 to 27.7) over 2 seeds" in text_of(page)


def test_the_page_says_where_devices_are_mixed_and_older_versions_left_out(directory, page_of):
    on = dict(zip(("cpu", "NVIDIA H100"), TWO_SEEDS, strict=False))
    apart = [one | {"device": device, "task_id": device} for device, one in on.items()]
    assert "in one task" not in page_of(directory(apart))
    together = [one | {"device": device} for device, one in on.items()]
    assert "NVIDIA H100 and cpu in one task: devices compute" in page_of(directory(together))
    assert "of older versions" not in page_of(directory([]))
    assert "2 of older versions of their methods" in page_of(directory([versioned(one, 2) for one in together]))


def test_the_answer_says_first_that_no_method_is_closer_than_doing_nothing(directory, page_of):
    original = [row("original", seed, metrics=(99.0, 91.0, 91.0, 45.0)) for seed in (0, 1)]
    text = text_of(page_of(directory([*TWO_SEEDS, *original])))
    assert (
        "The original is at 2.5: at this setting no method has a lower mean gap to Retrain than doing nothing. "
        "Of the methods, closest is FineTune, with an average gap of 6.2 percentage points"
    ) in text


@pytest.mark.parametrize(("gaps", "told"), [((20.0, 20.1, 20.2), False), ((8.0, 20.0, 9.0), True)])
def test_the_answer_says_whether_the_closest_is_told_from_doing_nothing(directory, page_of, gaps, told):
    """FineTune's gap is 2, Original's 5, or only about that."""
    rows = []
    for seed, gap in enumerate(gaps):
        rows.append(row("retrain", seed, metrics=(100.0, 80.0, 90.0, 40.0)))
        rows.append(row("original", seed, metrics=(100.0, 80.0 + gap, 90.0, 40.0)))
        rows.append(row("finetune", seed, metrics=(100.0, 88.0, 90.0, 40.0)))
    text = text_of(page_of(directory(rows)))
    assert "The original is at" in text
    assert (", which is not distinguishable from that." in text) == told


def test_the_answer_is_that_seeds_do_not_tell_where_the_interval_is_that_wide(directory, page_of):
    rows = [*TWO_SEEDS[:2], *(row("uam", seed, metrics=metrics) for seed, metrics in enumerate((BAD, GOOD)))]
    assert "2 seeds do not tell which method is closest to Retrain. Of lowest mean gap is UAM, with" in text_of(
        page_of(directory(rows))
    )


def test_the_page_tells_which_methods_do_not_start_from_original(directory, page_of):
    start = {"original": "ordinary", "finetune": "ordinary", "sisa": "sharded"}
    rows = [row(name, metrics=(99.0, 91.0, 91.0, 45.0), original_id=of) for name, of in start.items()]
    told = "Originals SISA shapes training: it starts from an original of its own, not from Original "
    assert told in text_of(page_of(directory([*TWO_SEEDS[:2], *rows])))


def test_the_page_marks_what_averages_trials_of_several_code_versions(directory, page_of):
    rows = [*TWO_SEEDS[:3], TWO_SEEDS[3] | {"code_version": "2"}]
    page = text_of(page_of(directory(rows)))
    assert "Mixed FineTune averages trials of 1 and 2; --refresh repeats those of other code " in page
    assert "FineTune 2 2 code versions 99.0" in page
    assert "code versions" not in page_of(directory(TWO_SEEDS))


def test_one_method_is_asked_about_by_name(directory, page_of):
    assert "How close does FineTune come to Retrain?" in page_of(directory(TWO_SEEDS))


def test_every_mean_has_its_interval_its_number_of_seeds_and_its_gap(directory, page_of):
    page = page_of(directory([*TWO_SEEDS, row("finetune", 2, params={"lr": 0.1}, status="diverged")]))
    (table,) = re.findall(r"<table.*?</table>", page, re.DOTALL)
    retrain, another, finetune = (text_of(line) for line in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:])
    assert retrain.startswith(
        "Retrain 2 99.0 [86.3, 100.0] 88.0 [62.6, 100.0] 91.0 [78.3, 100.0] 45.0 [0.0, 100.0] 0.0 15.00 [0.00, 78.53]"
    )
    assert another.startswith("Retrain, another seed 2 99.0 [86.3, 100.0] gap 2.0 88.0 [62.6, 100.0] gap 4.0")
    assert finetune == (
        "FineTune 2 1 diverged 99.0 gap 1.0 96.0 gap 8.0 [0.0, 33.4] 91.0 gap 1.0 30.0 gap 15.0 [0.0, 78.5] "
        "6.2 [0.0, 15.8] 5.00 0.38 [0.00, 1.96] 0.10"
    )


def test_each_task_has_a_table_of_its_own(directory, page_of):
    rows = [*TWO_SEEDS, *(row(method, task="b", forget_ratio=0.5, metrics=GOOD) for method in ("retrain", "uam"))]
    page = page_of(directory(rows))
    captions = Document(page).texts["caption"]
    assert captions[:2] == ["digits, small-cnn, forget 10 % at random", "digits, small-cnn, forget 50 % at random"]
    assert "digits, small-cnn, forget 50 % at random: UAM, with an average gap of 0.0" in text_of(page)


def test_the_test_accuracy_on_a_forgotten_class_is_in_the_table_of_its_task_alone(directory, page_of):
    note = "Where a class is forgotten, TA and MIA look at test data of the other classes"
    assert note not in page_of(directory(TWO_SEEDS))
    text = page_of(directory(OF_A_CLASS))
    headers = [re.findall('<th scope="col">([^<]*)<', head) for head in re.findall("<thead>.*?</thead>", text, re.S)]
    assert headers[0][2:6] == ["RA", "FA", "TA", "MIA"]
    assert headers[1][2:7] == ["RA", "FA", "TA", "TA-F", "MIA"]
    assert "<b>9.0</b> <span>[6.5, 11.5]</span> <span>gap 9.0 [6.5, 11.5]</span>" in text
    assert note in text


def test_a_large_grid_shows_the_best_of_each_method(directory, page_of):
    grid = [row("uam", params={"rho": rho}, metrics=(90.0, 90.0, 90.0, rho / 10)) for rho in range(150)]
    page = page_of(directory([TWO_SEEDS[0], *grid, row("bad", metrics=BAD), row("worse", metrics=(0, 0, 0, 0))]))
    document = Document(page)
    methods = [attributes["data-value"] for attributes in document.all("th") if "data-value" in attributes]
    assert len(methods) == 100
    assert {"Retrain ", "bad ", "worse ", "UAM rho=149"} < set(methods)
    assert "UAM rho=0" not in methods
    assert "53 further configurations are in methods.csv" in page


def test_figures_have_question_picture_words_finding_and_files(directory, page_of):
    page = page_of(directory(TWO_SEEDS))
    document = Document(page)
    (picture,) = document.all("img")
    assert picture["alt"] == 'A "rising" line'
    assert picture["src"].startswith("data:image/png;base64,")
    assert "Does it <rise>?" in document.texts["h3"]
    assert document.texts["figcaption"][0].startswith("It rises over 4 trials.")
    assert {"line.pdf", "line.svg", "#figure-line"} <= {link["href"] for link in document.all("a")}
    assert "needs several radii; the preset wide has them" in text_of(page)


def test_links_within_the_page_lead_somewhere(directory, page_of):
    document = Document(page_of(directory(TWO_SEEDS)))
    names = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {link["href"][1:] for link in document.all("a") if link["href"].startswith("#")}
    labels = {attributes["aria-labelledby"] for _, attributes in document.elements if "aria-labelledby" in attributes}
    assert (targets | labels) - set(names) == set()


def test_certificates_have_a_section_where_there_are_any(directory, page_of):
    assert "Certificates" not in text_of(page_of(directory(TWO_SEEDS)))
    page = page_of(directory([*TWO_SEEDS, CERTIFIED]))
    assert {"href": "#certificates"} in Document(page).all("a")
    assert "Certificates" in Document(page).texts["h2"]
    assert f"Nothing here checks it. head {CLAIM}" in text_of(page)
    assert "<retrained>" not in page


def test_headings_descend_one_level_at_a_time(directory, page_of):
    levels = [
        int(name[1]) for name, _ in Document(page_of(directory(TWO_SEEDS))).elements if re.fullmatch("h[1-6]", name)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_fetched(directory, page_of):
    page = page_of(directory([*TWO_SEEDS, row("uam", status="failed", error=HOSTILE)]))
    for tag, attributes in Document(page).elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert not re.match(r"\s*(\w+:)?//", value), (tag, value)
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/png;base64,")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page)


def test_what_trials_say_is_text_and_nothing_else(directory, page_of):
    method = 'evil:"><script>alert(2)</script>{{ 1 }}'
    rows = [*TWO_SEEDS, row("uam", status="failed", error=HOSTILE)]
    rows.append(
        row(method, trial_id="evil", params={"</td>": "'\"><b>"}, dataset="<i>{{ 8 * 8 }}</i>", config='{"seed": 1}')
    )
    location = directory(rows)
    Results(location).write("spec.yaml", b"name: </code></pre><script>alert(3)</script>\xff {{ 9 * 9 }}\n")
    Results(location).write("environment.json", json.dumps({"<script>": "</table>"}).encode())
    page = page_of(location)
    document = Document(page)
    assert len(document.all("script")) == 1
    assert len(document.all("img")) == 1
    assert not document.all("b") or all("onerror" not in attributes for _, attributes in document.elements)
    assert "alert" not in document.texts["script"][0]
    text = text_of(page)
    for said in (
        HOSTILE.splitlines()[-1],
        method,
        "</code></pre><script>alert(3)</script>\ufffd {{ 9 * 9 }}",
        "</table>",
    ):
        assert " ".join(said.split()) in text
    assert "49" not in re.findall(r"\b\d+\b", text)


def test_failures_show_the_error_and_its_traceback(directory, page_of):
    error = "Traceback (most recent call last):\n  File x\nValueError: no such thing"
    page = page_of(directory([*TWO_SEEDS, row("uam", 4, status="failed", error=error), row("fisher", status="pruned")]))
    document = Document(page)
    assert "failed uam, seed 4: ValueError: no such thing" in [
        " ".join(text.split()) for text in document.texts["summary"]
    ]
    assert error in document.texts["pre"]
    assert "pruned fisher, seed 0 (trial task-fisher-null-0)" in text_of(page)


def test_many_failures_are_counted(directory, page_of):
    text = text_of(page_of(directory([row("uam", seed, status="failed", error="No") for seed in range(102)])))
    assert "These are 100 of 102. All of them: unlearn-sweep status" in text


def test_damaged_files_are_named(directory, page_of):
    location = directory(TWO_SEEDS)
    Results(location).write("trials/broken.parquet", b"PAR1 not really PAR1")
    assert "trials/broken.parquet: " in text_of(page_of(location))


def test_spec_and_environment_are_shown(directory, page_of):
    location = directory(TWO_SEEDS)
    assert "The directory has no spec.yaml." in text_of(page_of(location))
    Results(location).write("spec.yaml", b"name: made\nseeds: [0, 1]\n")
    environment = {"packages": {"torch": "2.0"}, "gpus": [], "cuda": None, "cpus": 2}
    Results(location).write("environment.json", json.dumps(environment).encode())
    text = text_of(page_of(location))
    assert "name: made seeds: [0, 1]" in text
    assert "packages.torch 2.0 gpus none cuda none cpus 2" in text


@pytest.mark.parametrize("torn", ['{"torn', "[" * 100_000])
def test_an_environment_that_is_not_json_is_shown_as_it_is(directory, page_of, torn):
    location = directory(TWO_SEEDS)
    Results(location).write("environment.json", torn.encode())
    assert f"not JSON {torn}" in text_of(page_of(location))


@pytest.mark.parametrize("rows", [[], [row("uam", status="failed", error="No")], TWO_SEEDS[:1], TWO_SEEDS[2:3]])
def test_partial_results_give_a_page(directory, page_of, tmp_path, rows):
    (tmp_path / "results").mkdir()
    page = page_of(directory(rows) if rows else str(tmp_path / "results"))
    assert "nan" not in text_of(page).lower().split()
    assert "None" not in text_of(page)


def test_an_empty_directory_says_how_to_start(tmp_path, page_of):
    empty = tmp_path / "my results"
    empty.mkdir()
    text = text_of(page_of(str(empty), {}))
    assert "Nothing has been run yet" in text
    assert f"There are no trials in {empty}." in text
    assert f"unlearn-sweep run digits --out '{empty}'" in text


def test_one_seed_has_no_interval(directory, page_of):
    text = text_of(page_of(directory([TWO_SEEDS[0], TWO_SEEDS[2]])))
    assert "FineTune, with an average gap of 7.0 percentage points over 1 seed." in text
    assert "FineTune 1 99.0 gap 1.0 96.0 gap 6.0 91.0 gap 1.0 30.0 gap 20.0 7.0 5.00 0.50" in text


def test_without_retrain_nothing_is_said_to_be_close(directory, page_of):
    document = Document(page_of(directory([*TWO_SEEDS[2:], row("uam", metrics=GOOD)])))
    assert document.texts["h1"] == ["How do the methods compare?"]


def test_every_trial_has_its_command_and_a_spec_of_it_alone(directory, page_of, tmp_path):
    spec = {
        "name": "tiny",
        "dataset": {"name": "digits", "limit": 200, "label_noise": 0.2},
        "forget": [{"scenario": "random", "ratio": 0.2}, {"scenario": "class", "class": 3}],
        "seeds": [7],
        "methods": [{"name": "retrain"}, {"name": "fisher"}, {"name": "uam", "rho": [1.0, 2.5]}],
    }
    trials = plan_trials(parse_spec(spec))
    rows = [row(one.method, one.seed, trial_id=one.id, task=one.task_id, config=one.config) for one in trials]
    document = Document(page_of(directory(rows)))
    assert [f"unlearn-sweep rerun {tmp_path}/results {trial.id}" in document.texts["pre"] for trial in trials] == [
        True
    ] * 8
    for trial in trials:
        fragment = spec_fragment(trial.config, {})
        assert fragment in document.texts["pre"]
        (again,) = plan_trials(parse_spec({"name": "again"} | yaml.safe_load(fragment)))
        assert again.id == trial.id


def test_the_command_allows_the_plugins_and_the_spec_says_where_files_lie(directory, page_of, tmp_path):
    config = {"seed": 1, "dataset": {"name": "mine:Data", "limit": 3, "fingerprint": "f"}, "method": {"name": "mine:M"}}
    rows = [row("mine:M", 1, trial_id="id", dataset="mine:Data", model="other:net", config=json.dumps(config))]
    location = directory(rows)
    document = Document(page_of(location))
    command = f"unlearn-sweep rerun {location} id --plugin mine:Data --plugin other:net --plugin mine:M"
    assert command in document.texts["pre"]
    assert any("# dataset: also needs where its files lie, as path: DIR" in text for text in document.texts["pre"])
    for stored, found in (
        ({"name": "mine:Data", "limit": 3, "path": "here"}, True),
        ({"name": "mine:Data", "limit": 4, "path": "there"}, False),
    ):
        Results(location).write("spec.yaml", yaml.safe_dump({"dataset": stored}).encode())
        fragments = [
            text for text in Document(page_of(location)).texts["pre"] if text.startswith("dataset:\n  name: m")
        ]
        assert [yaml.safe_load(text)["dataset"].get("path") for text in fragments][-1] == ("here" if found else None)
        assert ("also needs" in fragments[-1]) != found


def test_a_hyperparameter_that_is_a_list_is_no_grid_axis():
    config = {
        "seed": 1,
        "method": {"name": "a:B", "params": {"layers": [1, 2]}},
        "dataset": {"name": "c", "fingerprint": "f"},
    }
    parsed = yaml.safe_load(spec_fragment(json.dumps(config), {}))
    assert parsed["methods"] == [{"name": "a:B", "layers": [[1, 2]]}]
    assert parsed["dataset"] == {"name": "c"}


def test_of_very_many_trials_the_first_are_listed(directory, page_of):
    page = page_of(directory([row("uam", seed, metrics=GOOD) for seed in range(503)]))
    assert page.count("unlearn-sweep rerun ") == 500
    assert "These are 500 of 503 trials. The command takes any trial_id of the folder trials/." in text_of(page)


def test_published_numbers_stand_beside_ours_where_the_task_is_the_same(directory, page_of):
    assert "Beside published numbers" not in page_of(directory(TWO_SEEDS))
    config = {"dataset": {"name": "cifar10"}, "model": {"name": "resnet18", "width": 64}}
    config |= {"forget": {"scenario": "random", "ratio": 0.1}}
    config |= {"training": {"epochs": 30, "lr": 0.4, "batch_size": 512, "schedule": "cosine", "weight_decay": 0}}
    page = page_of(directory([one | {"config": json.dumps(config)} for one in TWO_SEEDS]))
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    review = next(table for table in tables if "A public review" in table)
    lines = [text_of(line) for line in re.findall(r"<tr.*?</tr>", review, re.DOTALL)]
    ours = ("here 99.0 [86.3, 100.0] −0.3", "here 88.0 [62.6, 100.0] −3.8", "here 91.0 [78.3, 100.0] −0.3")
    assert lines[1] == f"Retrain 99.30 {ours[0]} 91.78 {ours[1]} 91.32 {ours[2]}"
    assert lines[2].startswith("FineTune 99.95 here 99.0 −1.0 gap 0.65, here 1.0 99.78 here 96.0")
    assert lines[3] == "NegGrad not run here 15.11 gap 84.19 14.98 gap 76.80 14.96 gap 76.36"
    assert "There: one run; its training is not described. Here: 30 epochs," in text_of(page)
    assert "#published" in {link["href"] for link in Document(page).all("a")}
