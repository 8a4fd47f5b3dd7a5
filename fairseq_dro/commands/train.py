"""Train by a recipe, and resume: the same command again continues where the run stopped.

It composes the recipe with hydra and hands it to fairseq, as `fairseq-hydra-train --config-dir
FOLDER --config-name NAME` does; hydra's own arguments (--multirun, --cfg job, --info, ...) work
here, too. With torchrun: torchrun --standalone --nproc_per_node 4 $(which fairseq-dro) train ...
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.commands import overrides
from fairseq_dro.commands.hydra_arguments import hand_to_hydra
from fairseq_dro.errors import UserError
from fairseq_dro.hydra_words import readable
from fairseq_dro.recipes import find_recipe, recipes_in, shipped_folder

USAGE = "fairseq-dro train RECIPE [SECTION.OPTION=VALUE ...]"
TAKES_OVERRIDES = True

EPILOG = """\
the options that matter:
  task.data=FOLDER          data folder, as `fairseq-dro prepare` makes it (no default)
  model.w2v_path=FILE       xlsr2_300m.pt or such, or a Hugging Face folder (no default)
  criterion.objective=NAME  ctc_dro (default; of whisper: erm), group_dro, cvar_dro,
                            chi_square_dro, or erm: plain CTC or cross-entropy
  hydra.run.dir=FOLDER      run folder (default: runs/RECIPE/OBJECTIVE); a second data set, step
                            size or seed needs one of its own

the next four:
  optimization.max_update=N     updates; one is update_freq x workers batches
  optimization.update_freq=[N]  batches of each worker that make an update
  task.batch_seconds=S          seconds of audio of one language in a batch (default: 50;
                                less in frozen_* and demo)
  common.cpu=true common.fp16=false   train on a CPU

example:
  fairseq-dro train finetune task.data=data/mine model.w2v_path=xlsr2_300m.pt

All options with their defaults: fairseq-dro train RECIPE --cfg job
"""

# hydra's own arguments without a value, and with one
FLAGS = (("--multirun", "-m"), ("--run", "-r"), ("--info", "-i"), ("--shell-completion", "-sc"),
         ("--hydra-help",))  # fmt: skip
VALUES = (("--cfg", "-c"), ("--package", "-p"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    recipes = ", ".join(recipes_in(shipped_folder()))
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE",
        help=f"{recipes}, or a file of yours (mine.yaml); then options",
    )  # fmt: skip
    parser.add_argument(
        "--config-dir", "-cd", type=Path, metavar="FOLDER", help="look for RECIPE in this folder"
    )
    parser.add_argument("--config-name", "-cn", help=argparse.SUPPRESS)
    for names in FLAGS:
        parser.add_argument(*names, action="store_true", help=argparse.SUPPRESS)
    for names in VALUES:
        parser.add_argument(*names, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Check what can be checked at once, then be ``fairseq-hydra-train``.

    Raises:
        UserError: there is no such recipe, or an option is misspelt, missing or leads nowhere.
    """
    words = list(args.words)
    name = args.config_name or (words.pop(0) if words and "=" not in words[0] else None)
    if name is None:
        raise UserError(
            f"name a recipe first ({', '.join(recipes_in(args.config_dir or shipped_folder()))}) "
            "or a file of yours: fairseq-dro train demo task.data=FOLDER model.w2v_path=FILE"
        )
    recipe = find_recipe(name, args.config_dir)
    flags = [names[0] for names in FLAGS if _given(args, names[0])]
    for option, _ in VALUES:
        value = _given(args, option)
        flags += [option, value] if value else []
    overrides.require_known(recipe, words)
    if not set(flags) - {"--run"}:
        overrides.require_inputs(recipe, words)
    words = [readable(word, sweeps="--multirun" in flags) for word in words]
    _train(["--config-dir", str(recipe.parent), "--config-name", recipe.stem, *flags, *words])
    return 0


def _given(args: argparse.Namespace, option: str) -> str | bool | None:
    return getattr(args, option.strip("-").replace("-", "_"))


def _train(arguments: Sequence[str]) -> None:
    logging.root.handlers.clear()  # hydra sets up its own
    from fairseq_cli import hydra_train

    hand_to_hydra(arguments)
    hydra_train.cli_main()
