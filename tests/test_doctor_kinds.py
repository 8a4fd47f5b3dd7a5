"""Of every kind, a planted defect is found at its place, and what its fix sets fixes it."""

from __future__ import annotations

import ast
import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairseq_dro.checks import audio
from fairseq_dro.cli import main
from fairseq_dro.doctor import copies, prepared_text
from fairseq_dro.doctor.configuration import compose_configuration
from tests.doctor_folder import (
    ALPHABETS,
    audio_of,
    copy_of,
    doctor,
    edit,
    remove,
    spoil_audio,
    write_clean_folder,
)
from tests.stock_commands import REPOSITORY

CONFIG = REPOSITORY / "examples" / "xlsr_dro" / "config"
RECIPE = ("optimization.update_freq=[1]", "model.mask_channel_length=8")


@dataclass(frozen=True)
class Planted:
    """A defect and what is said of it.

    Attributes:
        where: how its first place begins, or where it has none, words of its sentence.
        fix: words of it; empty where the sentence itself ends in what to do.
        overrides: of the recipe with which the folder is examined; None: without one.
    """

    severity: str
    where: str
    fix: str
    spoil: Callable[[Path], object] = lambda folder: None
    overrides: tuple[str, ...] | None = None


def change(name: str, line: int, to: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, line, to)


def of_recipe(severity: str, where: str, fix: str, *overrides: str) -> Planted:
    return Planted(severity, where, fix, overrides=overrides)


def empty_test(folder: Path) -> None:
    remove(folder, "test", lambda *_: True)


def decomposed(folder: Path) -> None:
    letters = " ".join(unicodedata.normalize("NFD", "ö"))
    edit(folder / "train.ltr", 3, lambda text: f"{letters} {text}")
    append(folder / "dict.ltr.txt", "o 1\n\u0308 1\n")


def capitals(folder: Path, split: str, lines: Iterable[int]) -> None:
    units = sorted(set("".join(ALPHABETS.values())))
    append(folder / "dict.ltr.txt", "".join(f"{unit.upper()} 1\n" for unit in units))
    for line in lines:
        edit(folder / f"{split}.ltr", line, str.upper)


def accent_of_valid(folder: Path) -> None:
    for split in ("train", "valid", "test"):
        n = len((folder / f"{split}.lang").read_text().splitlines())
        lines = [("north\n", "south\n")[i % 2] for i in range(n)]
        (folder / f"{split}.accent").write_text("".join(lines))
    edit(folder / "valid.accent", 2, lambda _: "west")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def tokens(folder: Path, *, but: int | None = None, wrong: int | None = None) -> None:
    append(folder / "dict.ltr.txt", "[deu] 1\n[rus] 1\n[ell] 1\n")
    languages = (folder / "train.lang").read_text().split()
    for line, language in enumerate(languages, start=1):
        token = "[rus]" if line == wrong else f"[{language}]"
        if line != but:
            edit(folder / "train.ltr", line, lambda text, token=token: f"{token} {text}")


def name_file_of_training(folder: Path) -> None:
    row = (folder / "train.tsv").read_text().splitlines()[4]
    edit(folder / "test.tsv", 3, lambda _: row)


def name_file_twice(folder: Path) -> None:
    edit(folder / "train.tsv", 8, lambda _: (folder / "train.tsv").read_text().splitlines()[2])


def copy_two_of_training(folder: Path) -> None:
    lines = (folder / "train.tsv").read_text().splitlines()
    texts = (folder / "train.ltr").read_text(encoding="utf-8").splitlines()
    for i in range(2):
        shutil.copy(audio_of(folder, i + 2), folder / "wav" / f"copy{i}.wav")
        edit(folder / "test.tsv", i + 2,
             lambda _, i=i: f"wav/copy{i}.wav\t" + lines[i + 1].split("\t")[1])  # fmt: skip
        edit(folder / "test.ltr", i + 1, lambda _, i=i: texts[i])


def say_training_again(folder: Path) -> None:
    texts = (folder / "train.ltr").read_text(encoding="utf-8").splitlines()
    for line in (1, 2):
        edit(folder / "test.ltr", line, lambda _, line=line: texts[line - 1])


