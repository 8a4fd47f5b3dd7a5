"""Make what is missing of the runs in ``plan``, then the page; see ``scripts/evidence.sh``.

A run's records are copied to `plan.RECORDS` when its test split is decoded, and the run is never
made again. A run that was killed resumes. Checkpoints are deleted after decoding.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from plan import RECORDS, SETTINGS, Run, first_tries, further_seeds
from write_up import PAGE, choose, write_up

OUT = Path(os.environ.get("OUT", "runs/evidence"))
FEATURES = OUT / "data/all/features/whisper"  # hidden layers of the encoder, of all languages
KEPT = ("history.jsonl", "group_weights.jsonl", ".hydra/config.yaml", ".hydra/overrides.yaml")
DECODED = ("utterances.jsonl", "scores.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=", ".join(SETTINGS))
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--write-up", action="store_true", help="only rebuild the page")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"default: {PAGE}")
    parser.add_argument("--seeds", type=int, default=3, help="of each arm (default: 3)")
    args = parser.parse_args()
    for setting in args.settings:
        if setting not in SETTINGS:
            parser.error(f"{setting} is no setting: expected one of {', '.join(SETTINGS)}")
    for setting in [] if args.write_up else args.settings or SETTINGS:
        if args.list:
            print(*(shlex.join(command) for command in data_commands(setting)), sep="\n")
        make(list(first_tries(setting)), args.list)
        chosen = {arm: choose(setting, arm) for arm in SETTINGS[setting].system.arms}
        if all(chosen.values()):
            make(list(further_seeds(setting, chosen, args.seeds)), args.list)
    if not args.list:
        write_up(args.page)


def make(planned: list[Run], only_list: bool) -> None:
    """Make the runs that have no records yet."""
    for run in planned:
        if only_list:
            print(*(shlex.join(command) for command in commands(run)), sep="\n")
        elif not (RECORDS / run.name / "decode_test/scores.json").exists():
            make_run(run)


def data_commands(setting: str) -> list[list[str]]:
    """The data folder of a setting, and hidden layers where its system reads them.

    ``OUT/SETTING.tsv`` holds the rows of ``corpus.tsv`` that the setting keeps (`chosen`).
    """
    plan, corpus = SETTINGS[setting], os.environ.get("CORPUS", "CORPUS")
    names = [setting, *(["all"] if plan.system.from_features else [])]
    commands = [
        ["fairseq-dro", "prepare", "table", str(OUT / "data" / name), "--table",
         str(OUT / f"{name}.tsv"), "--audio-root", corpus, "--text-column", "text",
         "--text-profile", plan.system.text_profile]
        for name in names
    ]  # fmt: skip
    if plan.system.from_features:
        model = ["--model", str(OUT / "whisper")]
        commands.append(["fairseq-dro", "features", str(OUT / "data/all"), *model])
    return commands


def commands(run: Run) -> list[list[str]]:
    """Training, and decoding of the last checkpoint."""
    folder, system = OUT / "runs" / run.name, SETTINGS[run.setting].system
    words = {
        "task.data": str(OUT / "data" / run.setting), "model.whisper_path": str(OUT / "whisper"),
        **run.options, "hydra.run.dir": str(folder),
    }  # fmt: skip
    features = [f"task.features={FEATURES}"] if system.from_features else []
    options = [f"{name}={value}" for name, value in words.items()]
    train = ["fairseq-dro", "train", system.recipe, *options, *features]
    last = str(folder / "checkpoints/checkpoint_last.pt")
    return [train, ["fairseq-dro", "infer", last, *features]]


def make_run(run: Run) -> None:
    """Train, decode, keep the records, delete the checkpoints."""
    prepare(run.setting)
    folder, cpu_seconds = OUT / "runs" / run.name, {}
    resumes = (folder / "checkpoints").exists()
    for what, command in zip(("training", "decoding"), commands(run), strict=True):
        print("+", shlex.join(command), flush=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_seconds[what] = round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    if resumes:  # what was used before is not known
        cpu_seconds["training"] = None
    kept = RECORDS / run.name
    for name in KEPT:
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).exists():  # under ERM q does not move
            shutil.copy(folder / name, kept / name)
    (kept / "cpu_seconds.json").write_text(json.dumps(cpu_seconds) + "\n")
    (kept / "decode_test").mkdir(exist_ok=True)
    for name in DECODED:
        shutil.copy(folder / "decode_test" / name, kept / "decode_test" / name)
    shutil.rmtree(folder / "checkpoints")


def prepare(setting: str) -> None:
    """Make the data folder of a setting where it is missing."""
    corpus = Path(_required("CORPUS", "the folder with corpus.tsv"))
    weights = Path(_required("WHISPER", "the base model, see scripts/fetch_whisper_base.py"))
    OUT.mkdir(parents=True, exist_ok=True)
    if not (OUT / "whisper").exists():
        (OUT / "whisper").symlink_to(weights.resolve())
    for command in data_commands(setting):
        if command[1] == "prepare":
            data = Path(command[3])
            if (data / "dataset.json").exists():
                continue
            _write_table(corpus, data.name)
        subprocess.run(command, check=True)


def _write_table(corpus: Path, name: str) -> None:
    """The rows that a setting keeps, or all rows of the corpus."""
    with (corpus / "corpus.tsv").open(newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE))
    wanted = chosen(rows, name) if name in SETTINGS else rows
    with (OUT / f"{name}.tsv").open("w", newline="") as kept:
        lines = [rows[0], *(row.values() for row in wanted)]
        kept.writelines("\t".join(line) + "\n" for line in lines)  # the corpus quotes nothing


def chosen(rows: list[dict[str, str]], setting: str) -> list[dict[str, str]]:
    """Rows of the setting's languages; of scarce ones a tenth of the training seconds.

    Which tenth: by the SHA-256 of the file's name, so it does not depend on the order of the table.
    """
    plan, kept = SETTINGS[setting], []
    for language in plan.languages:
        own = [row for row in rows if row["language"] == language]
        train = [row for row in own if row["split"] == "train"]
        if language in plan.scarce:
            train.sort(key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())
            left = sum(float(row["seconds"]) for row in train) / 10
            while train and left < sum(float(row["seconds"]) for row in train):
                train.pop()
        kept += train + [row for row in own if row["split"] != "train"]
    return kept


def _required(variable: str, what: str) -> str:
    if not os.environ.get(variable):
        sys.exit(f"error: {variable} is not set: type {variable}=FOLDER in front, {what}.")
    return os.environ[variable]


if __name__ == "__main__":
    main()
