"""The block of manifests/README.md: a corpus of 26 languages goes from its folders to scores."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from fairseq_dro import languages
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.prepare.readers.ml_superb import few_shot_utterances
from tests.corpus_trees import ML_SUPERB_CORPORA, ml_superb_tree, write_audio, write_lines
from tests.stock_commands import BIN, REPOSITORY, environment

N_LANGUAGES = 24
LETTERS = {
    "Latn": "aeiounst", "Cyrl": "аеионст", "Grek": "αεονιστ", "Arab": "ابتسلم", "Deva": "कखगनमर",
    "Geor": "აბგდენ", "Armn": "աբգդեն", "Hebr": "אבגדהל", "Beng": "কখগনমর", "Taml": "கசடதபம",
    "Thai": "กขคงจน", "Ethi": "አበገደሀለ",
}  # fmt: skip
FEW_SHOT = ("NST_dan_000007", "NST_dan_000072")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """ML-SUPERB's layout: all corpora, 24 languages in 12 scripts, Japanese, few-shot Danish."""
    root = tmp_path_factory.mktemp("ml_superb")
    in_script: dict[str, list[str]] = {script: [] for script in LETTERS}
    for code, language in languages.known_languages().items():
        in_corpus = f"ml_superb={code}" in language.corpus_names
        if in_corpus and language.script in LETTERS and code not in few_shot_utterances():
            in_script[language.script].append(code)
    draw = random.Random(1)
    texts = {
        code: [
            " ".join("".join(draw.choices(LETTERS[script], k=4)) for _ in range(2))
            for _ in range(6)
        ]
        for script, codes in in_script.items()
        for code in codes[: 3 if script == "Latn" else 2]
    }
    texts |= {code: texts["afr"] for code in in_script["Latn"][3 : 3 + N_LANGUAGES - len(texts)]}
    assert len(texts) == N_LANGUAGES
    texts["org_jpn"] = ["いち に", "さん", "よん ご", "ろく"]
    texts["dan"] = ["en to", "tre", "fire fem"]
    for number, (code, lines) in enumerate(texts.items()):
        name = "NST" if code == "dan" else ML_SUPERB_CORPORA[number % len(ML_SUPERB_CORPORA)]
        ml_superb_tree(root, {code: lines}, [name])
    folder = root / "NST" / "dan"
    for size in ("10min", "1h"):
        rows = [f"{one} x seks syv {number}\n" for number, one in enumerate(FEW_SHOT)]
        with open(folder / f"transcript_{size}_train.txt", "a", encoding="utf-8") as stream:
            stream.writelines(rows)
    for one in FEW_SHOT:
        write_audio(folder / "wav" / f"{one}.wav")
    return root


@pytest.fixture(scope="module")
def steps() -> list[str]:
    """The commands of the block, settings first."""
    text = (REPOSITORY / "manifests" / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- the walk.*?-->\n```bash\n(.*?)```", text, re.DOTALL)
    return block[1].split("\n\n")


def test_the_walk_of_the_readme_goes_from_143_language_folders_to_scores(
    corpus, steps, tiny_checkpoint, tmp_path
):
    variables = {
        "ROOT": str(corpus), "MODEL": str(tiny_checkpoint), "RECIPE": "demo",
        "TRAIN_OPTIONS": "optimization.max_update=3 optimization.update_freq=[1] "
        "checkpoint.save_interval_updates=3 dataset.validate_interval_updates=3",
        "INFER_OPTIONS": "common.cpu=true",
    }  # fmt: skip
    said = {}
    settings, *commands = steps
    for command in commands:
        name = re.search(r"^fairseq-\S+( prepare| doctor| train| infer)?", command, re.MULTILINE)[0]
        done = subprocess.run(
            ["bash", "-euc", f"{settings}\n{command}"], cwd=tmp_path, text=True, timeout=200,
            env=environment(**variables, PATH=f"{BIN}:/usr/bin:/bin"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said[name] = done.stdout
        assert done.returncode == 0, f"{name}:\n{done.stdout}"
    assert list(said) == [
        "fairseq-dro prepare", "fairseq-dro doctor", "fairseq-dro train", "fairseq-dro infer"
    ]  # fmt: skip
    data = tmp_path / "data" / "ml_superb_1h"
    train = read_manifest(data, "train")
    assert len(set(train.languages)) == N_LANGUAGES + 2 and "jpn" in set(train.languages)
    danish = [one for one, code in zip(train.utterance_ids, train.languages) if code == "dan"]
    assert tuple(danish) == FEW_SHOT
    assert not list(data.rglob("*.wav")) and not list(data.rglob("*.flac"))
    run = tmp_path / "runs" / "ml_superb_1h"
    validated = json.loads((run / "history.jsonl").read_text("utf-8").splitlines()[-1])
    assert len(validated["languages"]) == N_LANGUAGES + 2
    scores = json.loads((run / "decode_test" / "scores.json").read_text(encoding="utf-8"))
    assert len(scores["languages"]) == N_LANGUAGES + 2
    assert all("lid_accuracy" in row for row in scores["languages"].values())
    assert "kat" in said["fairseq-dro doctor"]


def test_the_readme_names_every_reader_profile_and_language_set_and_no_others():
    from fairseq_dro.language_sets import names
    from fairseq_dro.prepare.readers import READERS
    from fairseq_dro.text.profiles import PROFILES

    text = (REPOSITORY / "manifests" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `prepare (\S+) OUT", text, re.MULTILINE)) == {
        reader.name for reader in READERS
    }
    assert set(re.findall(r"^  \| `(\w+)` \|", text, re.MULTILINE)) == set(PROFILES)
    assert sorted(re.findall(r"^\| `(\w+)\.txt` \|", text, re.MULTILINE)) == names()


def test_every_option_that_the_readme_names_exists(capsys):
    from fairseq_dro.cli import main
    from fairseq_dro.prepare.readers import READERS

    known = ""
    for reader in READERS:
        with pytest.raises(SystemExit):
            main(["prepare", reader.name, "--help"])
        known += capsys.readouterr().out
    text = (REPOSITORY / "manifests" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    elsewhere = {"--config-dir", "--config-name", "--help"}
    assert {option for option in named - elsewhere if option not in known} == set()


def test_a_language_set_is_found_from_any_folder(tmp_path, monkeypatch):
    from fairseq_dro.language_sets import read_set

    monkeypatch.chdir(tmp_path)
    assert read_set("six_languages") == ["pol", "spa", "ces", "ron", "nan", "cmn"]
    mine = write_lines(tmp_path / "six_languages", ["deu\n"])
    assert read_set(mine.name) == ["deu"]
