"""The report of a run: what it says, what it survives, and that the page stands alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure

from fairseq_dro.cli import main
from tests.compared_runs import plant_config
from tests.planted_runs import (
    many_languages,
    plant_decoding,
    plant_training,
    write_configuration,
    write_log,
)

SIX = many_languages(6)
ERM_CER = dict(zip(SIX, (0.10, 0.40, 0.12, 0.25, 0.20, 0.15)))
DRO_CER = dict(zip(SIX, (0.25, 0.20, 0.10, 0.15, 0.15, 0.12)))


class Page(HTMLParser):
    """Ids, what is referred to, tag balance and visible text of a page."""

    VOID = {"meta", "br", "path", "use", "rect", "link", "input", "img"}

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: Counter[str] = Counter()
        self.references: set[str] = set()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        if tag not in self.VOID:
            self.open.append(tag)
        self._take(dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self._take(dict(attrs))

    def _take(self, attrs):
        if "id" in attrs:
            self.ids[attrs["id"]] += 1
        for value in attrs.values():
            self.references.update(re.findall(r"url\(#([^)]+)\)", value or ""))
        for name in ("href", "xlink:href"):
            if (attrs.get(name) or "").startswith("#"):
                self.references.add(attrs[name][1:])

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open[-5:], self.getpos())
            self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def says(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def real_pictures() -> None:
    """For tests that look at pictures; for the others one empty picture stands for all."""


@pytest.fixture(autouse=True)
def empty_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_pictures" not in request.fixturenames:
        picture = '<svg width="9pt" height="9pt" viewBox="0 0 9 9"></svg>'
        monkeypatch.setattr(Figure, "savefig", lambda _, stream, **__: stream.write(picture))


def report(*arguments: object) -> tuple[str, str]:
    """Run the command; the page's source and the Markdown."""
    assert main(["report", *map(str, arguments)]) == 0
    folder = Path(arguments[0]) / "report"
    if "--out" in arguments:
        folder = Path(arguments[arguments.index("--out") + 1])
    return tuple((folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("runs")
    erm = plant_training(base / "erm", SIX, objective="erm", floor=ERM_CER)
    dro = plant_training(base / "dro", SIX, floor=DRO_CER, subsets=("valid", "valid_far"))
    plant_decoding(erm, ERM_CER, n_utterances=60, with_tokens=True, seed=1)
    plant_decoding(dro, DRO_CER, n_utterances=60, with_tokens=True, seed=2)
    return dro, erm


@pytest.fixture(scope="module")
def six(two_runs) -> tuple[str, str]:
    return report(two_runs[0], "--baseline", two_runs[1])


def test_the_page_holds_every_part_and_needs_nothing_else(six):
    source, _ = six
    page = Page(source)
    assert page.open == []
    for heading in (
        "Verdict", "Headline", "Every language", "CER on the test split", "Learning curves",
        "Weights of the languages", "Loss against CER",
        "Best and worst utterances", "Language identification", "Cost", "Making it again", "Words",
    ):  # fmt: skip
        assert heading in page.says
    assert re.findall(r"(?:src|href)=[\"'](?!#)[^\"']*", source.replace("xlink:", "")) == []
    outside = set(re.findall(r"https?://[^\"' )]+", source))
    assert outside <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


def test_pictures_on_one_page_share_no_id_and_miss_none(six):
    page = Page(six[0])
    assert [name for name, n in page.ids.items() if n > 1] == []
    assert page.references <= set(page.ids)
    assert page.tags["svg"] == 1 + 1 + 6 + 1 + 2  # forest, differences, curves, weights, loss


def test_the_markdown_holds_the_same_tables(six):
    source, markdown = six
    rows = {
        tuple(re.sub(r"<[^>]+>", " ", cell).split()[0] for cell in re.findall(
            r"<t[hd][^>]*>(.*?)</t[hd]>", row) if re.sub(r"<[^>]+>", " ", cell).split())
        for row in re.findall(r"<tr>(.*?)</tr>", source, flags=re.DOTALL)
    }  # fmt: skip
    in_markdown = {
        tuple(cell.split()[0].replace("\\", "") for cell in line.strip("|").split("|")
              if cell.split())
        for line in markdown.splitlines() if line.startswith("| ")
    }  # fmt: skip
    of_languages = [row for row in rows if row and row[0] in SIX and len(row) > 8]
    assert len(of_languages) == 6
    assert set(of_languages) <= in_markdown


def test_levelling_down_is_told_where_a_paired_test_shows_it(six):
    sentence = next(line for line in six[1].splitlines() if "levelling down" in line)
    assert "German (deu) from 9.3 to 22.2 %" in sentence and "paired test" in sentence
    assert "1 of 6 languages got worse" in sentence


def test_each_language_has_its_verdict(six):
    rows = {
        line.split("|")[1].split()[0]: line.split("|")[-2].strip()
        for line in six[1].split("## Every language")[1].split("## ")[0].splitlines()
        if line.startswith("| ") and line.split("|")[1].split()[:1]
    }
    assert rows["deu"] == "worse" and rows["kat"] == "better"
    assert re.search(r"against erm.: [345] of 6 languages better, 1 worse", six[1])


def test_several_validation_splits_are_kept_apart_and_the_first_is_shown(six):
    text = Page(six[0]).says
    assert "split valid) in per cent" in text
    assert "The first split, valid, is shown above" in text and "valid_far" in text


def test_a_run_without_alarms_says_what_was_looked_at(two_runs, tmp_path, capsys):
    source, _ = report(two_runs[1], "--out", tmp_path)
    assert "Nothing found: every language was drawn" in Page(source).says
    assert capsys.readouterr().out.startswith("written:")


def test_alarms_of_training_reach_the_page_and_the_terminal(tmp_path, capsys):
    run = plant_training(tmp_path / "run", SIX, q_share=0.62, never_drawn=["kat"])
    source, _ = report(run)
    said = capsys.readouterr().out
    for text in (Page(source).says, said):
        assert "German (deu), holds 62 % of q or more for 490 updates" in text
        assert "Georgian (kat) was never drawn in 1,000 updates" in text


def test_a_run_that_is_still_running_and_was_not_decoded_has_its_validation_numbers(tmp_path):
    run = plant_training(tmp_path / "run", SIX, updates=1000)
    write_configuration(run, objective="ctc_dro", updates=5000)
    log = run / "hydra_train.log"
    log.write_text("\n".join(log.read_text().splitlines()[:-1]) + "\n")
    with open(run / "history.jsonl", "a", encoding="utf-8") as history:
        history.write('{"format": 1, "update": 1100, "langu')  # being written, or cut by a kill
    source, markdown = report(run)
    text = Page(source).says
    assert "1,000 of 5,000 updates · going (last sign of life" in text
    assert "test split has not been decoded yet" in text and "| kat Georgian" in markdown


def test_a_cut_line_is_named(tmp_path, caplog):
    run = plant_training(tmp_path / "run", SIX)
    with open(run / "history.jsonl", "a", encoding="utf-8") as history:
        history.write('{"format": 1, "update": 1100, "langu')
    report(run)
    assert "history.jsonl:11 is not a whole record" in caplog.text


@pytest.mark.parametrize("json_lines", [False, True])
def test_a_run_of_stock_ctc_is_reported_from_its_log_and_its_decoding(tmp_path, json_lines):
    run = tmp_path / "stock"
    run.mkdir()
    write_log(run, updates=1000, json_lines=json_lines, starts=2)
    write_configuration(run, objective="ctc", updates=1000)
    text = Page(report(run)[0]).says
    assert "trained without the criterion group_dro_ctc" in text
    assert "1,000 4.500 10.00 20.00" in text  # update, loss, UER, WER of the last validation
    assert "Nothing is known per language" in text and "starts of training 2" in text
    plant_decoding(run, ERM_CER)
    assert "kat Georgian" in report(run)[1]


def test_decoded_utterances_alone_are_enough(tmp_path):
    run = plant_decoding(tmp_path / "only_decoded", ERM_CER, speakers=2)
    source, _ = report(run)
    assert "too few test speakers to know" in Page(source).says


def test_a_silent_model_is_told_from_a_bad_one(tmp_path):
    run = plant_training(tmp_path / "run", SIX, floor=dict.fromkeys(SIX, 1.0))
    plant_decoding(run, dict.fromkeys(SIX, 3.0))  # all characters deleted or doubled away
    lines = [json.loads(line) for line in open(run / "decode_test" / "utterances.jsonl")]
    for line in lines:
        n = line["reference_characters"]
        line.update(hypothesis="", deletions=n, substitutions=0, insertions=0)
    (run / "decode_test" / "utterances.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    text = Page(report(run)[0]).says
    assert "More than half of the hypotheses are empty for every language" in text
    assert "6 alike" in text and "Every hypothesis is empty" in text and "No curve to show" in text
    assert "Do not call it worst" not in text


def test_texts_are_escaped_wherever_they_come_from(tmp_path):
    name = "<b>run|x"
    run = plant_decoding(plant_training(tmp_path / name, SIX), ERM_CER)
    path = run / "decode_test" / "utterances.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[0])
    record.update(
        id="<i>id", reference="a <script>alert(1)</script> | ~~b~~",
        hypothesis="<img src=x onerror=y> & c", reference_characters=10, substitutions=30,
    )  # fmt: skip
    path.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n", encoding="utf-8")
    source, markdown = report(run)
    page = Page(source)
    assert page.open == [] and page.tags["script"] == 1 and page.tags["img"] == 0
    assert page.tags["b"] == page.tags["i"] == 0 and "<b>run|x" in page.says
    assert "<i>id · CER" in page.says and "&lt;i&gt;id" in source
    assert "\\<i\\>id" in markdown and "<script>" not in markdown.replace("\\<", "")


def test_a_photographer_without_a_browser_says_what_to_install(tmp_path):
    script = Path(__file__).parents[1] / "scripts" / "screenshot_report.py"
    command = [sys.executable, str(script), str(tmp_path / "report.html"), str(tmp_path)]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 2 and "apt-get install chromium" in done.stderr


def test_right_to_left_texts_run_so(six):
    assert 'class="aligned" dir="rtl"' in six[0]


def test_143_languages_fit_on_a_page(tmp_path, real_pictures):
    codes = many_languages(143)
    cer = {code: 0.05 + 0.003 * index for index, code in enumerate(codes)}
    run = plant_decoding(
        plant_training(tmp_path / "run", codes, floor=cer, updates=200), cer,
        n_utterances=12, with_tokens=True,
    )  # fmt: skip
    source, markdown = report(run)
    page = Page(source)
    assert len(source.encode()) < 3_000_000
    assert [name for name, n in page.ids.items() if n > 1] == []
    assert page.tags["svg"] > 143 + 3  # curves, forest, others
    assert sum(line.startswith(f"| {codes[-1]} ") for line in markdown.splitlines()) >= 1
    assert "worst 15" in page.says and "CVaR 10 %" in page.says


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda folder: None, "does not exist: expected the hydra.run.dir"),
        (lambda folder: folder.mkdir(), "holds nothing of a run: neither history.jsonl nor"),
        (
            lambda folder: plant_decoding(folder, {"deu": 0.1})
            .joinpath("decode_test", "utterances.jsonl")
            .write_text('{"id": "a"}\n{"id": "b"}\n'),
            "utterances.jsonl:1 (utterance a) lacks language",
        ),
    ],
)
def test_what_is_no_run_is_refused_in_one_sentence(tmp_path, capsys, make, message):
    make(tmp_path / "run")
    assert main(["report", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said


def test_another_folder_of_results_must_be_there(two_runs, tmp_path, capsys):
    run = plant_decoding(plant_training(tmp_path / "run", SIX), ERM_CER, results="decode_best")
    assert "Every language" in report(run, "--results", "decode_best")[1]
    assert main(["report", str(run), "--results", "decode_worst"]) == 2
    assert "decode_worst/utterances.jsonl does not exist" in capsys.readouterr().err


def test_what_the_run_recorded_of_itself_is_what_the_page_says(tmp_path):
    run = plant_training(tmp_path / "run", SIX)
    command = ["/venv/bin/fairseq-hydra-train", "--config-dir", "recipes", "common.seed=1"]
    start = {
        "started": "2026-01-02T03:04:05+00:00", "command": command, "folder": str(tmp_path),
        "versions": {"torch": "9.9.9"}, "git": {"commit": "abc123", "changed": True},
        "devices": ["H"], "data": {"folder": "/gone", "splits": {
            "train": {"utterances": 5, "sha256": "f" * 64}}},
    }  # fmt: skip
    first = {**start, "git": {"commit": "000000", "changed": False}}
    with open(run / "run.jsonl", "w", encoding="utf-8") as stream:
        stream.write(json.dumps(first) + "\n" + json.dumps(start) + "\n")
        stream.write('{"started": "cut by a ki')
    text = Page(report(run)[0]).says
    assert "fairseq-hydra-train --config-dir recipes common.seed=1" in text
    recorded = "devices: - H", "torch: 9.9.9", "commit: abc123 changed: true", f"sha256: {'f' * 64}"
    for line in recorded:
        assert line in text
    assert "started 2 times, not always with the same code: below" in text


def test_options_are_told_as_typed(tmp_path):
    run = plant_training(tmp_path / "run", SIX)
    options = ["+criterion.objective=ctc_dro", "optimization.lr=[2e-3]"]
    (run / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(options))
    markdown = report(run)[1]
    assert re.search(r"criterion.objective +\| ctc_dro ", markdown)
    assert "| optimization.lr" in markdown
    (run / ".hydra" / "overrides.yaml").write_text("[]")
    assert "No option was typed: all are those of the recipe demo" in report(run)[1]


def grouped(run: Path, group_by: str, columns_of: Callable[[str, int], dict[str, str]]) -> Path:
    """The run with groups of other columns; those of a record by its language and its number."""
    history = run / "history.jsonl"
    if history.exists():
        text = history.read_text(encoding="utf-8")
        history.write_text(text.replace('"group_by": "language"', f'"group_by": "{group_by}"'))
    path = run / "decode_test" / "utterances.jsonl"
    records = [json.loads(line) for line in open(path, encoding="utf-8")]
    for index, record in enumerate(records):
        record.update(columns_of(record["language"], index))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def test_a_language_in_two_corpora_is_two_groups(tmp_path):
    groups = ["deu/fleurs", "deu/mls", "kat/fleurs"]
    run = plant_decoding(tmp_path / "run", {"deu": 0.2, "kat": 0.4})
    plant_training(run, groups, updates=100)
    grouped(run, "language+corpus", lambda code, i: {
        "corpus": "mls" if code == "deu" and i % 2 else "fleurs"
    })  # fmt: skip
    markdown = report(run)[1]
    table = markdown.split("## Every group")[1].split("## ")[0]
    rows = [line.split("|")[1].split()[0] for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == "language+corpus" and sorted(rows[1:]) == groups
    assert "3 groups by language+corpus" in markdown and "deu/mls German (mls)" in table


@pytest.fixture
def accents(tmp_path) -> list[Path]:
    """Two runs on five accents of one language, one of which is called as a language is."""
    names = {"deu": "scotland", "kat": "india", "rus": "kor", "hin": "us", "arb": "gb"}
    runs = []
    for objective, cer in (("ctc_dro", 0.1), ("erm", 0.25)):
        rates = dict(zip(names, (cer + 0.1, *[cer + 0.05] * 4)))
        run = plant_decoding(tmp_path / objective, rates, n_utterances=24)
        plant_training(run, list(names.values()), objective=objective, updates=400)
        runs.append(grouped(run, "accent", lambda code, i: {
            "language": "eng", "columns": {"accent": names[code], "gender": "fm"[i % 2]}
        }))  # fmt: skip
    return runs


def test_a_report_on_accents_of_one_language_speaks_of_groups(accents):
    """Every table, title and sentence; a language is named where a language is meant."""
    page, markdown = report(accents[0], "--baseline", accents[1])
    says = Page(page).says
    assert "5 groups by accent" in says and "## Every group" in markdown
    table = markdown.split("## Every group")[1].split("## ")[0]
    heads, *rows = [line.split("|")[1].strip() for line in table.splitlines() if line[:2] == "| "]
    assert heads == "accent" and set(rows) == {"scotland", "india", "kor", "us", "gb"}
    assert "Korean" not in says  # of kor, an accent
    assert "better" in table and "Weights of the groups" in says
    spoken_of = [says[m.start() - 40 : m.end() + 20] for m in re.finditer("(?i)language", says)]
    allowed = ("language_grouped_audio", "task.group_by", "languages.tsv")
    assert [text for text in spoken_of if not any(word in text for word in allowed)] == []


def test_a_comparison_on_accents_of_one_language_speaks_of_groups(accents, capsys):
    assert main(["compare", *map(str, reversed(accents))]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^\| accent +\|", printed, re.M) and "Of 5 groups, 5 got better" in printed
    assert not re.search("(?i)language", printed)


def test_a_run_on_accents_cannot_be_compared_on_a_split_without_them(accents, capsys):
    for run in accents:
        grouped(run, "accent", lambda code, i: {"columns": {}})
    assert main(["compare", *map(str, accents)]) == 2
    error = capsys.readouterr().err
    assert "has no accent" in error and ".accent" in error
    alarms = report(accents[0], "--baseline", accents[1])[1].split("## Headline")[0]
    said = re.findall(r"120 of 120 decoded utterances of (\S+) have no accent", alarms)
    assert said == ["ctc_dro", "erm"]


def test_several_decoded_folders_stand_side_by_side(tmp_path):
    run = plant_decoding(plant_training(tmp_path / "run", SIX), ERM_CER)
    plant_decoding(run, DRO_CER, results="decode_test_worst_cer")
    text = Page(report(run)[0]).says
    assert re.search(r"worst_cer 1,000 (\S+ ){4}2\d\.\d ", text)  # its test number
    assert re.search(r"decode_test_worst_cer – 1\d\.\d -\d\.\d to -\d\.\d ", text)


def test_another_split_beside_the_test_split_is_not_compared(tmp_path):
    run = plant_decoding(plant_training(tmp_path / "run", SIX), ERM_CER)
    plant_decoding(run, DRO_CER, results="decode_test_other", references_seed=8)
    text = Page(report(run)[0]).says
    assert "Decoded folders are not compared" in text and "different references" in text


def test_a_split_without_languages_is_one_group(tmp_path):
    run = plant_decoding(plant_training(tmp_path / "run", SIX), {"deu": 0.2})
    path = run / "decode_test" / "utterances.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"deu"', "null"))
    assert "| all " in report(run)[1]


def without_text(run: Path, codes: tuple[str, ...]) -> None:
    path = run / "decode_test" / "utterances.jsonl"
    records = [json.loads(line) for line in open(path, encoding="utf-8")]
    for record in records:
        if record["language"] in codes:
            record.update(reference="", hypothesis="ab", insertions=2, word_insertions=1)
            empty = ("substitutions", "deletions", "reference_characters")
            words = ("word_substitutions", "word_deletions", "reference_words")
            record.update(dict.fromkeys([*empty, *words], 0))
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_a_language_without_references_has_no_rate_and_is_named(tmp_path):
    runs = [plant_decoding(tmp_path / name, {"deu": 0.2, "kat": 0.3}) for name in "ab"]
    for run in runs:
        without_text(run, ("deu",))
    markdown = report(runs[0], "--baseline", runs[1])[1]
    assert "All references of German (deu) are empty" in markdown
    assert re.search(r"\| deu German +\| +30 \| +1.6 min \| +– \|", markdown)
    without_text(runs[0], ("deu", "kat"))
    assert "No error rate: all references of the split are empty" in report(runs[0])[1]


def test_one_language_and_one_utterance_are_enough_for_a_page(tmp_path):
    run = plant_training(tmp_path / "run", ["deu"])
    plant_decoding(run, {"deu": 0.3}, n_utterances=1)
    markdown = report(run)[1]
    assert "mean CER" in markdown and "standard deviation" not in markdown
    assert "q collapsed" not in markdown


def test_what_was_not_looked_at_is_not_called_fine(tmp_path):
    text = Page(report(plant_training(tmp_path / "run", SIX))[0]).says
    assert "Nothing found: q is not held" in text and "test utterances or more" not in text


def test_a_baseline_on_other_utterances_is_refused(two_runs, tmp_path, capsys):
    other = plant_decoding(tmp_path / "other", ERM_CER, n_utterances=5)
    assert main(["report", str(two_runs[0]), "--baseline", str(other)]) == 2
    assert "not decoded on the same utterances" in capsys.readouterr().err
    assert main(["report", str(two_runs[0]), "--baseline", str(two_runs[0])]) == 2
    assert "named twice" in capsys.readouterr().err


def test_equal_runs_give_equal_pages(two_runs, tmp_path, real_pictures):
    pages = [report(two_runs[1], "--out", tmp_path / name)[0] for name in ("a", "b")]
    without_time = [re.sub(r"report of [\d :-]+UTC", "", page) for page in pages]
    assert without_time[0] == without_time[1]


def test_three_languages_and_two_validations_are_too_few_to_be_judged(tmp_path):
    run = plant_training(tmp_path / "run", SIX[:3], updates=100)
    plant_decoding(run, dict.fromkeys(SIX[:3], 0.3), n_utterances=3)
    for name, kept in (("history.jsonl", 2), ("group_weights.jsonl", 1)):
        lines = (run / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (run / name).write_text("".join(lines[:kept]), encoding="utf-8")
    (run / "data").mkdir()
    config = yaml.safe_load((run / ".hydra" / "config.yaml").read_text(encoding="utf-8"))
    plant_config(run, {**config, "task": {"data": "data"}})
    for name, line in (("tsv", "{}.wav\t16000"), ("ltr", "a b |"), ("lang", "{}")):
        lines = ["/audio"] * (name == "tsv") + [line.format(code) for code in SIX[:3]]
        (run / "data" / f"train.{name}").write_text("\n".join(lines) + "\n")
    (run / "data" / "dict.ltr.txt").write_text("| 3\na 3\nb 3\n")
    text = Page(report(run)[0]).says
    assert "rank correlation" not in text.replace("A rank correlation over fewer than 4", "")
    assert "target units" not in text and "train min" in text
    assert "Second: effective number" not in text
    assert "while the mean fell" not in text and "None of fewer than 5" in text
