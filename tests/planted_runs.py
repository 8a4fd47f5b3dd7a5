"""Run folders as training and decoding leave them, of any number of languages, in no time.

The files are written by the functions that training and decoding use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from fairseq_dro.languages import known_languages
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, HISTORY_FILE, append_record
from fairseq_dro.scoring.records import format_line
from fairseq_dro.scoring.utterances import score_utterance

ALPHABETS = {
    "Arab": "ابتثجحخدذرزسش", "Cyrl": "абвгдежзиклмн", "Deva": "कखगघचछजटठडतथद",
    "Thai": "กขคงจฉชซดตถทน", "Geor": "აბგდევზთიკლმნ", "Hebr": "אבגדהוזחטיכלמ",
    "Hans": "的一是不了人我在有他这中", "Jpan": "あいうえおかきくけこ",
}  # fmt: skip
LATIN = "abcdefghijklmnop"
MANY = ("deu", "kat", "rus", "hin", "arb", "tha", "cmn", "jpn")


def many_languages(n: int) -> list[str]:
    """n codes of many scripts: ML-SUPERB's first, so that a new row of the table changes none."""
    known = known_languages()
    superb = {code for code in known if "ml_superb=" in ";".join(known[code].corpus_names)}
    codes = sorted(known, key=lambda code: (code not in superb, code))
    return [*MANY, *(code for code in codes if code not in MANY)][:n]


