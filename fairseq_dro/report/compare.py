"""``fairseq-dro compare RUN RUN ... --out FOLDER``: one table and one figure.

The first run is the baseline. Each RUN is the hydra.run.dir of a training run whose test split has
been decoded into RUN/decode_test.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.report.run_folder import RESULTS, data_folder_of, read_run

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, help="folder for table and figure")
    parser.add_argument(
        "--data", type=Path,
        help="data folder, for seconds and constant guess (default: task.data of the first run)",
    )  # fmt: skip
    parser.add_argument(
        "--results", default=RESULTS, help=f"sub-folder with scores.json (default: {RESULTS})"
    )
    parser.add_argument("--title", default="Runs side by side", help="headline of the table")


def run(args: argparse.Namespace) -> int:
    """Print the table and write comparison.md, .png and .svg.

    Raises:
        UserError: see ``run_folder.read_run`` and ``comparison.compare_runs``.
    """
    from fairseq_dro.report.comparison import compare_runs, markdown_table, summary_sentence
    from fairseq_dro.report.comparison_figure import draw_comparison

    runs = [read_run(folder, args.results) for folder in args.runs]
    if len({run.name for run in runs}) != len(runs):
        raise UserError("compare: two of the run folders have the same name; rename one of them.")
    constant_cer, train_seconds = None, None
    data = args.data or data_folder_of(args.runs[0])
    if data is not None:
        constant_cer, train_seconds = _from_data(data, list(runs[0].cer))
    else:
        logger.warning("no data folder is known (--data): the constant guess is left out")
    comparison = compare_runs(runs, constant_cer, train_seconds)
    table, summary = markdown_table(comparison), summary_sentence(comparison)
    args.out.mkdir(parents=True, exist_ok=True)
    figures = [args.out / "comparison.png", args.out / "comparison.svg"]
    draw_comparison(comparison, figures)
    updates = ", ".join(f"{run.name} {run.last_update}" for run in runs)
    written = args.out / "comparison.md"
    written.write_text(
        f"# {args.title}\n\nTest split; rates in per cent; q at the last validation. Updates: "
        f"{updates}.\n\n{table}\n{summary}\n\n![validation CER and q](comparison.png)\n",
        encoding="utf-8",
    )
    sys.stdout.write(f"{args.title}\n\n{table}\n{summary}\n\n")
    for path in (written, *figures):
        sys.stdout.write(f"written: {os.path.abspath(path)}\n")
    return 0


def _from_data(data: Path, codes: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """CER of the constant guess and seconds of training speech, by language."""
    from fairseq_dro.data.manifest import read_manifest
    from fairseq_dro.data.manifest_writer import SAMPLE_RATE
    from fairseq_dro.report.constant_guess import best_constant, constant_guess_cer
    from fairseq_dro.scoring.text import scored_characters

    texts: dict[str, dict[str, list[str]]] = {}
    seconds = dict.fromkeys(codes, 0.0)
    for split in ("train", "test"):
        manifest = read_manifest(data, split)
        for index, code in enumerate(manifest.languages):
            spelled = manifest.labels[index].replace(" ", "").replace("|", " ")
            text = scored_characters(spelled, code)
            texts.setdefault(code, {}).setdefault(split, []).append(text)
            if split == "train" and code in seconds:
                seconds[code] += int(manifest.n_samples[index]) / SAMPLE_RATE
    constant = {}
    for code in codes:
        splits = texts.get(code, {})
        if "train" not in splits or "test" not in splits:
            raise UserError(
                f"{data} has no training or test text of {code}, which the runs were decoded on: "
                "name their own data folder with --data."
            )
        constant[code] = constant_guess_cer(best_constant(splits["train"]), splits["test"])
    return constant, seconds
