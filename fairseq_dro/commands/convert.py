"""Convert a model: from other libraries to fairseq, and from fairseq to Hugging Face.

IN is a Hugging Face folder (wav2vec 2.0, XLS-R, MMS, Whisper), a faster-whisper folder, openai's
.pt, a fairseq2 file, a file of fairseq's, or a run folder. OUT is a .pt for fairseq or a new folder
for Hugging Face, with a model card. What has no counterpart is named, never dropped in silence.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import checkpoint_of

FAIRSEQ, HUGGING_FACE = "fairseq", "hf"

EPILOG = """\
examples:
  fairseq-dro convert wav2vec2-xls-r-300m xlsr_300m.pt
  fairseq-dro convert runs/finetune/ctc_dro my-model --license cc-by-4.0

model.w2v_path and model.whisper_path take such folders as they are. docs/models.md says what loads
and what can be given away.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="IN", help="folder, file, or run folder")
    parser.add_argument("out", metavar="OUT", help="a .pt, or a folder")
    parser.add_argument(
        "--to", choices=(FAIRSEQ, HUGGING_FACE),
        help="what OUT is to be (default: fairseq for a .pt, else hf)",
    )  # fmt: skip
    parser.add_argument(
        "--name", help="of the model, in its card (default: the name of OUT)"
    )
    parser.add_argument(
        "--license", metavar="ID", help="for the card, as the hub spells it: apache-2.0, mit ..."
    )


def run(args: argparse.Namespace) -> int:
    """Read, convert, write, and say what was left out.

    Raises:
        UserError: there is nothing to read, it cannot be converted, or OUT is taken.
    """
    source, out = Path(args.source), Path(args.out)
    is_file = out.suffix == ".pt"
    to = args.to or (FAIRSEQ if is_file else HUGGING_FACE)
    if (to == FAIRSEQ) != is_file:
        expected = "a file, such as model.pt" if to == FAIRSEQ else "a folder"
        raise UserError(f"--to {to} writes {expected}, and {out} is none: name one.")
    checkpoint_of(source)  # which says what is spelt most alike
    from fairseq_dro.convert import output_place

    output_place.require_free(out, source)
    is_here = out.resolve() == Path.cwd()
    _convert(source, out, to, args)
    if is_here:
        sys.stderr.write("note: the folder you are in was replaced: type `cd .` to see it.\n")
    return 0


def _name_of(place: Path) -> str:
    """Also of ``.``; a link keeps its own name."""
    return Path(os.path.abspath(place)).name


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """A full disk or a folder that is not writable is a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from None


def _convert(source: Path, out: Path, to: str, args: argparse.Namespace) -> None:
    from fairseq_dro.convert import output_place
    from fairseq_dro.models.complete_weights import require_complete_weights

    logging.getLogger("fairseq").setLevel(logging.WARNING)
    # an old call inside fairseq, about which the user can do nothing
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
    checkpoint, file = _read(source)
    require_complete_weights(checkpoint, str(file))
    origin = {"format": 1, "from": _name_of(source), "file": _name_of(file)}
    if to == FAIRSEQ:
        with _writing(out):
            output_place.write_checkpoint(out, checkpoint, origin)
        sys.stdout.write(f"{out}: {_named(checkpoint)}, for fairseq.\n")
        return
    from fairseq_dro.convert import loads_in_transformers
    from fairseq_dro.convert.formats import writer_of
    from fairseq_dro.convert.model_card import CARD, model_card
    from fairseq_dro.convert.trained_facts import facts_of

    model = checkpoint["cfg"]["model"]["_name"]
    found = writer_of(model, str(source)).write(checkpoint, str(file))
    update = int(checkpoint["optimizer_history"][-1]["num_updates"])
    facts = facts_of(file, update, checkpoint["cfg"])
    card = model_card(
        args.name or _name_of(out), licence=args.license, use=found.use, limits=found.limits,
        facts=facts, origin=_name_of(source),
    )  # fmt: skip
    checked = []

    def fill(folder: Path) -> None:
        found.write(folder)
        (folder / CARD).write_text(card, encoding="utf-8")
        checked.append(loads_in_transformers.check(folder))

    with _writing(out):
        output_place.write_folder(out, fill, origin)
    sys.stdout.write(f"{out}: {_named(checkpoint)}, for transformers; {checked[0]}\n")
    if facts is not None and facts.state != "finished":
        sys.stderr.write(f"warning: the run is {facts.state}; this is its update {update:,}.\n")
    if facts is not None and facts.missing:
        sys.stderr.write(
            f"warning: the card has no error rates: {facts.missing}: `{facts.command}` decodes "
            "it.\n"
        )
    if not args.license:
        sys.stderr.write(f"warning: {out / CARD} names no licence: --license ID sets it.\n")
    if model == "whisper" and checkpoint["cfg"]["model"].get("pad_to_seconds") != 30:
        from fairseq_dro.convert.whisper_huggingface import TRUE_LENGTH

        sys.stderr.write(f"warning: {TRUE_LENGTH}\n")


def _read(source: Path) -> tuple[dict[str, Any], Path]:
    """A checkpoint in fairseq's layout with a plain ``cfg``, and the file or folder it is of."""
    from fairseq import checkpoint_utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from omegaconf import OmegaConf

    import fairseq_dro
    from fairseq_dro import own_runs
    from fairseq_dro.convert.formats import reader_of
    from fairseq_dro.convert.source import Source
    from fairseq_dro.decoding.published import as_checkpoint
    from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary

    fairseq_dro.register()
    file = checkpoint_of(source)
    with own_runs.own():
        if file.is_dir() or reader_of(Source(file)) is not None:
            state = as_checkpoint(str(file))
        else:
            state = checkpoint_utils.load_checkpoint_to_cpu(str(file))
    cfg = state.get("cfg") or convert_namespace_to_omegaconf(state["args"])
    state = {**state, "args": None, "cfg": OmegaConf.to_container(cfg, resolve=False)}
    state.pop("last_optimizer_state", None)  # to resume with, which a copy is not for
    whisper = (state.get("task_state") or {}).get("whisper")
    if whisper is not None:
        whisper = WhisperVocabulary.of_state(whisper).with_all_tokens().as_state()
        state["task_state"] = {**state["task_state"], "whisper": whisper}
    return state, file


def _named(checkpoint: dict[str, Any]) -> str:
    n_weights = sum(weight.numel() for weight in checkpoint["model"].values())
    return f"{checkpoint['cfg']['model']['_name']}, {n_weights / 1e6:.1f} M weights"
