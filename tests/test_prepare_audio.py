"""Audio is used where it lies or converted once; a kill, a bad file, a full disk spoil nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.errors import UserError
from fairseq_dro.prepare import audio_pool
from fairseq_dro.prepare.audio_conversion import convert_all
from fairseq_dro.prepare.audio_files import AudioJob, probe_all
from fairseq_dro.prepare.recording import ParquetAudio
from fairseq_dro.processes import in_processes
from tests.corpus_trees import rejected, tone, write_audio, write_lines

ALL_TRAINING = ("--valid-fraction", "0", "--test-fraction", "0")


def table_of(folder: Path, files: list[str]) -> Path:
    rows = [f"{file}\twort {chr(97 + n % 26)}\tdeu\n" for n, file in enumerate(files)]
    return write_lines(folder / "t.tsv", ["path\ttext\tlanguage\n", *rows])


def prepare(out: Path, table: Path, *options: str) -> int:
    return main(["prepare", "table", str(out), "--table", str(table), *ALL_TRAINING, *options])


def is_used_in_place(path: Path, **how) -> bool:
    (result,) = probe_all([AudioJob(path, **how)])
    assert result.error == "" and result.seconds > 0
    return result.n_samples > 0


def test_only_16_khz_mono_pcm_and_flac_is_used_where_it_lies(tmp_path):
    kinds = {"a.wav": {}, "b.flac": {}, "c.wav": {"subtype": "PCM_24"}}
    for name, how in kinds.items():
        assert is_used_in_place(write_audio(tmp_path / name, **how)), name
    ogg = {"format": "OGG", "subtype": "VORBIS"}
    assert not is_used_in_place(write_audio(tmp_path / "d.ogg", **ogg))
    assert not is_used_in_place(write_audio(tmp_path / "e.wav", rate=8000))
    assert not is_used_in_place(write_audio(tmp_path / "f.wav", channels=2))
    assert not is_used_in_place(write_audio(tmp_path / "g.wav", subtype="FLOAT"))
    assert not is_used_in_place(write_audio(tmp_path / "h.mp3", format="MP3"))
    # a manifest is lines and tabs: such a name cannot stand in it
    assert not is_used_in_place(write_audio(tmp_path / "i\tj.wav"))
    assert not is_used_in_place(write_audio(tmp_path / " k" / "l.wav"))
    assert is_used_in_place(write_audio(tmp_path / "m n" / "o .wav"))
    # fairseq reads `name:12:30` as a part of a zip, but for these suffixes
    assert not is_used_in_place(write_audio(tmp_path / "at 12:30", format="WAV"))
    assert is_used_in_place(write_audio(tmp_path / "at 12:30.wav"))
    assert not is_used_in_place(tmp_path / "a.wav", start_seconds=0.5)


def test_a_flac_that_does_not_say_how_long_it_is_is_rejected(tmp_path):
    path = write_audio(tmp_path / "a.flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: the 36 bits of the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    (result,) = probe_all([AudioJob(path)])
    assert (result.error, result.n_samples) == ("length unknown", 0)


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_is_never_taken_for_shorter_than_it_is(tmp_path, mode):
    path = tmp_path / "a.mp3"
    loud = np.random.default_rng(1).standard_normal(32_000) / 5
    samples = np.concatenate([loud, np.zeros(96_000)])  # decoders guess by the first bit rate
    soundfile.write(path, samples, 32_000, format="MP3", bitrate_mode=mode, compression_level=0.5)
    (result,) = probe_all([AudioJob(path)])
    assert (result.error, result.seconds) == ("", 4.0)
    whole = path.read_bytes()
    path = tmp_path / "b.mp3"
    tag = whole.index(b"Xing" if mode == "VARIABLE" else b"Info")
    path.write_bytes(whole[whole.index(whole[:2], tag) :])  # as a program writes to a pipe
    job = AudioJob(path, target=tmp_path / "b.flac")
    (result,) = probe_all([job])
    if mode == "VARIABLE":
        assert result.error == "length unknown" and "encode it again" in result.detail
    else:
        (done,) = convert_all([job])
        assert done.error == "" and result.seconds == done.seconds == pytest.approx(4.0, abs=0.1)


def test_a_file_that_was_cut_is_found_where_it_is_used_in_place(tmp_path):
    for name in ("a.flac", "b.wav"):
        path = write_audio(tmp_path / name, 3.0)
        whole = path.read_bytes()
        assert is_used_in_place(path)
        for size in (len(whole) // 2, len(whole) * 9 // 10):
            path.write_bytes(whole[:size])
            (result,) = probe_all([AudioJob(path)])
            assert (result.error, result.n_samples) == ("audio is shorter than its header says", 0)
    path.write_bytes(whole[:-200])  # 6 ms less are no loss
    assert is_used_in_place(path)
    (part,) = probe_all([AudioJob(path, 0.5, 1.0)])  # of a part, only what is meant must be there
    assert part.error == "" and part.seconds == 1.0
    place = whole.index(b"data") + 4
    for unknown in (0xFFFFFFFF, 0x7FFFFFFF):  # as a program writes that streams
        size = unknown.to_bytes(4, "little")
        path.write_bytes(whole[:4] + size + whole[8:place] + size + whole[place + 4 :])
        assert is_used_in_place(path)


def test_no_name_of_a_file_stops_the_reading_of_headers(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(3200))
    names = ("a.raw", "x" * 300 + ".wav", "a\0.wav", "\udcff.wav")
    for result in probe_all([AudioJob(tmp_path / name) for name in names]):
        assert result.error in ("audio cannot be read", "audio file missing")


@pytest.mark.parametrize("rate, channels", [(48_000, 2), (8_000, 1), (16_000, 2), (44_100, 1)])
def test_converted_audio_is_what_soxr_makes_of_the_mean_of_the_channels(tmp_path, rate, channels):
    left = tone(0.7, rate)[:, 0]
    samples = np.stack([left, 0.5 * left[::-1]][:channels], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="PCM_16")
    (result,) = convert_all([AudioJob(tmp_path / "a.wav", target=tmp_path / "x" / "a.flac")])
    converted, converted_rate = soundfile.read(tmp_path / "x" / "a.flac")
    assert (converted_rate, converted.ndim, len(converted)) == (16_000, 1, result.n_samples)
    expected = soxr.resample(samples.mean(axis=1), rate, 16_000)
    assert len(expected) == len(converted)
    assert np.abs(expected - converted).max() < 2 / 32768  # 16 bits, twice


def test_a_segment_is_the_part_of_the_file_that_was_asked_for(tmp_path):
    ramp = np.linspace(-0.9, 0.9, 32_000)
    soundfile.write(tmp_path / "a.wav", ramp, 16_000)
    job = AudioJob(tmp_path / "a.wav", 0.25, 0.5, tmp_path / "a.flac")
    assert convert_all([job])[0].n_samples == 8000
    part, _ = soundfile.read(tmp_path / "a.flac")
    assert np.abs(part - ramp[4000:12_000]).max() < 2 / 32768
    for start, duration in ((1.8, 0.5), (5.0, None), (0.5, 0.0), (2.0, None)):
        (outside,) = probe_all([AudioJob(tmp_path / "a.wav", start, duration)])
        assert outside.error == "offset and duration (seconds) are outside the file"


@pytest.mark.parametrize(
    "there, written, how",
    [("gru\u0308n.wav", "gr\u00fcn.wav", "in NFD"), ("a/b.wav", "a\\b.wav", "with / for \\"),
     ("a.wav", "a.WAV", "with .wav"), ("a.FLAC", "a.flac", "with .FLAC"), ("a.wav", "b.wav", "")],
)  # fmt: skip
def test_a_missing_file_that_is_there_in_another_spelling_is_told(tmp_path, there, written, how):
    write_audio(tmp_path / there)
    (result,) = probe_all([AudioJob(tmp_path / written)])
    assert result.error == "audio file missing"
    assert result.detail.endswith(f" the same {how}: rename it or its row)" if how else written)


def test_audio_that_is_of_no_use_is_left_out_with_its_reason_and_the_rest_continues(
    tmp_path, capsys
):
    write_audio(tmp_path / "good.wav")
    write_audio(tmp_path / "slow.wav", rate=8000)
    for name, how in (("cut.flac", {}), ("cut.mp3", {"format": "MP3"})):
        data = write_audio(tmp_path / name, 3.0, 44_100, **how).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 3])
    (tmp_path / "noise.wav").write_bytes(b"RIFF, but no audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    (tmp_path / "folder.wav").mkdir()
    files = ["good.wav", "slow.wav", "noise.wav", "empty.wav", "none.wav", "folder.wav"]
    files += ["cut.flac", "cut.mp3", "nan.wav"]
    samples = np.full(16_000, np.nan, dtype="float32")
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    table = table_of(tmp_path, files)
    assert prepare(tmp_path / "out", table) == 0
    assert read_manifest(tmp_path / "out", "train").utterance_ids == ["good.wav", "slow.wav"]
    found = {row["where"].split(":")[-1]: row["reason"] for row in rejected(tmp_path / "out")}
    found = {files[int(line) - 2]: reason for line, reason in found.items()}
    assert found == {
        "cut.flac": "audio cannot be read", "cut.mp3": "audio is shorter than its header says",
        "noise.wav": "audio cannot be read", "empty.wav": "audio is empty",
        "none.wav": "audio file missing", "folder.wav": "audio file missing",
        "nan.wav": "audio holds NaN or infinity",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "7 left out" in said and "audio file missing (deu 2)" in said


def test_a_wrong_audio_root_is_told_with_the_reason_and_the_first_file(tmp_path, capsys):
    table = table_of(tmp_path, ["a.wav", "b.wav"])
    assert prepare(tmp_path / "out", table) == 2
    said = capsys.readouterr().err
    assert "No utterance is left in the split 'train': 2 utterances left out" in said
    assert "audio file missing (2 of them" in said and "a.wav" in said
    assert f"looked for below {tmp_path}: name another --audio-root" in said
    assert len(rejected(tmp_path / "out")) == 2
    write_audio(tmp_path / "a.wav")  # and the same command makes it
    assert prepare(tmp_path / "out", table) == 0


def test_mp3_without_a_decoder_says_what_to_install(tmp_path, capsys, monkeypatch):
    write_audio(tmp_path / "a.mp3", format="MP3")
    formats = {name: what for name, what in soundfile.available_formats().items() if name != "MP3"}
    monkeypatch.setattr(soundfile, "available_formats", lambda: formats)
    assert prepare(tmp_path / "out", table_of(tmp_path, ["a.mp3"])) == 2
    assert "pip install --upgrade soundfile" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_in_one_sentence_and_the_same_command_resumes(tmp_path, capsys):
    """The kernel refuses what is larger than RLIMIT_FSIZE, as it does on a full disk."""
    write_audio(tmp_path / "small.wav", 0.05, 8000)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 48_000)
    soundfile.write(tmp_path / "large.wav", noise, 8000)
    table = table_of(tmp_path, ["small.wav", "large.wav"])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limit[1]))
        assert prepare(tmp_path / "out", table) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    said = capsys.readouterr().err
    assert "large.flac cannot be written (File too large): make room" in said
    converted = tmp_path / "out" / "converted" / "deu"
    assert [path.name for path in converted.iterdir()] == ["small.flac"]
    assert not (tmp_path / "out" / "train.tsv").exists()
    made = (converted / "small.flac").stat().st_mtime_ns
    assert prepare(tmp_path / "out", table) == 0
    assert (converted / "small.flac").stat().st_mtime_ns == made
    assert len(read_manifest(tmp_path / "out", "train")) == 2


def test_a_killed_conversion_leaves_whole_files_only_and_resumes_where_it_was(tmp_path):
    files = [f"{number:03d}.wav" for number in range(160)]
    for file in files:
        write_audio(tmp_path / file, 2.0, 44_100)
    table = table_of(tmp_path, files)
    converted = tmp_path / "out" / "converted" / "deu"
    command = [
        sys.executable, "-m", "fairseq_dro.cli", "prepare", "table", str(tmp_path / "out"),
        "--table", str(table), "--workers", "2", *ALL_TRAINING,
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(converted.glob("*.flac"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()  # only the command: its workers must end by themselves
    process.wait()
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _group_lives(process.pid)
    whole = {path: path.stat().st_mtime_ns for path in converted.glob("*.flac")}
    assert 20 <= len(whole) < len(files)
    assert all(soundfile.info(path).frames == 32_000 for path in whole)
    assert not (tmp_path / "out" / "train.tsv").exists()
    (converted / "159.flac.partial").write_bytes(b"half")  # what a kill in mid-write leaves

    assert prepare(tmp_path / "out", table, "--workers", "1") == 0
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    manifest = read_manifest(tmp_path / "out", "train")
    assert manifest.n_samples.tolist() == [32_000] * len(files)
    assert manifest.paths == [f"deu/{number:03d}.flac" for number in range(160)]


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_half_converted_or_outdated_file_does_not_count_as_done(tmp_path):
    source = write_audio(tmp_path / "a.wav", 1.0, 8000)
    target = tmp_path / "a.flac"
    job = AudioJob(source, target=target)
    assert convert_all([job])[0].n_samples == 16_000
    whole = target.read_bytes()
    target.write_bytes(b"fLaC")
    assert convert_all([job])[0].n_samples == 16_000 and target.read_bytes() == whole
    write_audio(target, 1.0, 8000)  # of another program
    assert convert_all([job])[0].n_samples == 16_000 and target.read_bytes() == whole
    write_audio(source, 2.0, 8000)
    os.utime(source, (time.time() + 10, time.time() + 10))
    assert convert_all([job])[0].n_samples == 32_000


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path, monkeypatch):
    source = write_audio(tmp_path / "a.wav", 1.0, 8000)
    target = tmp_path / "a.flac"

    def refuse(partial, name):
        assert soundfile.info(str(partial)).frames == 16_000 and not target.exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match="a.flac cannot be written .No space left on device.: make"):
        convert_all([AudioJob(source, target=target)])
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_process_reads_a_row_group_once(tmp_path):
    rows = [ParquetAudio(tmp_path / "a.parquet", n // 3, n % 3) for n in range(9)]
    jobs = [AudioJob(audio) for audio in rows] + [AudioJob(tmp_path / f"{n}.wav") for n in range(5)]
    sizes = [len(chunk) for chunk in audio_pool._chunks(jobs, 2)]
    assert sizes == [3, 3, 3, 2, 2, 1]


def test_the_order_does_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_pool, "HEADERS_PER_CHUNK", 3)
    files = [write_audio(tmp_path / f"{n}.wav", 0.1 + 0.01 * n) for n in range(20)]
    jobs = [AudioJob(path) for path in files]
    alone, together = audio_pool.probe(jobs, 1), audio_pool.probe(jobs, 2)
    assert alone == together
    assert [result.n_samples for result in alone] == [1600 + 160 * n for n in range(20)]


def test_a_worker_that_is_killed_is_told_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="was killed, perhaps for its memory: lower --workers"):
        list(in_processes(_die, [[], []], 2))


def _die(_jobs):
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_ids_that_look_alike_on_disk_get_two_files(tmp_path):
    for name in ("a", "b", "c"):
        write_audio(tmp_path / f"{name}.wav", 0.2, 8000)
    rows = ["x/y", "x_y", "../../x"]
    lines = [f"{n}.wav\twort {n}\tdeu\t{one}\n" for n, one in zip("abc", rows)]
    table = write_lines(tmp_path / "t.tsv", ["path\ttext\tlanguage\tid\n", *lines])
    assert prepare(tmp_path / "out", table) == 0
    manifest = read_manifest(tmp_path / "out", "train")
    assert len(set(manifest.paths)) == 3
    assert all(manifest.audio_path(i).is_file() for i in range(3))
    converted = tmp_path / "out" / "converted" / "deu"
    assert len(list(converted.iterdir())) == 3
