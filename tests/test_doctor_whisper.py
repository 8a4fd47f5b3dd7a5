"""What the doctor says of a folder that Whisper is to be trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor_folder import doctor, write_clean_folder
from tests.stock_commands import REPOSITORY
from tests.whisper_files import tokenizer_json
from tests.whisper_runs import copy_with_texts

CONFIG = REPOSITORY / "examples" / "xlsr_dro" / "config"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_clean_folder(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def examine(capsys, tmp_path):
    (tmp_path / "tokenizer.json").write_text(tokenizer_json())

    def found(folder: Path, *overrides: str):
        return doctor(
            capsys, folder, "--audio-per-language", "0", "--config-dir", str(CONFIG),
            "--config-name", "whisper", f"model.whisper_path={tmp_path}",
            "optimization.update_freq=[1]", *overrides,
        )  # fmt: skip

    return found


def test_a_clean_folder_needs_no_dictionary_and_has_its_tokens_told(clean, examine, tmp_path):
    folder = copy_with_texts(clean, tmp_path / "data")
    (folder / "dict.ltr.txt").unlink()
    status, findings = examine(folder)
    assert status == 0 and set(findings) == {"tokens_by_language"}
    assert findings["tokens_by_language"]["severity"] == "note"
    what = findings["tokens_by_language"]["what"]
    # the tokens of this tokenizer are bytes: two of them for a letter of these scripts
    assert what.index("rus") < what.index("deu") and "1.94 a character" in what


@pytest.mark.parametrize("defect", ["text", "audio"])
def test_what_whisper_cannot_take_is_named_or_left_out(clean, examine, tmp_path, defect):
    folder = copy_with_texts(clean, tmp_path / "data")
    file = folder / ("train.wrd" if defect == "text" else "train.tsv")
    lines = file.read_text().splitlines()
    if defect == "text":
        lines[0] = "ab" * 300
    else:
        lines[1] = lines[1].split("\t")[0] + "\t640000"
    file.write_text("\n".join(lines) + "\n")
    status, findings = examine(folder)
    finding = findings["beyond_whisper"]
    assert (status, finding["severity"]) == (1, "error")
    assert finding["places"][0].startswith("train.tsv:2")
    said = "601 tokens" if defect == "text" else "40.0 s"
    assert said in finding["places"][0]
    assert "task.skip_infeasible=true" in finding["fix"]
    _, findings = examine(folder, "task.skip_infeasible=true")
    assert findings["beyond_whisper"]["severity"] == "warning"
