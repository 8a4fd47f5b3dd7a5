"""Decode a split with a trained model, and score it per language.

RUN is a run folder, of which the best checkpoint is taken (the last one where there is no best), or
a checkpoint file. The data folder and the task come from the checkpoint unless they are typed.
Results go to RUN/decode_SPLIT: a table per language (scores.md, scores.json), hypotheses and
references, and a record per utterance (utterances.jsonl), which report and compare read. Where
the split has no transcripts, hypotheses are written alone.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.commands import overrides
from fairseq_dro.commands.hydra_arguments import hand_to_hydra
from fairseq_dro.errors import UserError
from fairseq_dro.hydra_words import hydra_value, readable
from fairseq_dro.runs.decodable import checkpoint_of, results_folder_of

USAGE = "fairseq-dro infer RUN|CHECKPOINT [--split SPLIT] [SECTION.OPTION=VALUE ...]"
TAKES_OVERRIDES = True

EPILOG = """\
the options that matter:
  --split SPLIT                  files SPLIT.tsv, SPLIT.ltr, ... of the data folder (default: test)
  task.data=FOLDER               data folder (default: that of training)
  decoding.results_path=FOLDER   results (default: RUN/decode_SPLIT; none outside a run folder)
  dataset.max_tokens=N           padded samples of a batch, 16,000 a second (default: 3,000,000)

the next four:
  common.cpu=true                decode on a CPU where there is a GPU
  decoding.beam=N                of Whisper: width of the beam (default: 1, greedy)
  dataset.num_workers=N          processes that read audio (default: 1)
  common_eval.post_process=NAME  how units become text (default: that of training)

example:
  fairseq-dro infer runs/finetune/ctc_dro --split test

It takes the options of fairseq/examples/speech_recognition/new/infer.py. Several workers:
torchrun --standalone --nproc_per_node 4 $(which fairseq-dro) infer RUN
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("run", metavar="RUN", help="run folder, or checkpoint")
    parser.add_argument("words", nargs="*", metavar="SECTION.OPTION=VALUE", help="options")
    parser.add_argument("--split", help="split to decode (default: test)")


def run(args: argparse.Namespace) -> int:
    """Check what can be checked at once, then decode.

    Raises:
        UserError: the run, its checkpoint or the data folder is not there, or an option is
            misspelt.
    """
    named = Path(args.run)
    overrides.require_known(None, args.words)
    checkpoint = checkpoint_of(named)
    typed = overrides.values(args.words)
    words = [f"common_eval.path={hydra_value(str(checkpoint))}"]
    split = args.split or typed.get("dataset.gen_subset", "test")
    if args.split:
        words.append(f"dataset.gen_subset={hydra_value(split)}")
    results = results_folder_of(named, split)
    if results is not None and "decoding.results_path" not in typed:
        words.append(f"decoding.results_path={hydra_value(str(results))}")
    _decode([*words, *map(readable, args.words)])
    return 0


STOCK_HELP = """\
usage: fairseq-dro-infer common_eval.path=CHECKPOINT [SECTION.OPTION=VALUE ...]

fairseq's infer, scored per language: the options of
fairseq/examples/speech_recognition/new/infer.py, and hydra's own arguments. The same with defaults
for a run: `fairseq-dro infer RUN`, whose --help names the options that matter.

the options that matter:
  common_eval.path=CHECKPOINT    fine-tuned model, or a run folder (no default)
  dataset.gen_subset=SPLIT       split to decode (default: test)
  task.data=FOLDER               data folder (default: that of training)
  decoding.results_path=FOLDER   results (default: none are written)

example:
  fairseq-dro-infer common_eval.path=runs/finetune/ctc_dro/checkpoints/checkpoint_best.pt \\
      dataset.gen_subset=test decoding.results_path=runs/finetune/ctc_dro/decode_test
"""


def stock_main() -> int:
    """Entry point of ``fairseq-dro-infer``: help and mistakes at once, the rest is hydra's."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        sys.stdout.write(STOCK_HELP)
        return 0 if arguments else 2
    try:
        if not any(word.startswith("-") for word in arguments):
            overrides.require_known(None, arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    from fairseq_dro.commands import scored_infer

    scored_infer.main()
    return 0


def _decode(words: Sequence[str]) -> None:
    logging.root.handlers.clear()  # the program sets up its own
    from fairseq_dro.commands import scored_infer

    hand_to_hydra(words)
    scored_infer.main()
