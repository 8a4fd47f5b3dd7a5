"""``score`` knows how text files are to be read, and refuses where it would have to guess."""

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
from fairseq_dro.report.score.counting import TextFiles, count
from fairseq_dro.report.score.notation import NAMES, joined, notation_of
from fairseq_dro.report.score.reading import find_reading
from fairseq_dro.report.score.text_files import Reading, read_pairs, split_trn
from fairseq_dro.scoring.convention import Convention

REFERENCES = ["hello world", "good day", "καλή μέρα σας", "नमस्ते दुनिया", "über alles gut"]
HYPOTHESES = ["helo world", "god day", "καλη μερα σας", "नमस्त दुनिया", ""]
IDS = ["u1", "u2", "u3", "u4", "u5"]
QUICK = ("--replicates", "100")


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def rates(reference: Path, hypothesis: Path, reading: Reading) -> tuple[int, float, float]:
    """Utterances, CER and WER, without intervals."""
    scores = count(TextFiles(reference, hypothesis, reading, {}), Convention())
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
    return rates(*of(folder, REFERENCES, HYPOTHESES), Reading("plain"))


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
def test_a_trn_file_is_known_by_its_ids_whatever_stands_between_its_lines(
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
    reading = find_reading(*pair)
    assert reading == Reading("trn") and rates(*pair, reading) == right
    assert rates(*pair, find_reading(*pair, "trn")) == right
    assert [pair.id for pair in read_pairs(*pair, reading)] == [" ".join(id.split()) for id in ids]


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


# (references, hypotheses, what the sentence names)
UNCLEAR = {
    "one reference without id": (["a b (u1)", "c d", "e f (u3)"], trn("abc"), "ref:2 does not"),
    "one hypothesis without id": (trn("abcd"), [*trn("abc"), "d"], "hyp:4 does not"),
    "hypotheses without ids": (trn("abc"), ["a", "b", "c"], "hyp:1 does not end in (id)"),
    "references without ids": (["a", "", "c"], trn("abc"), "ref:1 does not end in (id)"),
    "a remark that is no id": (
        ["ja (laughs)", "nein (laughs)"], ["ja (laughs)", "no (laughs)"], "ref:2 ends in (laughs)"
    ),
    "one line behind a hundred": (
        [*trn("a" * 100, [f"u{n}" for n in range(100)]), "b"],
        [*trn("a" * 100, [f"u{n}" for n in range(100)]), "b"], "ref:101 does not end in (id)"
    ),
    "comments without ids": ([";; mine", "a", "b"], [";; mine", "a", "c"], "ref:1 begins with ;;"),
    "ids with digits": (["u1 a b", "u2 c"], ["u1 a", "u2 c d"], "--format kaldi"),
    "ids of words": (
        ["anna a b", "berta c", "carl d e", "dora f"], ["anna a", "berta d", "carl d f", "dora f"],
        "--format kaldi",
    ),
    "ids where hypotheses are empty": (["u1 a b", "u2 c", "u3 d"], ["u1", "u2", "u3"], "'u1'"),
    "ids of words in another order": (["anna a", "berta b"], ["berta b", "anna a"], "'anna'"),
    "ids of which one is missing": (
        [f"spk_{n} a" for n in range(6)], [f"spk_{n} a" for n in (0, 1, 2, 3, 4, 9)], "'spk_0'"
    ),
    "ids before tabs": (["T-0\ta b", "T-1\tc"], ["H-0\t-0.5\ta b", "H-1\t-0.1\td"], "'T-0'"),
    "stm": (["f 1 spk 0.00 1.50 <o,f0> a b", "f 1 spk 2.00 3.10 <o,f0> c"], ["a b", "d"], "stm"),
    "ctm": (["a b", "d"], ["f 1 0.00 0.30 a", "f 1 0.30 0.30 b"], "stm or ctm"),
    "JSON": (['{"id": "a", "text": "b"}'], ["b"], "ref:1 is JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_could_be_ids_is_never_counted_as_words(tmp_path, kind):
    references, hypotheses, named = UNCLEAR[kind]
    with pytest.raises(UserError) as error:
        find_reading(*of(tmp_path, references, hypotheses))
    assert named in str(error.value) and "\n" not in str(error.value)


PLAIN = {
    "sentences": (REFERENCES, HYPOTHESES),
    "nothing is wrong": (["one two", "three four"], ["one two", "three four"]),
    "numbers in text": (["in 1914", "bis 1918", "um 3"], ["in 1914", "bis 1919", "um 3"]),
    "a remark in one line": (["a (laughs)", "b", "c"], ["a", "b", "c"]),
    "remarks in half of the lines": (["a (laughs)", "b c"], ["a (laughs)", "b c"]),
    "single words with hyphens and digits": (["a-b", "c3", "d_e"], ["a-b", "c3", "d"]),
    "words with colons": (["ka:la be", "na:ma la", "u:he ti"], ["ka:la be", "na:ma lo", "u:he"]),
    "single words": (["ja", "nein", "doch"], ["ja", "nein", "noch"]),
    "single letters": (["a", "b", "c d"], ["a", "b", "c"]),
    "a bar in a sentence": (["hello | world", "a | b"], ["hello | world", "ab"]),
    "apostrophes and marks": (["l'eau d'or", "ça @ home #1"], ["leau dor", "ça @ home # 1"]),
    "equal first words that are not all": (["the a", "the b", "c"], ["the a", "the d", "c"]),
    "braces without a stroke": (["{a} b"], ["{a} c"]),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_running_text_is_plain(tmp_path, kind):
    assert find_reading(*of(tmp_path, *PLAIN[kind])) == Reading("plain")


def test_blank_lines_at_the_end_are_no_utterances_and_others_are_empty_texts(tmp_path, right):
    pair = of(tmp_path, [*REFERENCES, "", ""], [*HYPOTHESES, ""])
    assert rates(*pair, find_reading(*pair)) == right
    pair = of(tmp_path, REFERENCES, [*HYPOTHESES, "", "", ""])
    assert rates(*pair, find_reading(*pair)) == right
    pair = of(tmp_path, ["a b", "", "c d", ""], ["a b", "x", "", ""])
    assert rates(*pair, Reading("plain"))[0] == 3


def test_a_column_may_end_in_blank_lines_and_have_none_elsewhere(tmp_path, capsys):
    ref, hyp = of(tmp_path, ["ein wort", "zwei"], ["ein wort", "drei"])
    call = ["score", "--ref", str(ref), "--hyp", str(hyp), *QUICK, "--lang"]
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


def in_halves(texts: Sequence[str], inner: str, outer: str) -> list[str]:
    """Each word of four letters or more in two parts."""
    return [
        " ".join(w if len(w) < 4 else f"{w[:2]}{inner} {outer}{w[2:]}" for w in text.split())
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
    "pieces of subword-nmt": ("subword_nmt", lambda t, _: in_halves(t, "@@", "")),
    "pieces of BERT": ("wordpiece", lambda t, _: in_halves(t, "", "##")),
}


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("sides", ["both", "ref", "hyp"])
def test_files_in_units_score_as_the_words_that_they_stand_for(tmp_path, right, kind, sides):
    notation, write_units = UNITS[kind]
    if kind == "letters and a lone ▁":
        write_units = lambda t, _: [f"▁ {x}" if x else x for x in spelled(t, "▁")]  # noqa: E731
    ref = write_units(REFERENCES, tmp_path) if sides in ("both", "ref") else REFERENCES
    hyp = write_units(HYPOTHESES, tmp_path) if sides in ("both", "hyp") else HYPOTHESES
    expected = (notation if sides != "hyp" else None, notation if sides != "ref" else None)
    for format, lines in (("plain", (ref, hyp)), ("trn", (trn(ref), trn(hyp)))):
        pair = of(tmp_path, *lines)
        reading = find_reading(*pair)
        assert reading == Reading(format, expected)
        assert rates(*pair, reading) == right
    kaldi = of(tmp_path, *([f"{id} {text}" for id, text in zip(IDS, one)] for one in (ref, hyp)))
    assert find_reading(*kaldi, "kaldi") == Reading("kaldi", expected)
    assert rates(*kaldi, Reading("kaldi", expected)) == right
    pair = of(tmp_path, *lines)
    if sides == "both":
        assert rates(*pair, find_reading(*pair, "trn", notation)) == right
        assert rates(*pair, find_reading(*pair, "trn", "none")) != right


@pytest.mark.parametrize("special", ["[deu]", "<unk>", "[noise]"])
def test_a_special_symbol_among_letters_is_one_unit(special):
    assert notation_of(f"{special} h a l l o |") == "letter"
    assert joined(f"{special} h a l l o | w |", "letter") == f"{special}hallo w"


def test_a_language_token_before_units_is_no_text(tmp_path):
    lines = [[f"[{code}] {text}" for code, text in zip(("deu", "ell"), spelled(one, "|", True))]
             for one in (REFERENCES[1:3], HYPOTHESES[1:3])]  # fmt: skip
    pair = of(tmp_path, *lines)
    scores = count(TextFiles(*pair, find_reading(*pair), {}), Convention())
    assert set(scores.languages) == {"deu", "ell"}
    assert scores.all.characters.reference_length == len("good day") + len("καλή μέρα σας")


def test_hypotheses_that_lack_a_mark_are_in_the_units_of_the_references(tmp_path):
    pair = of(tmp_path, ["▁hel lo ▁world", "▁good ▁day"], ["hel o ▁world", "go d day"])
    reading = find_reading(*pair)
    assert reading.notations == ("sentencepiece", "sentencepiece")
    assert [one.hypothesis for one in read_pairs(*pair, reading)] == ["helo world", "godday"]
    pair = of(tmp_path, ["h e l l o | w o |", "g o o d |"], ["h e l o", "g o d d"])
    assert find_reading(*pair).notations == ("letter", "letter")


MIXED = {
    "one line of words among letters": (
        ["h e l l o | w |", "good day", "j a |"], ["h e l o |", "g |", "j a |"], "ref:2", "letter"
    ),
    "one line of words among pieces": (
        ["▁a b ▁c", "▁d", "good day"], ["▁a b ▁c", "▁d", "▁g ood"], "ref:3", "sentencepiece"
    ),
    "one line of pieces among words": (
        ["good day", "▁d ay", "a long word"], ["good", "d", "a"], "ref:1", "sentencepiece"
    ),
    "hypotheses of two kinds": (
        ["good day", "a word"], ["▁good ▁day", "a w o r d"], "hyp:2", "sentencepiece"
    ),
    "two kinds of units": (["▁good ▁day", "a @@ wo@@ rd"], ["x y", "z w"], "ref:2", None),
    "letters without a mark": (
        ["h e l l o w o r l d", "g o o d d a y"], ["h e l o", "g o o d"], "ref:1", "letter"
    ),
    "hanzi with spaces": (["你 好 世 界", "再 见 朋 友"], ["你 好 世", "再 见"], "ref:1", "letter"),
    "one mark of subword-nmt among many lines": (
        [*["word for word"] * 60, "e@@ mail"], [*["word for word"] * 60, "mail"], "ref:61", None
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MIXED)
def test_units_that_are_not_sure_are_refused_with_the_line_and_the_option_decides(tmp_path, kind):
    references, hypotheses, place, option = MIXED[kind]
    pair = of(tmp_path, references, hypotheses)
    with pytest.raises(UserError) as error:
        find_reading(*pair)
    assert f"{place} is" in str(error.value) and "--post-process" in str(error.value)
    assert find_reading(*pair, notation="none").notations == (None, None)
    if option:
        assert f"--post-process {option}" in str(error.value)
        assert find_reading(*pair, notation=option).notations == (option, option)


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
        list(read_pairs(*pair, Reading(format)))


def test_the_command_says_what_it_took_the_files_for(tmp_path, capsys, caplog):
    pair = of(tmp_path, trn(spelled(REFERENCES, "|")), trn(HYPOTHESES))
    caplog.set_level("INFO")
    call = ["score", "--ref", str(pair[0]), "--hyp", str(pair[1]), *QUICK]
    assert cli.main([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == {
        "reference": str(pair[0]), "hypothesis": str(pair[1]), "format": "trn",
        "notations": ["letter", None],
    }  # fmt: skip
    assert "are read as trn" in caplog.text and "ref is in units (letter)" in caplog.text
    caplog.clear()
    assert cli.main([*call, "--format", "trn", "--post-process", "none"]) == 0
    assert caplog.text == ""


def test_a_pipe_is_read_once_where_nothing_has_to_be_found_out(tmp_path):
    ref, hyp = tmp_path / "ref", write(tmp_path / "hyp", HYPOTHESES)
    os.mkfifo(ref)
    with pytest.raises(UserError, match="is no file, so that it can be read only once"):
        find_reading(ref, hyp)
    writer = threading.Thread(target=write, args=(ref, REFERENCES), daemon=True)
    writer.start()
    assert len(list(read_pairs(ref, hyp, find_reading(ref, hyp, "plain", "none")))) == 5
    writer.join()


def test_the_names_of_units_are_those_of_fairseq():
    from fairseq.data.data_utils import post_process

    for name in set(NAMES) - {"wordpiece"}:  # fairseq's joins at underscores
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