def lasts(line: int, n_samples: int) -> Callable[[Path], None]:
    return change("train.tsv", line, lambda row: f"{row.split(chr(9))[0]}\t{n_samples}")


def without(split: str, language: str) -> Callable[[Path], None]:
    return lambda folder: remove(folder, split, lambda _, one: one == language)


def spoilt(how: str) -> Callable[[Path], None]:
    return lambda folder: spoil_audio(audio_of(folder, 20), how)


def write_speakers(folder: Path, split: str) -> None:
    """One voice in all splits."""
    lines = (folder / f"{split}.lang").read_text(encoding="utf-8").splitlines()
    (folder / f"{split}.speaker").write_text("s\n" * len(lines), encoding="utf-8")


def said(folder: Path, kind: str) -> None:
    """A ``dataset.json`` that says so of the German utterances."""
    found = {one: {} for one in ("cut", "joined", "emptied", "tags", "numbers")}
    found[kind] = {"deu": {"count": 1, "example": "c.tsv:2: 'a-b' is 'a b'"}}
    text = {
        "profile": "lower", "tags": "drop", "digits": "drop", "words": {"deu": 99}, "found": found
    }
    languages = {"deu": {"train": {"utterances": 30}}}
    record = json.dumps({"text": text, "languages": languages})
    (folder / "dataset.json").write_text(record, encoding="utf-8")


def third_of_russian(folder: Path) -> None:
    remove(folder, "train", lambda i, language: language == "rus" and i % 3 > 0)


