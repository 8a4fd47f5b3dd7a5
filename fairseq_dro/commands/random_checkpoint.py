"""``fairseq-dro random-checkpoint``: write an XLS-R-shaped checkpoint of random weights."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.whole_file import whole_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="file to write, such as random.pt")
    parser.add_argument(
        "--shape", default="demo", choices=("tiny", "demo", "xlsr_300m"),
        help="demo: 1 M parameters; xlsr_300m: 317 M, 1.3 GB (default: demo)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Write the file unless it is there; the weights are a function of shape and seed.

    Raises:
        UserError: another file is there, or the file cannot be written.
    """
    from fairseq_dro.demo.random_checkpoint import is_random_checkpoint, write_random_checkpoint

    if args.out.exists():
        if not is_random_checkpoint(args.out, shape=args.shape, seed=args.seed):
            raise UserError(
                f"{args.out} is there already and is not the random checkpoint of --shape "
                f"{args.shape} --seed {args.seed}: name another file, or remove it."
            )
        sys.stdout.write(f"{args.out} is there already.\n")
        return 0
    # an old call inside fairseq, about which the user can do nothing
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(args.out) as partial:
            try:
                n_parameters = write_random_checkpoint(partial, shape=args.shape, seed=args.seed)
            except RuntimeError as error:  # as torch says that a disk is full
                raise OSError(str(error).partition("\n")[0]) from error
    except OSError as error:
        raise UserError(f"{args.out} cannot be written: {error.strerror or error}.") from None
    sys.stdout.write(f"{args.out}: {n_parameters:,} random parameters, shape {args.shape}.\n")
    return 0
