"""Write down what is said in audio files, of any length, without transcripts or a manifest.

RUN is a run folder or a checkpoint. Long audio is cut at silences into pieces that the model takes.
The text goes to the terminal; --json writes one object a file, with the times of its pieces. In
Python the same is fairseq_dro.load(RUN).transcribe(FILE).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import checkpoint_of

EPILOG = """\
examples:
  fairseq-dro transcribe runs/finetune/ctc_dro talk.mp3
  fairseq-dro transcribe runs/finetune/ctc_dro --json *.wav > talks.jsonl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("run", metavar="RUN", help="run folder, or checkpoint")
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="audio that soundfile reads (WAV, FLAC, MP3, Ogg ...), any rate and channels",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="a JSON object for each file, times in seconds"
    )
    parser.add_argument(
        "--language", metavar="CODE",
        help="ISO 639-3, for Whisper (default: it is detected in each piece)",
    )  # fmt: skip
    parser.add_argument(
        "--most-seconds", type=float, default=25.0, metavar="S",
        help="length of the longest piece, in seconds (default: 25)",
    )  # fmt: skip
    parser.add_argument("--cpu", action="store_true", help="also where there is a GPU")


def run(args: argparse.Namespace) -> int:
    """Transcribe one file after the other.

    Raises:
        UserError: the run or a file is not there, or a file is no audio.
    """
    if args.most_seconds < 1:
        raise UserError(f"--most-seconds {args.most_seconds:g} is too short: give 1 or more.")
    checkpoint_of(Path(args.run))
    for file in args.files:
        if not Path(file).is_file():
            raise UserError(f"{file} does not exist: name an audio file.")
    import fairseq_dro
    from fairseq_dro.progress import with_progress

    logging.getLogger("fairseq").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
    model = fairseq_dro.load(args.run, device="cpu" if args.cpu else None)
    for file in args.files:
        found = model.transcribe(
            file, args.language, most_seconds=args.most_seconds,
            progress=lambda batches, file=file: with_progress(
                batches, len(batches), "batches", f"transcribing {Path(file).name}"
            ),
        )  # fmt: skip
        if args.json:
            line = json.dumps({"file": file, **found.as_record()}, ensure_ascii=False)
        else:
            line = found.text if len(args.files) == 1 else f"{file}: {found.text}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0