PLANTED = {
    "outside_dictionary": Planted(
        "error", "train.ltr:5 (wav/deu_train_4): 'ß'", "make the dictionary from all splits",
        change("train.ltr", 5, lambda t: "ß " + t)),
    "never_learnt": Planted(
        "note", "1 unit in valid and test and never in train", "nothing to do",
        lambda f: (append(f / "dict.ltr.txt", "q 0\n"),
                   edit(f / "test.ltr", 2, lambda t: "q " + t))),
    "two_cases": Planted(
        "warning", "train.ltr:1 (wav/deu_train_0)", "--text-profile lower",
        lambda f: capitals(f, "train", (1, 2, 3))),
    "not_composed": Planted(
        "error", "train.ltr:3 (wav/deu_train_2)", "unicodedata.normalize('NFC'", decomposed),
    "look_alikes": Planted(
        "error", "train.ltr:30 (wav/rus_train_5): in 'a", "replace the stray letters",
        change("train.ltr", 30, lambda t: "a " + t)),
    "two_encodings": Planted(
        "warning", "train.ltr:3 (wav/deu_train_2)", "write the rarer letter as the other one",
        change("train.ltr", 3, lambda t: "\u015f \u0219 | " + t)),
    "shared_speaker": Planted(
        "warning", "test.speaker:1", "--split-by speaker",
        lambda f: [write_speakers(f, split) for split in ("train", "test")]),
    "little_validation": Planted(
        "warning", "(rus 2 s)", "--valid-seconds",
        lambda f: remove(f, "valid", lambda i, language: language == "rus" and i % 3 > 0)),
    "validated_not_saved": Planted(
        "note", "every 50 updates", "set checkpoint.save_interval_updates=50", lambda f: None,
        ("dataset.validate_interval_updates=50", "checkpoint.save_interval_updates=100")),
    "words_cut": Planted(
        "note", "c.tsv:2: 'a-b' is 'a b'", "text put right", lambda f: said(f, "cut")),
    "words_joined": Planted("note", "c.tsv:2", "text put right", lambda f: said(f, "joined")),
    "words_emptied": Planted("note", "c.tsv:2", "text put right", lambda f: said(f, "emptied")),
    "tags_dropped": Planted("note", "c.tsv:2", "--tags keep", lambda f: said(f, "tags")),
    "numbers_dropped": Planted("warning", "c.tsv:2", "--digits", lambda f: said(f, "numbers")),
    "empty_reference": Planted(
        "error", "valid.ltr:2 (wav/deu_valid_1)", "write their text, or remove",
        change("valid.ltr", 2, lambda t: "")),
    "one_character_reference": Planted(
        "note", "train.ltr:7 (wav/deu_train_6): 'a'", "listen",
        change("train.ltr", 7, lambda t: "a |")),
    "token_contradicts_lang": Planted(
        "error", "train.ltr:4 (wav/deu_train_3): [rus], and .lang says deu", "fix train.lang or",
        lambda f: tokens(f, wrong=4)),
    "token_on_some_lines": Planted(
        "error", "train.ltr:6 (wav/deu_train_5)", "of all utterances with it, or of none",
        lambda f: tokens(f, but=6)),
    "token_twice": Planted(
        "error", "train.ltr:1 (wav/deu_train_0)", "set task.language_token=false", tokens,
        ("task.language_token=true",)),
    "token_not_in_dictionary": of_recipe(
        "error", "[deu], [ell], [rus]", "--language-tokens", "task.language_token=true"),
    "unknown_language": Planted(
        "error", "train.lang:6 (wav/deu_train_5)", "ISO 639-3",
        change("train.lang", 6, lambda t: "de")),
    "unreadable_split": Planted(
        "error", "train.tsv:6", "", change("train.tsv", 6, lambda t: t.replace("\t", " "))),
    "empty_split": Planted("error", "test.tsv holds no", "remove its files", empty_test),
    "no_validation": Planted(
        "warning", "no validation split named valid", "--valid",
        lambda f: (f / "valid.tsv").unlink()),
    "no_dictionary": Planted(
        "error", "dict.ltr.txt does not exist", "one line `unit count`",
        lambda f: (f / "dict.ltr.txt").unlink()),
    "bad_dictionary": Planted(
        "error", "dict.ltr.txt:2: 'a'", "remove or fix the lines",
        change("dict.ltr.txt", 2, lambda t: "a")),
    "group_not_trained": Planted(
        "error", "valid.accent:2 (wav/deu_valid_1)", "or remove them from valid", accent_of_valid,
        ("task.group_by=accent",)),
    "no_column": of_recipe(
        "error", "train.corpus does not exist", "", "task.group_by=language+corpus"),
    "target_too_long": Planted(
        "error", "train.ltr:9 (wav/deu_train_8): needs 160 frames", "task.skip_infeasible=true",
        change("train.ltr", 9, lambda t: "a " * 80 + "|")),
    "without_frame": Planted(
        "error", "valid.tsv:3 (wav/deu_valid_1)", "task.min_sample_size=400",
        lambda f: edit(f / "valid.tsv", 3, lambda row: f"{row.split(chr(9))[0]}\t399")),
    "duration_outlier": Planted(
        "warning", "train.tsv:12 (wav/deu_train_10): 37.5 s", "listen", lasts(12, 600_000)),
    "rate_outlier": Planted(
        "warning", "train.tsv:12 (wav/deu_train_10): 0.4 characters", "listen",
        lasts(12, 600_000)),
    "longer_than_batch": Planted(
        "warning", "train.tsv:12 (wav/deu_train_10): 75.0 s", "set task.batch_seconds=54",
        lasts(12, 1_200_000), ()),
    "longer_than_memory": Planted(
        "error", "valid.tsv:3 (wav/deu_valid_1)", "raise dataset.max_tokens",
        change("valid.tsv", 3, lambda row: f"{row.split(chr(9))[0]}\t1400000"),
        ("dataset.skip_invalid_size_inputs_valid_test=false",)),
    "language_left_out": of_recipe(
        "error", "deu, rus, ell", "raise dataset.max_tokens", "dataset.max_tokens=31999",
        "task.batch_seconds=1.9"),
    "shorter_than_least": Planted(
        "warning", "train.tsv:12 (wav/deu_train_10)", "lower task.min_sample_size",
        lasts(12, 20_000), ("task.min_sample_size=20001",)),
    "batch_not_filled": Planted(
        "warning", "1 language (rus 20 s)", "set task.batch_seconds=27, or criterion.group_loss",
        third_of_russian, ()),
    "language_not_trained": Planted(
        "error", "valid.lang:2 (wav/deu_valid_1)", "add training data",
        change("valid.lang", 2, lambda t: "fra")),
    "language_not_validated": Planted(
        "warning", "1 language (ell)", "move some of their utterances to valid",
        without("valid", "ell")),
    "language_not_tested": Planted(
        "note", "1 language (rus)", "move some of their utterances to test",
        without("test", "rus")),
    "one_utterance": Planted(
        "warning", "train.lang:4 (wav/deu_train_3)", "leave the language out",
        change("train.lang", 4, lambda t: "fra")),
    "shared_audio": Planted(
        "error", "test.tsv:3 (wav/deu_train_3)", "remove them from all files of test or of train",
        name_file_of_training),
    "copies_not_compared": Planted("note", "1 of 2 pairs", "--all", copy_two_of_training),
    "shared_text": Planted(
        "warning", "test.ltr:1 (wav/deu_test_0)", "split by text", say_training_again),
    "audio_twice": Planted(
        "warning", "train.tsv:8 (wav/deu_train_1)", "remove the lines", name_file_twice),
    "id_twice": Planted(
        "warning", "train.utt:7 (wav/deu_train_1)", "write train.utt", name_file_twice),
    **{
        f"audio_{how}": Planted(severity, "train.tsv:20 (wav/deu_train_18)", fix, spoilt(how))
        for how, severity, fix in (
            ("missing", "error", "fix the root folder"), ("unreadable", "error", "restore"),
            ("cut", "error", "`fairseq-dro prepare`"), ("rate", "error", "sox IN -r 16000"),
            ("channels", "warning", "sox IN -c 1"), ("silent", "warning", "listen"),
            ("clipped", "warning", "listen"),
        )
    },
    "unknown_option": of_recipe(
        "error", "optimizer._name=adm (command line)", "did you mean optimizer._name=adam",
        "optimizer._name=adm"),
    "bad_configuration": of_recipe(
        "error", "optimization.lr: Invalid value", "write a list: 'optimization.lr=[VALUE]'",
        "optimization.lr=0.1"),
    "option_missing": of_recipe(
        "error", "model.w2v_path has no value", "set model.w2v_path=VALUE", "~model.w2v_path"),
    "out_of_range": of_recipe("error", "task.length_noise=3", "", "task.length_noise=3"),
    "wrong_checkpoint": of_recipe("error", "a.pt is not a file", "", "model.w2v_path=a.pt"),
    "normalize_differs": of_recipe(
        "error", "pre-trained with normalize=true", "set task.normalize=true",
        "task.normalize=false"),
    "mask_not_drawable": of_recipe(
        "error", "mask_channel_length=9", "set model.mask_channel_length=8 or less",
        "model.mask_channel_length=9"),
    "option_ignored": of_recipe(
        "warning", "dataset.curriculum=2", "leave it out", "dataset.curriculum=2"),
    "parts_do_not_fit": of_recipe(
        "error", "task audio_finetuning has none",
        "set task._name=language_grouped_audio_finetuning", "task._name=audio_finetuning"),
    "drops_utterances": of_recipe(
        "error", "skip_remainder_batch=true", "leave it false",
        "optimization.skip_remainder_batch=true"),
    "post_process": of_recipe(
        "warning", "letters are joined by", "set criterion.post_process=letter",
        "criterion.post_process=sentencepiece"),
    "no_end": of_recipe(
        "warning", "ends the run", "set optimization.max_update", "optimization.max_update=0"),
    "encoder_never_trained": of_recipe(
        "warning", "freeze_finetune_updates=13000", "set model.freeze_finetune_updates below it",
        "model.freeze_finetune_updates=13000"),
    "q_never_moves": of_recipe(
        "error", "dro_start_update=13000", "set criterion.dro_start_update below it",
        "criterion.dro_start_update=13000"),
    "q_moves_on_the_head": of_recipe(
        "warning", "frozen until update 10000", "set criterion.dro_start_update=10000",
        "criterion.dro_start_update=0"),
    "phase_ratio": of_recipe(
        "error", "does not sum to 1", "warm up, hold, decay",
        "lr_scheduler.phase_ratio=[0.1,0.4,0.6]"),
    "learning_rates": of_recipe(
        "error", "optimization.lr=[0,1] are 2 learning rates, and tri_stage takes one",
        "such as 'optimization.lr=[0.001]'", "optimization.lr=[0,001]"),
    "no_decay": of_recipe(
        "error", "max_update=1 leaves the decay of the learning rate, 0.5 of it",
        "set optimization.max_update=2 or more", "optimization.max_update=1"),
    "batch_exceeds_memory": of_recipe(
        "warning", "are 30 s, less than task.batch_seconds=50", "or set task.batch_seconds=30",
        "dataset.max_tokens=480000"),
}  # fmt: skip


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_clean_folder(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def found(capsys, tiny_checkpoint):
    """Exit status and findings of a folder, with a recipe where there are overrides."""

    def examine(folder: Path, overrides: tuple[str, ...] | None):
        if overrides is None:
            return doctor(capsys, folder, "--audio-per-language", "24")
        return doctor(
            capsys, folder, "--audio-per-language", "0", "--config-dir", str(CONFIG),
            "--config-name", "finetune", f"model.w2v_path={tiny_checkpoint}", *RECIPE,
            *overrides,
        )  # fmt: skip

    return examine


@pytest.mark.parametrize("overrides", [None, ()])
def test_nothing_is_found_where_nothing_is_planted(clean, found, overrides):
    assert found(clean, overrides) == (0, {})


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_defect_is_found_at_its_place(clean, tmp_path, found, monkeypatch, kind):
    planted = PLANTED[kind]
    folder = copy_of(clean, tmp_path / "data")
    planted.spoil(folder)
    if kind == "copies_not_compared":
        monkeypatch.setattr(copies, "MOST_PAIRS", 1)
    status, findings = found(folder, planted.overrides)
    finding = findings[kind]
    assert finding["severity"] == planted.severity
    if finding["places"]:
        assert finding["places"][0].startswith(planted.where)
    else:
        assert planted.where in finding["what"]
    assert planted.fix in finding["fix"] and bool(planted.fix) == bool(finding["fix"])
    assert status == any(one["severity"] == "error" for one in findings.values())
    for options in ways_of(finding["fix"]):
        fixed = found(folder, with_options(planted.overrides or (), options))[1]
        assert "bad_configuration" not in fixed, options
        assert fixed.get(kind, {}).get("severity") != planted.severity, options


def ways_of(fix: str) -> list[list[str]]:
    """The options of each way that a fix names, as they are printed; none where it has a blank."""
    found = [re.findall(r"\b[a-z_]+\.\w+=[^\s,;?)`']+", way) for way in fix.split(", or ")]
    return [way for way in found if way and not re.search("VALUE|NAME", " ".join(way))]


def with_options(overrides: tuple[str, ...], options: list[str]) -> tuple[str, ...]:
    """A command line on which some options replace those of the same names."""
    names = {option.lstrip("+").partition("=")[0] for option in options}
    kept = (one for one in overrides if one.lstrip("+~").partition("=")[0] not in names)
    return (*kept, *options)


@pytest.mark.parametrize("recipe", ["demo", "finetune", "mms", "paper"])
def test_a_fix_is_printed_as_it_is_typed(clean, capsys, tiny_checkpoint, recipe):
    """For each recipe, with what its options allow to go wrong in a folder without tokens."""
    typed = (f"model.w2v_path={tiny_checkpoint}", f"task.data={clean}", "task.batch_seconds=200",
             "task.normalize=false", "dataset.max_tokens=480000",
             "criterion.post_process=sentencepiece")  # fmt: skip
    _, findings = doctor(
        capsys, clean, "--audio-per-language", "0", "--config-dir", str(CONFIG),
        "--config-name", recipe, *typed,
    )  # fmt: skip
    ways = {kind: ways_of(one["fix"]) for kind, one in findings.items()}
    for options in (options for kind in ways for options in ways[kind]):
        compose_configuration(CONFIG, recipe, with_options(typed, options))
    assert {"normalize_differs", "batch_exceeds_memory"} <= set(ways)
    assert ways["post_process"] == [["criterion.post_process=letter"]]
    assert ["criterion.group_loss=per_second"] in ways["batch_not_filled"]


@pytest.mark.parametrize(
    "lines, severity, share", [(range(1, 4), "warning", 88), ([2], "note", 29)]
)
def test_a_language_of_another_case_than_in_training_is_a_warning(
    clean, tmp_path, found, lines, severity, share
):
    folder = copy_of(clean, tmp_path / "data")
    capitals(folder, "test", lines)
    findings = found(folder, None)[1]
    assert findings["never_learnt"]["severity"] == severity
    assert f"({share} % of deu in test)" in findings["never_learnt"]["what"]
    assert ("two_cases" in findings) == (severity == "warning")


def test_an_update_that_asks_for_more_than_training_has(clean, tmp_path, found):
    folder = copy_of(clean, tmp_path / "data")
    remove(folder, "train", lambda i, _: i % 24 > 14)
    for overrides in (
        ("optimization.update_freq=[16]",),
        ("optimization.update_freq=[4]", "distributed_training.distributed_world_size=2"),
    ):
        finding = found(folder, overrides)[1]["batch_not_filled"]
        n = 16 if len(overrides) == 1 else 8
        assert f"an update asks for {n} x 50 s = {n * 50} s, and train has 113 s" in finding["what"]
        lower, shorter, counted = ways_of(finding["fix"])
        assert lower[0] == f"optimization.update_freq=[{2 if n == 16 else 1}]"
        assert f"'{lower[0]}'" in finding["fix"]  # zsh and bash would take the brackets apart
        assert [way.partition("=")[0] for way in shorter] == ["task.batch_seconds"]
        for way in (lower, shorter):
            assert "batch_not_filled" not in found(folder, with_options(overrides, way))[1]
        assert counted == ["criterion.group_loss=per_second"]


def test_without_ctc_dro_batches_that_are_not_filled_are_a_note(clean, tmp_path, found):
    folder = copy_of(clean, tmp_path / "data")
    third_of_russian(folder)
    finding = found(folder, ("criterion.objective=erm",))[1]["batch_not_filled"]
    assert finding["severity"] == "note" and "ctc_dro" not in finding["what"]
    assert "group_loss=per_second" not in finding["fix"]


def test_options_that_make_no_configuration_plan_no_batches(clean, tmp_path, found, capsys):
    folder = copy_of(clean, tmp_path / "data")
    third_of_russian(folder)
    assert "batch_not_filled" in found(folder, ())[1]
    assert set(found(folder, ("task.batch_seconds=long",))[1]) == {"bad_configuration"}
    main(["doctor", str(folder), "--config-dir", str(CONFIG), "--config-name", "demo", "a=1"])
    assert "batches" not in capsys.readouterr().out


def kinds_of(path: Path) -> set[str]:
    """The names with which a module calls what makes a finding."""
    found: set[str] = set()
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = getattr(getattr(call, "func", None), "id", "")
        if name in ("Finding", "_error", "_warning", "_outliers"):
            given = call.args[2] if name == "_outliers" else call.args[0]
            if isinstance(given, ast.Constant):
                found.add(given.value)
    return found


def test_every_kind_of_finding_has_a_planted_defect():
    folders = (REPOSITORY / "fairseq_dro" / name for name in ("checks", "doctor"))
    kinds = set().union(*(kinds_of(path) for folder in folders for path in folder.glob("*.py")))
    of_variables = {
        *audio.WHATS, "language_not_validated", "language_not_tested",
        "language_not_trained", "group_not_trained",
        *(f"words_{kind}" for kind in prepared_text.WORDS),
    }  # fmt: skip
    in_test_doctor_whisper = {"beyond_whisper", "tokens_by_language"}
    assert kinds | of_variables == set(PLANTED) | in_test_doctor_whisper