def plant_training(
    folder: Path,
    codes: Sequence[str],
    *,
    objective: str = "ctc_dro",
    updates: int = 1000,
    subsets: Sequence[str] = ("valid",),
    floor: Mapping[str, float] | None = None,
    q_share: float | None = None,
    never_drawn: Sequence[str] = (),
    seed: int = 0,
) -> Path:
    """History, weights, log and configuration of a run.

    Args:
        floor: CER that a language's curve tends to; random where it is not given.
        q_share: what the first language holds of q from the middle of the run on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    end = {code: 0.03 + 0.5 * rng.beta(2, 5) for code in codes}
    end.update(floor or {})
    slope = {code: rng.uniform(2, 6) for code in codes}
    for step in range(10, updates + 1, 10):
        if objective != "erm":
            q = _q(codes, end, step / updates, q_share)
            loss = {code: 400 * end[code] + 20 for code in codes}
            append_record(
                folder / GROUP_WEIGHTS_FILE, {"update": step, "q": q, "group_loss_nats": loss}
            )
    for update in np.linspace(updates // 10, updates, 10, dtype=int):
        for shift, subset in enumerate(subsets):
            done = update / updates
            cer = {
                code: min(1.0, end[code] + (1 - end[code]) * np.exp(-slope[code] * done))
                + 0.01 * shift
                for code in codes
            }
            q = _q(codes, end, done, q_share) if objective != "erm" else {}
            rows = {
                code: {
                    "q": q.get(code, 1 / len(codes)),
                    "train_loss_nats": None if code in never_drawn
                    else 400 * cer[code] * rng.uniform(0.8, 1.2),
                    "train_audio_seconds": 0.0 if code in never_drawn else 30.0 * done,
                    "n_utterances": 30, "loss_nats": 60 * cer[code], "cer": cer[code],
                    "wer": min(1.0, 2.5 * cer[code]),
                }
                for code in codes
            }  # fmt: skip
            worst = max(cer, key=cer.get)
            record = {
                "update": int(update), "epoch": 1 + int(update) // 100, "subset": subset,
                "objective": objective, "group_by": "language", "loss_nats": 50.0,
                "cer": float(np.mean(list(cer.values()))), "wer": 0.5,
                "mean_cer": float(np.mean(list(cer.values()))), "worst_cer": cer[worst],
                "worst_language": worst, "languages": rows,
            }  # fmt: skip
            append_record(folder / HISTORY_FILE, record)
    write_log(folder, updates=updates)
    write_configuration(folder, objective=objective, updates=updates, subsets=subsets)
    return folder


def plant_decoding(
    folder: Path,
    cer: Mapping[str, float],
    *,
    n_utterances: int | Mapping[str, int] = 30,
    with_tokens: bool = False,
    speakers: int = 0,
    results: str = "decode_test",
    seed: int = 0,
    references_seed: int = 7,
) -> Path:
    """``utterances.jsonl`` with about these error rates.

    References depend on ``references_seed`` alone, so runs pair whatever their errors.
    """
    (folder / results).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 1])
    lines = []
    for code, rate in cer.items():
        of_language = np.random.default_rng([references_seed, *code.encode()])
        count = n_utterances if isinstance(n_utterances, int) else n_utterances[code]
        for index in range(count):
            reference = sentence(code, of_language)
            hypothesis = corrupted(reference, rate, rng)
            if with_tokens:
                heard = code if rng.random() > rate else list(cer)[int(rng.integers(len(cer)))]
                reference, hypothesis = f"[{code}] {reference}", f"[{heard}] {hypothesis}"
            record = score_utterance(
                reference, hypothesis, id=f"{code}_{index:04d}", language=code, seconds=3.2,
                **({"speaker": f"{code}_s{index % speakers}"} if speakers else {}),
            )
            lines.append(format_line(record))
    path = folder / results / "utterances.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def sentence(code: str, rng: np.random.Generator) -> str:
    script = known_languages()[code].script
    alphabet = list(ALPHABETS.get(script, LATIN))
    words = ["".join(rng.choice(alphabet, rng.integers(2, 9))) for _ in range(rng.integers(3, 8))]
    return "".join(words) if script in ("Hans", "Jpan", "Thai") else " ".join(words)


def corrupted(text: str, rate: float, rng: np.random.Generator) -> str:
    """About ``rate`` errors a character, a third each deleted, doubled and replaced."""
    out = []
    for character in text:
        kind = rng.random()
        if kind < rate / 3:
            continue
        if kind < 2 * rate / 3:
            out.append(character * 2)
        elif kind < rate:
            out.append(text[int(rng.integers(len(text)))])
        else:
            out.append(character)
    return "".join(out)


def write_log(folder: Path, *, updates: int, json_lines: bool = False, starts: int = 1) -> None:
    """fairseq's log of a run that was started so many times, the last one to its end."""
    time = datetime(2026, 1, 2, 3, 4, 5)
    lines = []

    def say(logger: str, message: str, seconds: float) -> None:
        nonlocal time
        time += timedelta(seconds=seconds)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S,123")
        lines.append(f"[{stamp}][{logger}][INFO] - {message}")

    for start in range(starts):
        time += timedelta(hours=start)
        say("fairseq_cli.train", "{'_name': None, 'common': {'seed': 1}}", 0)
        last = updates if start == starts - 1 else updates // 2
        for update in range(updates // 10, last + 1, updates // 10):
            wer = 100 * (1 - 0.8 * update / updates)
            if json_lines:
                line = {"epoch": 1, "valid_loss": "4.5", "valid_uer": f"{wer / 2:.3f}",
                        "valid_wer": f"{wer:.3f}", "valid_num_updates": str(update)}  # fmt: skip
                say("valid", json.dumps(line), 6)
                train = {"epoch": 1, "train_loss": "4", "train_num_updates": str(update)}
                say("train", json.dumps(train), 0)
            else:
                say(
                    "valid",
                    f"epoch 001 | valid on 'valid' subset | loss 4.5 | uer {wer / 2:.3f} | "
                    f"wer {wer:.3f} | num_updates {update}", 6,
                )  # fmt: skip
        if start == starts - 1:
            say("fairseq_cli.train", "done training in 60.0 seconds", 0)
    (folder / "hydra_train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_configuration(
    folder: Path, *, objective: str, updates: int, subsets: Sequence[str] = ("valid",)
) -> None:
    """What hydra stores: the whole configuration, its own, and what was typed."""
    hydra = folder / ".hydra"
    hydra.mkdir(parents=True, exist_ok=True)
    config = {
        "common": {"seed": 1, "cpu": True},
        "criterion": {"_name": "group_dro_ctc", "objective": objective, "smoothing": 0.5},
        "optimization": {"max_update": updates, "lr": [0.002]},
        "task": {"_name": "language_grouped_audio_finetuning"},
        "dataset": {"valid_subset": ",".join(subsets)},
    }
    if objective == "ctc":
        config["criterion"] = {"_name": "ctc"}
    (hydra / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    own = {"hydra": {"job": {"config_name": "demo"}, "runtime": {"cwd": str(folder)}}}
    (hydra / "hydra.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    typed = [f"criterion.objective={objective}", f"optimization.max_update={updates}"]
    (hydra / "overrides.yaml").write_text(yaml.safe_dump(typed), encoding="utf-8")


def _q(codes, end, done: float, share: float | None) -> dict[str, float]:
    weights = np.array([np.exp(6 * done * end[code]) for code in codes])
    weights /= weights.sum()
    if share is not None and done > 0.5:
        rest = weights[1:] / weights[1:].sum() * (1 - share)
        weights = np.array([share, *rest])
    return dict(zip(codes, weights.tolist()))
