"""Values of one configuration that contradict each other, or the pre-trained file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils
from omegaconf import DictConfig, OmegaConf

from fairseq_dro import own_runs
from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.checks.learning_rate import require_decay, require_rates
from fairseq_dro.conv_layers import Layers, parse_layers
from fairseq_dro.convert.pretrained_folders import read_folder
from fairseq_dro.criterions import group_dro_options as criterion_options
from fairseq_dro.errors import UserError
from fairseq_dro.models import checkpoint_checks, wav2vec2
from fairseq_dro.tasks import grouped_audio_options as task_options

TASK, CRITERION = "language_grouped_audio_finetuning", "group_dro_ctc"


def of_configuration(cfg: DictConfig) -> tuple[list[Finding], Layers | None]:
    """All findings, and the extractor's layers where the pre-trained file could be read."""
    findings = [
        *_missing(cfg), *_parts(cfg), *_ranges(cfg), *_schedule(cfg), *_saving(cfg),
        *_batches(cfg), *_ignored(cfg),
    ]  # fmt: skip
    of_file, layers = of_checkpoint(cfg)
    return findings + of_file, layers


def of_checkpoint(cfg: DictConfig) -> tuple[list[Finding], Layers | None]:
    """Whether the model can start from ``model.w2v_path`` with this configuration."""
    path = None if _is_missing(cfg, "model.w2v_path") else _get(cfg, "model.w2v_path")
    if not path:
        return [], None
    try:
        state = read_checkpoint(str(path))
        findings = []
        for check in (checkpoint_checks.require_no_adapters, checkpoint_checks.require_pretrained,
                      _require_finite_weights):  # fmt: skip
            try:
                check(state, str(path))
            except UserError as error:
                findings.append(_error("wrong_checkpoint", str(error)))
        normalize = bool(_get(cfg, "task.normalize"))
        try:
            checkpoint_checks.require_same_normalization(state, str(path), normalize)
        except UserError:
            findings.append(
                _error(
                    "normalize_differs",
                    f"{path} was pre-trained with normalize={str(not normalize).lower()} and "
                    f"task.normalize is {str(normalize).lower()}",
                    f"set task.normalize={str(not normalize).lower()}",
                )
            )
        width = checkpoint_checks.pretrained_option(state, "encoder_embed_dim")
        findings += _masks(cfg, width)
    except UserError as error:
        return [_error("wrong_checkpoint", str(error))], None
    layers = checkpoint_checks.pretrained_option(state, "conv_feature_layers")
    return findings, parse_layers(layers) if layers else None


