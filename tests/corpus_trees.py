"""Corpora as they are downloaded, of a few seconds: the true layout, tones for speech."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

ML_SUPERB_CORPORA = (
    "ALFFA", "LAD", "M-AILABS", "NST", "commonvoice", "fleurs", "googlei18n_asr",
    "googlei18n_tts", "mexico-el", "mls", "nchlt", "swc", "voxforge", "voxpopuli",
)
CV_COLUMNS = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes",
    "age", "gender", "accents", "variant", "locale", "segment",
)


def tone(seconds: float, rate: int = 16_000, channels: int = 1, pitch: float = 300) -> np.ndarray:
    """[T, channels] float64, a tone of half the full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * pitch * time)[:, None], channels, axis=1)


def write_audio(
    path: Path, seconds: float = 1.0, rate: int = 16_000, channels: int = 1, **how: object
) -> Path:
    """A tone whose pitch depends on the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pitch = 200 + hash_number(path.name) % 3000 / 10
    soundfile.write(path, tone(seconds, rate, channels, pitch), rate, **how)
    return path


def ml_superb_tree(
    root: Path, texts: dict[str, list[str]], corpora: Iterable[str] = ML_SUPERB_CORPORA[4:6],
    seconds: float = 1.0, rate: int = 16_000,
) -> Path:  # fmt: skip
    """Per corpus and language one text of each list in dev and test, all the others in training."""
    for corpus in corpora:
        for language, lines in texts.items():
            folder = root / corpus / language
            ids = [f"{corpus}_{language}_{number:06d}" for number in range(len(lines))]
            rows = [f"{one} {seconds} {text}\n" for one, text in zip(ids, lines)]
            for one in ids:
                write_audio(folder / "wav" / f"{one}.wav", seconds, rate)
            for name, part in (
                ("10min_train", rows[2:]), ("1h_train", rows[2:]), ("10min_dev", rows[:1]),
                ("10min_test", rows[1:2]),
            ):  # fmt: skip
                (folder / f"transcript_{name}.txt").write_text("".join(part), encoding="utf-8")
    return root


def parquet_tree(root: Path, rows: dict[str, list[tuple[str, str, str]]], group: int = 2) -> Path:
    """``data/<split>-00000-of-00001.parquet`` of (id, text, language), in small row groups."""
    import pyarrow
    from pyarrow import parquet

    (root / "data").mkdir(parents=True)
    for split, lines in rows.items():
        audio = []
        for one, _, _ in lines:
            encoded = io.BytesIO()
            pitch = 200 + 7 * len(audio)
            soundfile.write(encoded, tone(0.5, pitch=pitch), 16_000, format="WAV")
            audio.append({"bytes": encoded.getvalue(), "path": f"{one}.wav"})
        ids, texts, languages = (list(column) for column in zip(*lines))
        table = pyarrow.table({"id": ids, "text": texts, "language": languages, "audio": audio})
        parquet.write_table(
            table, root / "data" / f"{split}-00000-of-00001.parquet", row_group_size=group
        )
    return root


def common_voice_tree(root: Path, locales: dict[str, dict[str, list[tuple[str, str]]]]) -> Path:
    """By locale and split, (client_id, sentence); clips are MP3 at 32 kHz."""
    for locale, splits in locales.items():
        number = 0
        (root / locale / "clips").mkdir(parents=True)
        everything = []
        for split, rows in splits.items():
            lines = []
            for client, sentence in rows:
                name = f"common_voice_{locale}_{number:08d}.mp3"
                number += 1
                write_audio(root / locale / "clips" / name, 0.6, 32_000, format="MP3")
                values = dict.fromkeys(CV_COLUMNS, "")
                values.update(client_id=client, path=name, sentence=sentence, locale=locale)
                lines.append("\t".join(values[column] for column in CV_COLUMNS) + "\n")
            write_lines(root / locale / f"{split}.tsv", ["\t".join(CV_COLUMNS) + "\n", *lines])
            everything += lines
        write_lines(root / locale / "validated.tsv", ["\t".join(CV_COLUMNS) + "\n", *everything])
    return root


SPONTANEOUS_COLUMNS = (
    "client_id", "audio_id", "audio_file", "duration_ms", "prompt_id", "prompt", "transcription",
    "votes", "age", "gender", "language", "split", "char_per_sec", "quality_tags",
)


def spontaneous_tree(
    root: Path, locales: dict[str, list[tuple[str, str, str]]], release: str = "3.0-2026-03-09"
) -> Path:
    """By locale, (client_id, transcription, split); one clip more is reported by a listener."""
    for locale, rows in locales.items():
        folder = root / f"sps-corpus-{release}-{locale}"
        lines, reported = [], []
        for number, (client, text, split) in enumerate([*rows, ("s0", "gemeldet", "")]):
            name = f"spontaneous-speech-{locale}-{number}.mp3"
            write_audio(folder / "audios" / name, 0.6, 32_000, format="MP3")
            values = dict.fromkeys(SPONTANEOUS_COLUMNS, "")
            values.update(
                client_id=client, audio_file=name, transcription=text, split=split, gender="none",
                audio_id=str(number), duration_ms="600", prompt="Wie?", language="whatever",
            )
            line = "\t".join(values[column] for column in SPONTANEOUS_COLUMNS) + "\n"
            (lines if number < len(rows) else reported).append(line)
        header = "\t".join(SPONTANEOUS_COLUMNS) + "\n"
        write_lines(folder / f"ss-corpus-{locale}.tsv", [header, *lines])
        write_lines(folder / f"ss-reported-audios-{locale}.tsv", [header, *reported])
    return root


def fleurs_tree(root: Path, languages: dict[str, list[str]], lhotse: bool = False) -> Path:
    """The same sentences in each split; as distributed, or as lhotse downloads it."""
    for language, sentences in languages.items():
        tables = root / ("metadata" if lhotse else "data") / language
        for split in ("train", "dev", "test"):
            audio = root / language / split if lhotse else tables / "audio" / split
            lines = []
            for number, sentence in enumerate(sentences):
                name = f"{hash_number(language, split, number)}.wav"
                write_audio(audio / name, 0.5)
                characters = " ".join("|".join(sentence.lower().split())) + " |"
                lines.append(
                    f"{number}\t{name}\t{sentence}\t{sentence.lower().strip('.')}\t{characters}\t"
                    "8000\tFEMALE\n"
                )
            write_lines(tables / f"{split}.tsv", lines)
    return root


def hash_number(*parts: object) -> int:
    """The same number for the same parts, in every process."""
    return zlib.crc32(repr(parts).encode())


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def rejected(folder: Path) -> list[dict[str, str]]:
    """The rows of a folder's ``rejected.tsv``."""
    lines = (folder / "rejected.tsv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"))) for line in lines[1:]]
