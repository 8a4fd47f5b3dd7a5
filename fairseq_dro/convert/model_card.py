"""The model card of a Hugging Face folder: ``README.md`` with the hub's metadata on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from fairseq_dro.convert.trained_facts import Group, TrainedFacts
from fairseq_dro.languages import known_languages, label_of
from fairseq_dro.runs.durations import in_one_unit

UNKNOWN_LICENCE = "unknown"
CARD = "README.md"
_OBJECTIVES = {
    "erm": "the mean over utterances (ERM), no language weighted",
    "group_dro": "group DRO (Sagawa et al., arXiv 1911.08731)",
    "ctc_dro": "CTC-DRO (Bartelds et al., arXiv 2502.01777)",
    "cvar_dro": "CVaR over groups",
    "chi_square_dro": "chi-square DRO over groups",
}


def model_card(
    name: str,
    *,
    licence: str | None,
    use: str,
    limits: Sequence[str],
    facts: TrainedFacts | None,
    origin: str,
) -> str:
    """The text.

    Args:
        name: of the model, as the hub and the tables call it.
        licence: an identifier of the hub's, such as ``apache-2.0``.
        use: Python code, with ``{model}`` for the name.
        limits: sentences that hold for every model of its kind.
        facts: of the run; None for a published model that was only converted.
        origin: the name of what was converted.
    """
    groups = facts.groups() if facts else []
    head = yaml.safe_dump(
        _metadata(name, licence, facts, groups), sort_keys=False, allow_unicode=True
    )
    parts = [f"---\n{head}---", f"# {name}", _summary(facts, groups, origin)]
    if use:
        parts += ["## Use", f"```python\n{use.format(model=name).rstrip()}\n```"]
    if facts:
        parts += ["## Languages", *_languages(facts, groups)]
        parts += ["## How it was trained", _training(facts)]
    parts += ["## Limits", _list([*limits, *_measured_limits(facts, groups)])]
    parts += ["## Licence", _licence(licence, facts.start if facts else origin)]
    return "\n\n".join(parts) + "\n"


# --- metadata ---


def _metadata(
    name: str, licence: str | None, facts: TrainedFacts | None, groups: Sequence[Group]
) -> dict[str, Any]:
    languages = sorted({_hub_code(one.language) for one in _trained(groups) if one.language})
    found: dict[str, Any] = {"language": languages} if languages else {}
    found |= {
        "license": licence or UNKNOWN_LICENCE, "library_name": "transformers",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["automatic-speech-recognition", "fairseq-dro", *([facts.run.objective] if facts
                 and facts.run.objective else [])],
    }  # fmt: skip
    results = [_result(facts, one) for one in groups if _rate(one, "cer") is not None]
    if results:
        found |= {"metrics": ["cer", "wer"], "model-index": [{"name": name, "results": results}]}
    return found


def _result(facts: TrainedFacts, group: Group) -> dict[str, Any]:
    """One of ``model-index``, whose rates are in per cent."""
    split = (facts.scores.get("decoded") or {}).get("split") or "test"
    title = f"{facts.tested_on} ({facts.group_by.name_of(group.name)})"
    title_of = {kind: f"{split.capitalize()} {kind.upper()}" for kind in ("cer", "wer")}
    metrics = [
        {"type": kind, "value": round(100 * rate, 2), "name": name}
        for kind, name in title_of.items()
        if (rate := _rate(group, kind)) is not None
    ]
    return {
        "task": {"type": "automatic-speech-recognition", "name": "Automatic Speech Recognition"},
        "dataset": {"name": title, "type": facts.tested_on, "config": group.name, "split": split},
        "metrics": metrics,
    }  # fmt: skip


def _hub_code(code: str) -> str:
    """ISO 639-1 where there is one, as the hub asks for."""
    language = known_languages().get(code)
    short = [other for other in language.other_codes if len(other) == 2] if language else []
    return short[0] if short else code


# --- text ---


def _summary(facts: TrainedFacts | None, groups: Sequence[Group], origin: str) -> str:
    if facts is None:
        return f"{origin}, converted by fairseq-dro. It computes what {origin} computes."
    hours = [one.hours for one in groups if one.hours is not None]
    speech = f" on {in_one_unit(3600 * sum(hours))} of speech" if hours else ""
    start = f" from {facts.start}" if facts.start else ""
    n_trained = len(_trained(groups))
    plural = f"{n_trained} {facts.group_by.noun}{'' if n_trained == 1 else 's'}"
    return f"Speech recognition in {plural}, fine-tuned{start}{speech} with fairseq-dro."


def _languages(facts: TrainedFacts, groups: Sequence[Group]) -> list[str]:
    rows = [
        [
            facts.group_by.label_of(one.name), _number(one.hours, 2), _number(one.q, 3),
            str(one.scores.get("n_utterances", "")), _percent(one, "cer"),
            _interval(one.scores), _percent(one, "wer"),
        ]
        for one in groups
    ]  # fmt: skip
    for key, title in (("mean", "**mean**"), ("worst", "**worst**")):
        row = facts.scores.get(key)
        if row:
            who = f" ({label_of(row['language'])})" if row.get("language") else ""
            hours = q = n = ""
            rates = Group(key, None, None, None, row)
            rows.append([title + who, hours, q, n, _percent(rates, "cer"), _interval(row),
                         _percent(rates, "wer")])  # fmt: skip
    head = [facts.group_by.noun, "training, h", "q at the end", "test utterances", "CER %",
            "95 % interval", "WER %"]  # fmt: skip
    text = [_table(head, rows)]
    if facts.missing:
        text.append(f"No rates: {facts.missing}.")
    else:
        profile = (facts.scores.get("convention") or {}).get("profile", "default")
        search = f" ({facts.search})" if facts.search else ""
        text.append(
            f"Rates are those of the test split of {facts.tested_on}{search}, counted by "
            f"fairseq-dro's `{profile}` profile. The interval is a 95 % bootstrap interval of the "
            "CER over speakers or utterances of this one test set; where there is too little it is "
            "empty."
        )
    n_weighted = sum(one.q is not None for one in groups)
    if n_weighted:
        text.append(
            f"q is the weight of the {facts.group_by.noun} in the loss; all alike would be "
            f"{1 / n_weighted:.3f}."
        )
    return text


def _training(facts: TrainedFacts) -> str:
    run = facts.run
    objective = run.objective
    lines = [
        f"started from: {facts.start or 'not known'}",
        f"objective: {_OBJECTIVES.get(objective, objective)}",
        f"checkpoint: {facts.checkpoint}, update {facts.update:,}"
        + (f" of {run.planned_updates:,}" if run.planned_updates else "")
        + (f", chosen by {run.best_checkpoint_metric}" if "best" in facts.checkpoint else ""),
        f"the run: {facts.state.split(' (')[0]}",
        f"data: {facts.data}; batches of one {facts.group_by.noun}",
    ]
    model = run.option("model", "_name")
    recipe = (run.hydra.get("job") or {}).get("config_name")
    lines.append(f"recipe: {recipe or 'not known'}" + (f", model `{model}`" if model else ""))
    if facts.typed:
        lines.append(f"options of the command: `{' '.join(facts.typed)}`")
    if facts.versions:
        lines.append(
            "software: " + ", ".join(f"{name} {found}" for name, found in facts.versions.items())
        )
    return _list(lines)


def _measured_limits(facts: TrainedFacts | None, groups: Sequence[Group]) -> list[str]:
    if facts is None:
        return ["Nothing was measured here: the numbers are those of the publisher."]
    found = ["One run is one draw: another seed gives other numbers."]
    rated = [one for one in groups if _rate(one, "cer") is not None]
    if rated:
        worst = max(rated, key=lambda one: _rate(one, "cer"))
        found.append(
            f"Worst in {facts.group_by.full_name(worst.name)}: {_percent(worst, 'cer')} % of "
            "letters are wrong on its test utterances."
        )
        few = [one.name for one in rated if one.scores.get("cer_low") is None]
        if few:
            found.append(f"Too few test utterances for an interval: {', '.join(few)}.")
    untested = [one.name for one in groups if _rate(one, "cer") is None]
    if untested:
        found.append(f"Trained on but not tested: {', '.join(untested)}.")
    untrained = [one.name for one in rated if one not in _trained(groups)]
    if untrained:
        found.append(f"Tested but not trained on: {', '.join(untrained)}.")
    if rated and facts.tested_on == facts.data:
        found.append(
            "It was tested on the kind of recordings that it was trained on; other microphones, "
            "accents and subjects were not tried."
        )
    elif rated:
        found.append(f"It was trained on {facts.data} and tested on {facts.tested_on}.")
    return found


def _licence(licence: str | None, start: str) -> str:
    if licence:
        return f"{licence}."
    return (
        f"No licence was named when this folder was made. The weights come from {start or 'others'}"
        ", whose licence holds for them, and so does that of the training data."
    )


def _trained(groups: Sequence[Group]) -> list[Group]:
    """Those that training had; all where nothing says which."""
    return [one for one in groups if one.is_trained] or list(groups)


def _rate(group: Group, kind: str) -> float | None:
    return group.scores.get(kind)


def _percent(group: Group, kind: str) -> str:
    rate = _rate(group, kind)
    return "" if rate is None else f"{100 * rate:.1f}"


def _interval(row: Mapping[str, Any]) -> str:
    low, high = row.get("cer_low"), row.get("cer_high")
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, align, *rows))