def read_checkpoint(path: str) -> dict[str, Any]:
    """A checkpoint without its weights in memory where its format allows.

    Raises:
        UserError: it cannot be read (``compat.unreadable_files``).
    """
    if Path(path).is_dir():
        return read_folder(path)
    if not Path(path).is_file():
        raise UserError(
            f"model.w2v_path={path} is not a file: name the pre-trained file, such as "
            "xlsr2_300m.pt, or a Hugging Face folder."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # older formats cannot be mapped; whatever else it is, fairseq's reader says
        with own_runs.own():
            return checkpoint_utils.load_checkpoint_to_cpu(path)
    checkpoint_checks.require_layout(state, path)
    return state


def _require_finite_weights(state: dict[str, Any], path: str) -> None:
    checkpoint_checks.require_finite_weights(state["model"], path)


def _missing(cfg: DictConfig) -> list[Finding]:
    missing = [
        f"{section}.{key}"
        for section in ("task", "model", "criterion", "dataset")
        for key in (cfg.get(section) or {})
        if OmegaConf.is_missing(cfg[section], key)
    ]
    return [
        _error("option_missing", f"{key} has no value", f"set {key}=VALUE")
        for key in missing
        if key in ("task.data", "model.w2v_path")
    ]


def _parts(cfg: DictConfig) -> list[Finding]:
    task, criterion = _get(cfg, "task._name"), _get(cfg, "criterion._name")
    findings = []
    if criterion == CRITERION and task != TASK:
        findings.append(
            _error("parts_do_not_fit", f"criterion {CRITERION} needs groups, and task {task} has "
                   "none", f"set task._name={TASK}")
        )  # fmt: skip
    if _get(cfg, "optimization.skip_remainder_batch"):
        findings.append(
            _error("drops_utterances", "optimization.skip_remainder_batch=true drops utterances in "
                   "every epoch", "leave it false")
        )  # fmt: skip
    return findings


def _ranges(cfg: DictConfig) -> list[Finding]:
    findings = []
    for part, name, module in (
        (cfg.task, TASK, task_options), (cfg.criterion, CRITERION, criterion_options)
    ):  # fmt: skip
        if _get(part, "_name") == name:
            try:
                module.require_ranges(part)
            except UserError as error:
                findings.append(_error("out_of_range", str(error)))
    return findings


def _schedule(cfg: DictConfig) -> list[Finding]:
    findings = []
    last = _get(cfg, "optimization.max_update") or 0
    frozen = _get(cfg, "model.freeze_finetune_updates") or 0
    start = _get(cfg, "criterion.dro_start_update") or 0
    objective = str(_get(cfg, "criterion.objective"))
    if not last and not _get(cfg, "optimization.max_epoch"):
        findings.append(
            _warning("no_end", "neither optimization.max_update nor max_epoch ends the run",
                     "set optimization.max_update")
        )  # fmt: skip
    if 0 < last <= frozen:
        findings.append(
            _warning("encoder_never_trained", f"model.freeze_finetune_updates={frozen} is not below"
                     f" optimization.max_update={last}, so only the output layer is trained",
                     "set model.freeze_finetune_updates below it")
        )  # fmt: skip
    if 0 < last <= start and objective not in ("erm", "None"):
        findings.append(
            _error("q_never_moves", f"criterion.dro_start_update={start} is not below "
                   f"optimization.max_update={last}, so q never moves and {objective} is erm",
                   "set criterion.dro_start_update below it")
        )  # fmt: skip
    if objective not in ("erm", "None") and start < frozen:
        findings.append(
            _warning("q_moves_on_the_head", "q moves from update "
                     f"{start} on, and the encoder is frozen until update {frozen}: q adapts to "
                     "losses of the output layer alone",
                     f"set criterion.dro_start_update={frozen}")
        )  # fmt: skip
    ratio = _get(cfg, "lr_scheduler.phase_ratio")
    if ratio is not None and not isinstance(ratio, str) and abs(sum(ratio) - 1) > 1e-6:
        findings.append(
            _error("phase_ratio", f"lr_scheduler.phase_ratio={list(ratio)} does not sum to 1",
                   "fix it: warm up, hold, decay")
        )  # fmt: skip
    try:
        require_rates(str(_get(cfg, "lr_scheduler._name")), _get(cfg, "optimization.lr") or [])
    except UserError as error:
        findings.append(_error("learning_rates", *_with_fix(error)))
    steps = _get(cfg, "lr_scheduler.decay_steps")
    if steps is not None and not isinstance(ratio, str) and last:  # of tri_stage alone
        try:
            require_decay(last, ratio, steps)
        except UserError as error:
            findings.append(_error("no_decay", *_with_fix(error)))
    return findings


def _saving(cfg: DictConfig) -> list[Finding]:
    """Updates that are validated and of which no checkpoint is kept (fairseq_cli/train.py:343)."""
    validated = _get(cfg, "dataset.validate_interval_updates") or 0
    saved = _get(cfg, "checkpoint.save_interval_updates") or 0
    if _get(cfg, "dataset.disable_validation") or validated <= 0:
        return []
    is_saved = saved > 0 and validated % saved == 0 and not _get(cfg, "checkpoint.no_save")
    if is_saved:
        return []
    how_often = f"every {saved}" if saved > 0 else "none by updates"
    return [
        Finding("validated_not_saved", Severity.NOTE,
                f"validated is every {validated} updates (dataset.validate_interval_updates) and "
                f"saved {how_often} (checkpoint.save_interval_updates): the best update of the "
                "curve may be none that a checkpoint can be chosen of",
                f"set checkpoint.save_interval_updates={validated}")
    ]  # fmt: skip


def _batches(cfg: DictConfig) -> list[Finding]:
    seconds, rate = _get(cfg, "task.batch_seconds"), _get(cfg, "task.sample_rate") or 16_000
    max_tokens = _get(cfg, "dataset.max_tokens")
    if seconds and max_tokens and max_tokens < seconds * rate:
        return [
            _warning("batch_exceeds_memory",
                     f"dataset.max_tokens={max_tokens} samples are {max_tokens / rate:.0f} s, less "
                     f"than task.batch_seconds={seconds:g}: no batch holds what it should",
                     f"raise dataset.max_tokens, or set task.batch_seconds={max_tokens // rate}")
        ]  # fmt: skip
    return []


def _ignored(cfg: DictConfig) -> list[Finding]:
    if _get(cfg, "task._name") != TASK:
        return []
    ignored = task_options.ignored_options(lambda name: _get(cfg, f"task.{name}"))
    return [
        _warning("option_ignored", f"{option} has no effect here", instead)
        for option, instead in ignored
    ]


def _masks(cfg: DictConfig, width: int | None) -> list[Finding]:
    if width is None or _get(cfg, "model._name") not in wav2vec2.MODELS:
        return []
    try:
        wav2vec2.require_drawable_masks(cfg.model, width)
    except UserError as error:
        return [_error("mask_not_drawable", *_with_fix(error))]
    return []


def _get(cfg: Any, key: str) -> Any:
    """A value, or None where it is not there, has none or refers to what is not there."""
    try:
        return OmegaConf.select(cfg, key)
    except Exception:  # omegaconf 2.0 raises several kinds for one thing
        return None


def _is_missing(cfg: DictConfig, key: str) -> bool:
    section, _, option = key.partition(".")
    return OmegaConf.is_missing(cfg[section], option) if section in cfg else True


def _error(kind: str, what: str, fix: str = "") -> Finding:
    return Finding(kind, Severity.ERROR, what.rstrip("."), fix)


def _with_fix(error: UserError) -> tuple[str, str]:
    """What is wrong, and what to set, which such a sentence says after its last colon."""
    what, _, fix = str(error).rpartition(": ")
    return what, fix.rstrip(".")


def _warning(kind: str, what: str, fix: str) -> Finding:
    return Finding(kind, Severity.WARNING, what, fix)
