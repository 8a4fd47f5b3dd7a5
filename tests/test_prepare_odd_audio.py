"""Audio that a decoder misreads, or reads in part, is put right or left out with its reason."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from fairseq_dro.checks.audio import CLIPPED_SHARE, clipped_share
from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.prepare.adjusted import BEYOND_FULL_SCALE, ROUNDED_DURATION, UNFINISHED_HEADER
from fairseq_dro.prepare.audio_conversion import convert_all
from fairseq_dro.prepare.audio_files import (
    CONTINUES,
    CUT,
    EMPTY,
    OUTSIDE,
    TOO_LOUD,
    AudioJob,
    probe_all,
)
from tests.corpus_trees import rejected, write_audio, write_lines

ALL_TRAINING = ("--valid-fraction", "0", "--test-fraction", "0", "--workers", "1")
STEP = 1 / 32768
PEAK = 0.5


def speech(seconds: float = 1.0, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """[T] float64: noise that swells and ebbs, with a peak of a half."""
    draw = np.random.default_rng(seed)
    n = round(seconds * rate)
    samples = draw.standard_normal(n) * (1 + np.sin(np.arange(n) * 20 / rate))
    return PEAK * samples / np.abs(samples).max()


def encoded(
    format: str, subtype: str | None = None, samples: np.ndarray | None = None,
    rate: int = 16_000, **how: object,
) -> bytes:  # fmt: skip
    written = io.BytesIO()
    samples = speech(rate=rate) if samples is None else samples
    soundfile.write(written, samples, rate, format=format, subtype=subtype, **how)
    return written.getvalue()


def probed(path: Path, *part: float):
    return probe_all([AudioJob(path, *part)])[0]


def converted(path: Path, *part: float | None):
    """What conversion says, and [T] samples of the target."""
    target = path.with_name(f"{path.name}.converted.flac")
    start, duration = part or (0.0, None)
    (result,) = convert_all([AudioJob(path, start, duration, target)])
    return result, soundfile.read(target)[0] if target.exists() else None


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def prepare_table(folder: Path, rows: list[str], *options: str) -> tuple[int, Path]:
    table = write_lines(folder / "t.tsv", ["path\ttext\tlanguage\tid\toffset\tduration\n", *rows])
    out = folder / "out"
    return main(["prepare", "table", str(out), "--table", str(table), *ALL_TRAINING, *options]), out


# --- louder than full scale ---


@pytest.mark.parametrize(
    "format, subtype, rate, gain",
    [
        ("WAV", "FLOAT", 16_000, 27_025), ("WAV", "DOUBLE", 16_000, 1.5),
        ("WAV", "FLOAT", 48_000, 3.0), ("AIFF", "FLOAT", 16_000, 32_768.0),
        ("CAF", "DOUBLE", 8_000, 2.0), ("W64", "FLOAT", 16_000, 1.26),
    ],
)  # fmt: skip
def test_floats_beyond_full_scale_are_scaled_as_a_whole_and_counted(
    tmp_path, format, subtype, rate, gain
):
    samples = gain / PEAK * speech(rate=rate)
    path = write(tmp_path / "a.wav", encoded(format, subtype, samples, rate))
    result, found = converted(path)
    expected = soxr.resample(samples, rate, 16_000) if rate != 16_000 else samples
    assert np.abs(found - expected / np.abs(expected).max()).max() < 2 * STEP
    assert clipped_share(found) < CLIPPED_SHARE
    assert result.error == "" and result.adjusted == (BEYOND_FULL_SCALE,)
    made = path.with_name("a.wav.converted.flac").stat().st_mtime_ns
    again, _ = converted(path)  # by the same command, after a kill
    assert again == result
    assert path.with_name("a.wav.converted.flac").stat().st_mtime_ns == made


@pytest.mark.parametrize("format, subtype", [("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", None)])
def test_what_a_lossy_codec_makes_of_loud_speech_is_not_clipped(tmp_path, format, subtype):
    loud = np.sign(speech(rate=48_000)) * 0.999
    path = write(tmp_path / "a.bin", encoded(format, subtype, loud, 48_000))
    peak = np.abs(soundfile.read(path)[0]).max()
    result, found = converted(path)
    assert peak > 1 and result.adjusted == (BEYOND_FULL_SCALE,)
    assert np.sum(np.abs(found) > 1 - 2 * STEP) <= 2  # the one peak


def test_what_is_not_beyond_full_scale_is_left_as_it_is(tmp_path):
    samples = speech() / PEAK
    path = write(tmp_path / "a.wav", encoded("WAV", "FLOAT", samples))
    result, found = converted(path)
    assert result.adjusted == () and np.abs(found - samples).max() < 2 * STEP


@pytest.mark.parametrize("spike", [1e4, -3e20])
def test_speech_that_one_broken_sample_would_silence_is_left_out(tmp_path, spike):
    samples = speech()
    samples[7] = spike
    result, found = converted(write(tmp_path / "a.wav", encoded("WAV", "FLOAT", samples)))
    assert result.error == TOO_LOUD and "a peak of" in result.detail and found is None


# --- formats in which soundfile cannot seek ---


@pytest.mark.parametrize(
    "format, subtype, rate",
    [
        ("WAV", "GSM610", 8_000), ("WAV", "GSM610", 16_000), ("AIFF", "GSM610", 8_000),
        ("W64", "GSM610", 8_000), ("WAV", "G721_32", 8_000), ("AU", "G721_32", 8_000),
        ("AU", "G723_24", 16_000), ("AU", "G723_40", 8_000), ("WAV", "NMS_ADPCM_32", 8_000),
        ("WAV", "NMS_ADPCM_16", 8_000), ("XI", "DPCM_16", 16_000), ("XI", "DPCM_8", 16_000),
    ],
)  # fmt: skip
def test_a_format_without_seeking_is_converted_whole_and_in_parts(tmp_path, format, subtype, rate):
    path = write(tmp_path / "a.bin", encoded(format, subtype, speech(rate=rate) / 2, rate))
    with soundfile.SoundFile(path) as file:
        rate, frames = file.samplerate, file.frames
        whole = file.read(frames)
    seconds = frames / rate
    assert probed(path).seconds == seconds and probed(path).n_samples == 0
    _, found = converted(path)
    expected = soxr.resample(whole, rate, 16_000)
    expected /= max(1, np.abs(expected).max())  # GSM 6.10 makes noise louder
    assert len(found) == len(expected) and np.abs(found - expected).max() < 2 * STEP
    start, end = frames // 3, frames // 2
    part_of = start / rate, (end - start) / rate
    result, part = converted(write(tmp_path / "b.bin", path.read_bytes()), *part_of)
    expected = soxr.resample(whole[start:end], rate, 16_000)
    expected /= max(1, np.abs(expected).max())
    assert result.error == "" and len(part) == len(expected)
    assert np.abs(part - expected).max() < 2 * STEP


# --- tags and headers ---


def id3(n_bytes: int = 300) -> bytes:
    """An ID3v2.4 tag with a title."""
    title = b"TIT2" + bytes([0, 0, 0, 5, 0, 0, 3]) + b"name"
    body = title.ljust(n_bytes, b"\0")
    return b"ID3\x04\0\0" + bytes([0, 0, n_bytes >> 7, n_bytes & 127]) + body


@pytest.mark.parametrize(
    "format, subtype",
    [("FLAC", None), ("WAV", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16"),
     ("MP3", None), ("AU", "PCM_16")],
)  # fmt: skip
def test_a_tag_before_a_file_hides_nothing_of_it(tmp_path, format, subtype):
    data = encoded(format, subtype)
    plain = soundfile.read(io.BytesIO(data))[0]
    path = write(tmp_path / "a.bin", id3() + data)
    found = probed(path)
    assert found.error == "" and abs(found.seconds - 1.0) < 0.1
    _, samples = converted(path)
    assert len(samples) == len(plain) and np.abs(samples - plain).max() < 2 * STEP


def test_a_flac_behind_a_tag_is_never_used_in_place(tmp_path):
    """fairseq reads a file from its start, and libsndfile cannot go back in this one."""
    assert probed(write(tmp_path / "a.flac", encoded("FLAC"))).n_samples == 16_000
    assert probed(write(tmp_path / "b.flac", id3() + encoded("FLAC"))).n_samples == 0


def with_size(data: bytes, name: bytes, n_bytes: int, form: str = "<I") -> bytes:
    """A file whose chunk of samples says that it has so many bytes."""
    at = data.index(name) + len(name)
    return data[:at] + struct.pack(form, n_bytes) + data[at + struct.calcsize(form) :]


def riff_of_zero(data: bytes) -> bytes:
    return data[:4] + bytes(4) + data[8:]


UNFINISHED = {
    "wav": lambda: with_size(encoded("WAV", "PCM_16"), b"data", 0),
    "wav, all of it 0": lambda: riff_of_zero(with_size(encoded("WAV", "PCM_16"), b"data", 0)),
    "wav of 24 bits": lambda: with_size(encoded("WAV", "PCM_24"), b"data", 0),
    "wav of floats": lambda: with_size(encoded("WAV", "FLOAT"), b"data", 0),
    "wav, big-endian": lambda: with_size(
        encoded("WAV", "PCM_16", endian="BIG"), b"data", 0, ">I"
    ),
    "au": lambda: encoded("AU", "PCM_16")[:8] + bytes(4) + encoded("AU", "PCM_16")[12:],
    "wav behind a tag": lambda: id3() + with_size(encoded("WAV", "PCM_16"), b"data", 0),
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_a_header_of_0_bytes_is_read_to_the_end_of_the_file_and_counted(tmp_path, kind):
    path = write(tmp_path / "a.bin", UNFINISHED[kind]())
    found = probed(path)
    assert (found.error, found.seconds, found.n_samples) == ("", 1.0, 0)
    assert found.adjusted == (UNFINISHED_HEADER,)
    _, samples = converted(path)
    assert np.abs(samples - speech()).max() < 2 * STEP


@pytest.mark.parametrize("format", ["WAV", "AU", "AIFF", "FLAC", "OGG", "CAF"])
def test_a_file_without_samples_is_empty(tmp_path, format):
    path = write(tmp_path / "a.bin", encoded(format, samples=np.zeros(0)))
    assert probed(path).error in (EMPTY, "audio cannot be read")
    assert probed(path).error == EMPTY or format in ("OGG", "FLAC")


# --- audio behind the end that the header gives ---


def flac_that_says(n_samples: int) -> bytes:
    data = encoded("FLAC")
    return data[:21] + bytes([data[21] & 0xF0]) + n_samples.to_bytes(4, "big") + data[26:]


def mp3(rate: int = 16_000, mode: str = "CONSTANT", seed: int = 0, level: float = 0.5) -> bytes:
    how = {"bitrate_mode": mode, "compression_level": level}
    return encoded("MP3", None, speech(1.0, rate, seed), rate, **how)


def without_info(data: bytes) -> bytes:
    return data[data.index(data[:2], data.index(b"Info")) :]


LONGER = {
    "two mp3": lambda: mp3() + mp3(seed=1),
    "three mp3, of variable bit rate": lambda: mp3(mode="VARIABLE") * 3,
    "two mp3, of 48 kHz": lambda: mp3(48_000) + mp3(48_000),
    "two mp3, tags between": lambda: id3() + mp3() + b"TAG".ljust(128, b" ") + id3() + mp3(),
    "two mp3, the second without a first frame that is a tag": lambda: mp3() + without_info(mp3()),
    "two mp3 of two sample rates": lambda: without_info(mp3(16_000)) + without_info(mp3(24_000)),
    "two ogg, vorbis": lambda: encoded("OGG", "VORBIS") * 2,
    "two ogg, opus": lambda: encoded("OGG", "OPUS") + encoded("OGG", "OPUS", speech(0.5)),
    "ogg, opus and vorbis": lambda: encoded("OGG", "OPUS") + encoded("OGG", "VORBIS"),
    "two flac": lambda: encoded("FLAC") * 2,
    "two flac of 44.1 kHz": lambda: encoded("FLAC", None, speech(1.0, 44_100), 44_100) * 2,
    "two au": lambda: encoded("AU", "PCM_16") * 2,
    "two caf": lambda: encoded("CAF", "PCM_16") * 2,
    "two rf64": lambda: encoded("RF64", "PCM_16") * 2,
    "wav": lambda: with_size(encoded("WAV", "PCM_16"), b"data", 16_000),
    "wav of stereo floats": lambda: with_size(
        encoded("WAV", "FLOAT", np.stack([speech()] * 2, 1)), b"data", 80_000
    ),
    "wav, big-endian": lambda: with_size(
        encoded("WAV", "PCM_16", endian="BIG"), b"data", 8_000, ">I"
    ),
    "wav of μ-law": lambda: with_size(encoded("WAV", "ULAW"), b"data", 8_001),
    "aiff": lambda: with_size(encoded("AIFF", "PCM_16"), b"SSND", 16_008, ">I"),
    "au": lambda: encoded("AU", "PCM_16")[:8] + struct.pack(">I", 9_000)
    + encoded("AU", "PCM_16")[12:],
    "caf": lambda: with_size(encoded("CAF", "PCM_16"), b"data", 16_004, ">q"),
    "flac": lambda: flac_that_says(8_000),
}


@pytest.mark.parametrize("kind", LONGER)
def test_audio_behind_the_end_of_the_header_is_no_silent_loss(tmp_path, kind):
    path = write(tmp_path / "a.bin", LONGER[kind]())
    found = probed(path)
    assert (found.error, found.n_samples) == (CONTINUES, 0)
    assert found.detail.endswith(f"in {path}")


def test_a_part_of_a_file_that_continues_is_what_it_says(tmp_path):
    path = write(tmp_path / "a.wav", LONGER["wav"]())
    assert probed(path, 0.1, 0.3).error == ""
    result, samples = converted(path, 0.1, 0.3)
    assert np.abs(samples - speech()[1600:6400]).max() < 2 * STEP


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


WHOLE = {
    "wav, a list behind": lambda: encoded("WAV", "PCM_16") + chunk(b"LIST", b"INFOISFT" * 9_000),
    "wav, odd chunks before and behind": lambda: (
        encoded("WAV", "PCM_16")[:12] + chunk(b"bext", b"\xff" * 70_001)
        + encoded("WAV", "PCM_16")[12:] + chunk(b"id3 ", b"\xff" * 70_001)
        + chunk(b"iXML", b"<x/>")
    ),
    "wav, padded by zeros": lambda: encoded("WAV", "PCM_16") + bytes(70_000),
    "wav that was streamed": lambda: with_size(encoded("WAV", "PCM_16"), b"data", 0xFFFFFFFF),
    "au that was streamed": lambda: encoded("AU", "PCM_16")[:8] + b"\xff" * 4
    + encoded("AU", "PCM_16")[12:],
    "mp3 with tags on both sides": lambda: id3() + mp3() + b"TAG".ljust(128, b" "),
    "mp3 without a first frame that is a tag": lambda: without_info(mp3()),
    "flac, one block": lambda: encoded("FLAC", None, speech(0.1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_no_audio_behind_a_file_is_no_audio(tmp_path, kind):
    found = probed(write(tmp_path / "a.bin", WHOLE[kind]()))
    assert found.error == "" and found.adjusted == ()
    assert found.seconds in (0.1, pytest.approx(1.0, abs=0.1))


NOT_ALONE = ("RAW", "SD2")  # what says their rate stands elsewhere


@pytest.mark.parametrize("format", sorted({*soundfile.available_formats()} - {*NOT_ALONE}))
def test_no_file_that_libsndfile_writes_is_taken_for_longer_or_for_unfinished(tmp_path, format):
    for subtype in soundfile.available_subtypes(format):
        for rate, channels in ((16_000, 1), (8_000, 1), (44_100, 2)):
            samples = np.stack([speech(1.0, rate)] * channels, axis=1)
            try:
                path = write(tmp_path / "a.bin", encoded(format, subtype, samples, rate))
            except soundfile.LibsndfileError:
                continue  # the format has no such subtype, rate or number of channels
            found = probed(path)
            assert found.error not in (CONTINUES, CUT, EMPTY), (subtype, rate, found.detail)
            assert found.adjusted == ()


# --- durations that were rounded ---


@pytest.mark.parametrize("decimals", [1, 2, 3, 4])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_rounded_duration_loses_no_utterance(tmp_path, decimals, rate):
    n_rounded_up = 0
    for n in range(25):
        samples = 8_000 + 437 * n
        path = write_audio(tmp_path / f"{n}.wav", samples / rate, rate)
        seconds = round(samples / rate, decimals)
        found = probed(path, 0.0, seconds)
        excess = seconds - samples / rate
        if excess > 0.025:
            assert found.error == OUTSIDE
            continue
        assert found.error == "" and found.seconds <= samples / rate
        assert abs(found.seconds - seconds) <= max(abs(excess), 0.0051)
        n_rounded_up += ROUNDED_DURATION in found.adjusted
        if decimals >= 2:  # it is the whole file
            assert found.seconds == samples / rate and found.adjusted == ()
            assert (found.n_samples > 0) == (rate == 16_000)
    assert n_rounded_up > 0 or decimals > 1


@pytest.mark.parametrize(
    "offset, duration, error, adjusted",
    [
        (0.0, 2.025, "", True), (0.0, 2.0251, OUTSIDE, False), (1.5, 0.5, "", False),
        (1.5, 0.52, "", True), (1.5, 0.526, OUTSIDE, False), (1.9999, 0.01, "", True),
        (2.0, 0.01, OUTSIDE, False), (2.01, 0.01, OUTSIDE, False), (2.01, None, OUTSIDE, False),
        (1.0, None, "", False), (0.5, 0.0, OUTSIDE, False),
    ],
)  # fmt: skip
def test_25_ms_beyond_the_end_are_rounding_and_more_is_a_mistake(
    tmp_path, offset, duration, error, adjusted
):
    path = write_audio(tmp_path / "a.wav", 2.0)
    found = probed(path, offset, duration)
    assert (found.error, found.adjusted) == (error, (ROUNDED_DURATION,) if adjusted else ())
    if not error:
        result, samples = converted(path, offset, duration)
        wanted = 2.0 - offset if duration is None else min(duration, 2.0 - offset)
        assert result.error == "" and abs(len(samples) / 16_000 - wanted) < 1e-4
        assert found.seconds == pytest.approx(wanted)


@pytest.mark.parametrize("offset, duration", [(0.0, 2000.0), (500.0, 1500.0), (1000.0, 25.0)])
def test_milliseconds_are_asked_about(tmp_path, offset, duration):
    found = probed(write_audio(tmp_path / "a.wav", 2.0), offset, duration)
    assert found.error == OUTSIDE and "(seconds)" in OUTSIDE
    assert "are these milliseconds?" in found.detail
    assert "are these" not in probed(tmp_path / "a.wav", 1.0, 2.0).detail  # 2 ms of speech


def test_what_was_put_right_is_counted_in_the_summary_and_in_the_record(tmp_path, capsys):
    write_audio(tmp_path / "a.wav", 1.0)
    write(tmp_path / "b.wav", UNFINISHED["wav"]())
    write(tmp_path / "c.wav", encoded("WAV", "FLOAT", 90 * speech()))
    write(tmp_path / "d.mp3", LONGER["two mp3"]())
    rows = ["a.wav\teins\tdeu\t\t0.5\t0.52\n", "a.wav\tzwei\tdeu\t\t0.2\t0.81\n",
            "b.wav\tένα\tell\t\t\t\n", "c.wav\tδύο\tell\t\t\t\n", "c.wav\tτρία\tell\t\t0.5\t0.5\n",
            "d.mp3\tdrei\tdeu\t\t\t\n"]  # fmt: skip
    status, out = prepare_table(tmp_path, rows)
    said = capsys.readouterr().out
    assert status == 0
    counts = json.loads((out / "dataset.json").read_text(encoding="utf-8"))["adjusted"]
    assert counts == {
        BEYOND_FULL_SCALE: {"ell": 2}, ROUNDED_DURATION: {"deu": 2}, UNFINISHED_HEADER: {"ell": 1}
    }  # fmt: skip
    assert "Kept, and put right:" in said and f"2  {ROUNDED_DURATION} (deu 2)" in said
    assert [row["reason"] for row in rejected(out)] == [CONTINUES]


# --- parts of one file ---


@pytest.mark.parametrize(
    "parts, names",
    [
        (["0.5 1", "0.5 2"], ["a@0.5+1.0", "a@0.5+2.0"]),
        (["0 1", "0 2", "0 "], ["a@0.0+1.0", "a@0.0+2.0", "a"]),
        (["1.0000001 1", "1.0000002 1"], ["a@1.0000001", "a@1.0000002"]),
        (["0.5 1", "0.75 1"], ["a@0.5", "a@0.75"]),
        (["1 ", "1 1"], ["a@1.0+", "a@1.0+1.0"]),
    ],
)
def test_parts_of_one_file_that_overlap_have_names_of_their_own(tmp_path, parts, names):
    write_audio(tmp_path / "a.wav", 4.0)
    rows = ["a.wav\twort {}\tdeu\t\t{}\t{}\n".format(chr(97 + n), *part.split(" "))
            for n, part in enumerate(parts)]  # fmt: skip
    status, out = prepare_table(tmp_path, rows)
    assert status == 0 and rejected(out) == []
    manifest = read_manifest(out, "train")
    assert manifest.utterance_ids == names
    assert len({str(manifest.audio_path(n)) for n in range(len(names))}) == len(names)


def test_one_part_twice_is_left_out_once(tmp_path):
    write_audio(tmp_path / "a.wav", 4.0)
    row = "a.wav\teins\tdeu\t\t0.5\t1\n"
    status, out = prepare_table(tmp_path, [row, row.replace("eins", "zwei")])
    assert status == 0 and [r["reason"] for r in rejected(out)] == ["id that another utterance has"]
