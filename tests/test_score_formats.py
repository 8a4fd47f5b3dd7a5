"""Text files of each format and unit are read as they are named, and as nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import sentencepiece

from fairseq_dro import cli
from fairseq_dro.errors import UserError
from fairseq_dro.prepare.units import Characters, Graphemes, train_sentencepiece
from fairseq_dro.report.score.counting import count, records_of_texts
from fairseq_dro.report.score.notation import NAMES, joined, notation_of
from fairseq_dro.report.score.text_files import read_pairs, split_trn
from fairseq_dro.scoring.convention import Convention

REFERENCES = ["hello world", "good day", "καλή μέρα σας", "नमस्ते दुनिया", "über alles gut"]
HYPOTHESES = ["helo world", "god day", "καλη μερα σας", "नमस्त दुनिया", ""]
IDS = ["u1", "u2", "u3", "u4", "u5"]
QUICK = ("--replicates", "100")


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def rates(
    reference: Path, hypothesis: Path, format: str = "plain", post_process: str | None = None
) -> tuple[int, float, float]:
    """Utterances, CER and WER, without intervals."""
    scores = count(records_of_texts(reference, hypothesis, {}, format, post_process), Convention())
    total = scores.all
    return total.n_utterances, total.characters.error_rate, total.words.error_rate


def of(folder: Path, references: Sequence[str], hypotheses: Sequence[str]) -> tuple[Path, Path]:
    return write(folder / "ref", references), write(folder / "hyp", hypotheses)


def trn(texts: Sequence[str], ids: Sequence[str] = IDS) -> list[str]:
    return [f"{text} ({id})" for text, id in zip(texts, ids)]


@pytest.fixture
def right(tmp_path) -> tuple[int, float, float]:
    """Rates of the texts, read as plain files of words."""
    folder = tmp_path / "right"
    folder.mkdir()
    return rates(*of(folder, REFERENCES, HYPOTHESES))


# --- trn ---

ODD_IDS = {
    "short": IDS,
    "with spaces": ["speaker one-1", "speaker one-2", "b 3", "b  4", "b 5"],
    "with brackets": ["a(1)", "a(2)", "((3))", "x (4) y", "(5)"],
    "of fairseq": [f"None-{n}" for n in range(5)],
    "of words": ["anna", "berta", "cäsar", "δ", "ई"],
    "with slashes and dots": ["deu/a.wav", "deu/b.wav", "ell/c.d.wav", "x:1@0.5", "y;;1"],
}


@pytest.mark.parametrize("ids", ODD_IDS.values(), ids=ODD_IDS)
@pytest.mark.parametrize("noise", ["none", "blank lines", "comments", "both", "CRLF"])
def test_a_trn_file_has_its_ids_whatever_stands_between_its_lines(
    tmp_path, right, ids, noise
):
    lines = [trn(REFERENCES, ids), trn(HYPOTHESES, ids)]
    if noise in ("comments", "both"):
        lines = [[";; made by a program", *one[:2], ";;", *one[2:]] for one in lines]
    if noise in ("blank lines", "both"):
        lines = [["", *one[:3], "", "  ", *one[3:], "", ""] for one in lines]
    if noise == "CRLF":
        lines = [[f"{line}\r" for line in one] for one in lines]
    pair = of(tmp_path, *lines)
    assert rates(*pair, "trn") == right
    assert [pair.id for pair in read_pairs(*pair, "trn")] == [" ".join(id.split()) for id in ids]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("a b (u1)", ("a b", "u1")), ("(u1)", ("", "u1")), ("a(u1)", ("a", "u1")),
        ("a (laughs) b (u1)", ("a (laughs) b", "u1")), ("a (b) (u (1))", ("a (b)", "u (1)")),
        ("a ) (u1)", ("a )", "u1")), ("a (u1))", ("a", "u1)")), ("a ()", None), ("a ( )", None),
        ("a (b) c", None), ("", None), (")", None), ("a u1)", None),
    ],
)  # fmt: skip
def test_the_id_is_what_the_last_brackets_hold(text, parts):
    assert split_trn(text) == parts


@pytest.mark.parametrize(
    "references, hypotheses, named",
    [
        (["a b (u1)", "c d"], trn("ab"), "ref:2: expected `text (id)`"),
        (trn("ab"), ["a (u1)", "b"], "hyp:2: expected `text (id)`"),
        (REFERENCES, HYPOTHESES, "type --format kaldi for `id text`, or --format plain"),
        (["ja (laughs)", "nein (laughs)"], ["ja (laughs)", "no (laughs)"], "the utterance laughs"),
        (['{"id": "a", "text": "b"}'], ["b"], "ref:1: expected"),
    ],
)
def test_lines_without_an_id_of_their_own_are_not_taken_for_trn(
    tmp_path, references, hypotheses, named
):
    with pytest.raises(UserError) as error:
        rates(*of(tmp_path, references, hypotheses), "trn")
    assert named in str(error.value) and "\n" not in str(error.value)


def test_blank_lines_at_the_end_are_no_utterances_and_others_are_empty_texts(tmp_path, right):
    pair = of(tmp_path, [*REFERENCES, "", ""], [*HYPOTHESES, ""])
    assert rates(*pair) == right
    pair = of(tmp_path, REFERENCES, [*HYPOTHESES, "", "", ""])
    assert rates(*pair) == right
    pair = of(tmp_path, ["a b", "", "c d", ""], ["a b", "x", "", ""])
    assert rates(*pair)[0] == 3


def test_a_column_may_end_in_blank_lines_and_have_none_elsewhere(tmp_path, capsys):
    ref, hyp = of(tmp_path, ["ein wort", "zwei"], ["ein wort", "drei"])
    call = ["score", "--ref", str(ref), "--hyp", str(hyp), "--format", "plain", *QUICK, "--lang"]
    assert cli.main([*call, str(write(tmp_path / "lang", ["deu", "nld", "", ""]))]) == 0
    assert cli.main([*call, str(write(tmp_path / "lang", ["deu", "", "nld"]))]) == 2
    assert "lang:2: expected one name, found ''" in capsys.readouterr().err


# --- units ---


def pieces(texts: Sequence[str], folder: Path) -> list[str]:
    draw = random.Random(1)
    letters = sorted(set("".join(REFERENCES)) - {" "})
    more = ["".join(draw.choices(letters, k=5)) for _ in range(200)]
    train_sentencepiece([*REFERENCES, *more], 90, folder / "a.model")
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "a.model"))
    return [" ".join(model.encode(text, out_type=str)) for text in texts]


def spelled(texts: Sequence[str], mark: str, at_the_end: bool = False) -> list[str]:
    end = f" {mark}" if at_the_end else ""
    return [f" {mark} ".join(" ".join(word) for word in text.split()) + end for text in texts]


def in_halves(texts: Sequence[str]) -> list[str]:
    """Each word of four letters or more in two parts."""
    return [
        " ".join(w if len(w) < 4 else f"{w[:2]}@@ {w[2:]}" for w in text.split())
        for text in texts
    ]


UNITS = {
    "letters, as prepare and infer write them": ("letter", lambda t, _: spelled(t, "|", True)),
    "letters, a bar between words only": ("letter", lambda t, _: spelled(t, "|")),
    "letters and <space>": ("letter", lambda t, _: spelled(t, "<space>")),
    "graphemes": ("letter", lambda t, _: [Graphemes().labels(text) for text in t]),
    "characters": ("letter", lambda t, _: [Characters().labels(text) for text in t]),
    "letters and a lone ▁": ("sentencepiece", lambda t, _: spelled([f" {x}" for x in t], "▁")),
    "pieces of sentencepiece": ("sentencepiece", pieces),
    "pieces of subword-nmt": ("subword_nmt", lambda t, _: in_halves(t)),
}


@pytest.mark.parametrize("kind", UNITS)
def test_files_in_units_score_as_the_words_that_they_stand_for(tmp_path, right, kind):
    notation, write_units = UNITS[kind]
    if kind == "letters and a lone ▁":
        write_units = lambda t, _: [f"▁ {x}" if x else x for x in spelled(t, "▁")]  # noqa: E731
    units = [write_units(texts, tmp_path) for texts in (REFERENCES, HYPOTHESES)]
    kaldi = [[f"{id} {text}" for id, text in zip(IDS, one)] for one in units]
    for format, lines in (("plain", units), ("trn", map(trn, units)), ("kaldi", kaldi)):
        pair = of(tmp_path, *lines)
        assert rates(*pair, format, notation) == right
        assert rates(*pair, format, "none") != right
        with pytest.raises(UserError, match=f"ref is written in units .*--post-process {notation}"):
            rates(*pair, format)


@pytest.mark.parametrize("side", [0, 1])
def test_units_are_refused_in_either_file(tmp_path, side):
    texts = [REFERENCES, HYPOTHESES]
    texts[side] = spelled(texts[side], "|")
    with pytest.raises(UserError, match=f"{('ref', 'hyp')[side]} is written in units .letter: "):
        rates(*of(tmp_path, *texts))


@pytest.mark.parametrize(
    "line, of_twenty, is_refused",
    [
        ("h e l l o w o r l d", 20, True), ("你 好 世 界", 20, True), ("e@@ mail", 1, False),
        ("e@@ mail", 2, True), ("▁good ▁day", 2, True), ("hello | world", 20, False),
        ("a b", 20, False), ("ça @ home #1", 20, False),
    ],
)  # fmt: skip
def test_words_with_a_mark_now_and_then_are_words(tmp_path, line, of_twenty, is_refused):
    pair = of(tmp_path, *[[line] * of_twenty + ["two words"] * (20 - of_twenty)] * 2)
    assert rates(*pair, post_process="none")[0] == 20
    if is_refused:
        with pytest.raises(UserError, match="would be counted as words"):
            rates(*pair)
    else:
        assert rates(*pair)[0] == 20


@pytest.mark.parametrize("special", ["[deu]", "<unk>", "[noise]"])
def test_a_special_symbol_among_letters_is_one_unit(special):
    assert notation_of(f"{special} h a l l o |") == "letter"
    assert joined(f"{special} h a l l o | w |", "letter") == f"{special}hallo w"


def test_a_language_token_before_units_is_no_text(tmp_path):
    lines = [[f"[{code}] {text}" for code, text in zip(("deu", "ell"), spelled(one, "|", True))]
             for one in (REFERENCES[1:3], HYPOTHESES[1:3])]  # fmt: skip
    pair = of(tmp_path, *lines)
    scores = count(records_of_texts(*pair, {}, "plain", "letter"), Convention())
    assert set(scores.languages) == {"deu", "ell"}
    assert scores.all.characters.reference_length == len("good day") + len("καλή μέρα σας")


# --- what is refused in every format ---


@pytest.mark.parametrize("text", ["a {b / c} d", "{ um / @ } a", "{a/b}", "x { a / b / @ }"])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("format", ["plain", "trn", "kaldi"])
def test_alternatives_of_sclite_are_named_and_not_counted_as_text(tmp_path, text, side, format):
    lines = [["a b", "c d"], ["a b", "c d"]]
    lines[side][1] = text
    if format != "plain":
        lines = [
            [f"{t} ({i})" if format == "trn" else f"{i} {t}" for t, i in zip(one, IDS)]
            for one in lines
        ]
    pair = of(tmp_path, *lines)
    with pytest.raises(UserError, match=f"{('ref', 'hyp')[side]}:2 holds alternatives"):
        list(read_pairs(*pair, format))


def test_the_command_says_what_it_took_the_files_for(tmp_path, capsys):
    pair = of(tmp_path, trn(spelled(REFERENCES, "|")), trn(spelled(HYPOTHESES, "|")))
    call = ["score", "--ref", str(pair[0]), "--hyp", str(pair[1]), *QUICK]
    assert cli.main([*call, "--json", "--post-process", "letter"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == {
        "reference": str(pair[0]), "hypothesis": str(pair[1]), "format": "trn",
        "post_process": "letter",
    }  # fmt: skip


def test_a_pipe_is_read_once(tmp_path):
    ref, hyp = tmp_path / "ref", write(tmp_path / "hyp", HYPOTHESES)
    os.mkfifo(ref)
    writer = threading.Thread(target=write, args=(ref, REFERENCES), daemon=True)
    writer.start()
    assert len(list(read_pairs(ref, hyp, "plain"))) == 5
    writer.join()


def test_the_names_of_units_are_those_of_fairseq():
    from fairseq.data.data_utils import post_process

    for name in NAMES:
        line = {"letter": "h a | w e l t |", "sentencepiece": "▁ha ▁we lt",
                "subword_nmt": "ha we@@ lt"}[name]  # fmt: skip
        assert joined(line, name) == post_process(line, name) == "ha welt"


def test_the_example_of_the_docs_prints_what_they_say(tmp_path, monkeypatch, capsys):
    docs = Path(__file__).parent.parent / "docs" / "scoring.md"
    block = docs.read_text(encoding="utf-8").split("    printf ")
    monkeypatch.chdir(tmp_path)
    for part in block[1:]:
        command = f"printf {part.splitlines()[0]}"
        assert os.system(command) == 0
    commands = [line for line in block[-1].splitlines() if "fairseq-dro score" in line]
    assert len(commands) == 2
    for line in commands:
        words, _, said = line.strip().partition("#")
        assert cli.main([*words.split()[1:], *QUICK]) == 0
        (row,) = [r for r in capsys.readouterr().out.splitlines() if "all together" in r]
        rates = [cell.strip() for cell in row.split("|")[3:5]]
        assert re.findall(r"[0-9.]+(?= %)", said) == rates
