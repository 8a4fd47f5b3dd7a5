"""Which loss ranks the languages as CER does: the one question that decides what q is worth.

Group DRO gives weight to languages with a large loss. It helps the languages with a large CER only
where the two rank the languages alike. Spearman's rank correlation over languages, at each
validation, from the records of the runs.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from committed import records_of, validations
from plan import DEV_SECONDS, SETTINGS, Run

from fairseq_dro.report.sections.proxy import spearman
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE

Losses = dict[str, float]

DEV_LOSSES: dict[str, Callable[[str, dict], float]] = {
    "dev loss an utterance": lambda code, of: of["loss_nats"],
    "dev loss a second": lambda code, of: of["loss_nats"] * of["n_utterances"] / DEV_SECONDS[code],
    "dev loss a character": lambda code, of: of["loss_nats_per_character"],
}


def proxies_table(setting: str, runs: list[Run]) -> list[str]:
    """A line for each loss: median and lowest correlation, and over how many validations.

    The first lines are of dev speech, in all runs. The others are of the training losses that moved
    q, each in the runs of the arm that used it.
    """
    found, counted = {name: [] for name in DEV_LOSSES}, SETTINGS[setting].counted
    for run in runs:
        moves = group_losses(run)
        for record in validations(run):
            languages = {code: record["languages"][code] for code in counted}
            rates = {code: of["cer"] for code, of in languages.items()}
            if len(set(rates.values())) == 1:  # before anything is written all have 100 %
                continue
            for name, loss in DEV_LOSSES.items():
                own = {code: loss(code, of) for code, of in languages.items()}
                found[name].append(spearman(own, rates))
            before = [update for update in moves if update <= record["update"]]
            if before:
                name = f"training loss that moved q, {run.arm}"
                own = {code: moves[before[-1]][code] for code in counted}
                found.setdefault(name, []).append(spearman(own, rates))
    lines = [
        f"| loss, over {len(counted)} languages | "
        "rank correlation with CER, median | lowest | validations |",
        "|---|--:|--:|--:|",
    ]
    for name, values in found.items():
        if values:
            numbers = f"{median(values):+.2f} | {min(values):+.2f} | {len(values)}"
            lines.append(f"| {name} | {numbers} |")
    return lines


def group_losses(run: Run) -> dict[int, Losses]:
    """Loss a group, in the unit of the run's ``criterion.group_loss``, by update; ERM has none."""
    records = records_of(run, GROUP_WEIGHTS_FILE)
    return {record["update"]: record["group_loss_nats"] for record in records}
