"""``fairseq-dro-infer``: fairseq's infer, scored per language.

    fairseq-dro-infer common_eval.path=runs/ctc_dro/checkpoints/checkpoint_best.pt \\
        dataset.gen_subset=test decoding.results_path=runs/ctc_dro/decode_test

It takes the options of fairseq/examples/speech_recognition/new/infer.py and, beside its files,
writes scores per language (``decoding/results.py``). What differs:

- the task and its options come from the checkpoint unless they are typed, and so do the data
  folder and ``common_eval.post_process``;
- relative paths are relative to the folder where the command was typed, and no folder of hydra's
  is made;
- without a CUDA device it decodes on the CPU;
- one worker or several (``torchrun``) write the same files, in the order of the manifest.

The table goes to stdout, everything else to stderr. A user's mistake ends with status 2.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import fairseq_dro

fairseq_dro.register()  # before hydra composes, which must know the plugin's tasks

import hydra  # noqa: E402
from fairseq import utils  # noqa: E402
from fairseq.distributed import utils as distributed_utils  # noqa: E402
from hydra.core.config_store import ConfigStore  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from omegaconf import MISSING, DictConfig, OmegaConf  # noqa: E402

from fairseq_dro import own_runs  # noqa: E402
from fairseq_dro.decoding import infer_options, unlabelled  # noqa: E402
from fairseq_dro.decoding.decoded import Decoded  # noqa: E402
from fairseq_dro.decoding.processor import CollectingProcessor  # noqa: E402
from fairseq_dro.decoding.results import write_results  # noqa: E402
from fairseq_dro.decoding.stock_infer import InferConfig, get_wer_file  # noqa: E402
from fairseq_dro.errors import UserError, sentence_of  # noqa: E402
from fairseq_dro.group_by import GroupBy  # noqa: E402
from fairseq_dro.hydra_words import readable  # noqa: E402
from fairseq_dro.report.score_tables import scores_text  # noqa: E402
from fairseq_dro.report.training_facts import read_facts, references_of  # noqa: E402
from fairseq_dro.scoring.rates import Scores, sum_up  # noqa: E402
from fairseq_dro.scoring.summary import summarise  # noqa: E402
from fairseq_dro.training import one_writer  # noqa: E402

logger = logging.getLogger("fairseq_dro.commands.scored_infer")  # also when run by python -m

CONFIG_NAME = "infer"
DEFAULT_TASK = "language_grouped_whisper_finetuning"  # its options are a superset of all others


def main() -> None:
    """Decode; all arguments are hydra's."""
    store_config(_config_name())
    sweeps = bool({"--multirun", "-m"} & set(sys.argv))
    sys.argv[1:] = [readable(word, sweeps=sweeps) for word in sys.argv[1:]]
    with own_runs.own():
        hydra_main()  # pylint: disable=no-value-for-parameter


def store_config(name: str) -> None:
    """Tell hydra fairseq's options, with the values of fairseq's conf/infer.yaml.

    The sections stay typed, the root is open: hydra's own settings stand beside them. Under the
    name of a file of the user's this is that file's schema; its ``task`` section stays its own, for
    in hydra 1.0 a task chosen by a list of defaults would replace what the file says.
    """
    config = InferConfig()
    sections = {
        key: OmegaConf.structured(value) if hasattr(value, "__dataclass_fields__") else value
        for key, value in ((key, getattr(config, key)) for key in config.__dataclass_fields__)
        if not key.startswith("_") and key != "task"
    }
    node = OmegaConf.create(sections)
    node.common_eval.post_process = "letter"
    node.common_eval.quiet = True
    node.dataset.max_tokens = infer_options.DEFAULT_SAMPLES
    node.dataset.gen_subset = "test"
    node.distributed_training.distributed_world_size = 1
    node.decoding.beam = MISSING  # until `infer_options.choose_beam`
    node.task = None
    if name == CONFIG_NAME:
        node.defaults = [{"task": DEFAULT_TASK}]
    node.hydra = {  # stay in the folder the command was typed in, and leave nothing there
        "run": {"dir": "."},
        "output_subdir": None,
        "job_logging": {"handlers": {"file": {"filename": os.devnull}}},
    }
    ConfigStore.instance().store(name=name, node=node)


@hydra.main(config_name=CONFIG_NAME)
def hydra_main(cfg: DictConfig) -> float | None:
    """Decode as `cfg` says; the word error rate in per cent, for hydra's sweepers."""
    _log_to_stderr()
    try:
        decode(cfg, typed_options(cfg))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"error: {sentence}\n")
        sys.exit(2)
    return _word_error_rate(cfg)


def decode(cfg: DictConfig, typed: set[str]) -> None:
    """Complete the options, decode on all workers, write the results on the first.

    Args:
        cfg: as hydra composed it.
        typed: names of the options that were typed; the others are free to come from the
            checkpoint.
    """
    infer_options.choose_beam(cfg)
    decoding_as_typed = OmegaConf.to_yaml(cfg.decoding)
    utils.import_user_module(cfg.common)
    with own_runs.own(), one_writer.results_folder(cfg):
        _decode(cfg, typed, decoding_as_typed)


def _decode(cfg: DictConfig, typed: set[str], decoding_as_typed: str) -> None:
    state = infer_options.complete(cfg, typed)
    has_labels = not unlabelled.is_made_up(cfg)
    cfg = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True))
    OmegaConf.set_struct(cfg, True)
    kwargs: dict[str, Any] = {"decoding_as_typed": decoding_as_typed, "has_labels": has_labels}
    if state is not None:
        kwargs["state"] = state
    distributed_utils.call_main(cfg, run_worker, **kwargs)


def run_worker(
    cfg: DictConfig,
    decoding_as_typed: str,
    state: dict[str, Any] | None = None,
    *,
    has_labels: bool = True,
) -> None:
    """One worker's share; the first one scores and writes."""
    source = _source(cfg, state)
    with own_runs.own(), CollectingProcessor(cfg, state) as processor:
        for sample in processor:
            processor.process_sample(sample)
        processor.log_generation_time()
        decoded = processor.gather()
    if not distributed_utils.is_master(cfg.distributed_training):
        return
    if not has_labels:
        sys.stdout.write(unlabelled.write_results(cfg.decoding.results_path, decoded))
        sys.stdout.flush()
        return
    scores = sum_up((one.scored for one in decoded), by=processor.by)
    training = _training(cfg, state, processor.by, decoded)
    record = {**summarise(scores), "decoded": source, "training": training}
    table = scores_text(record, title=f"Split {cfg.dataset.gen_subset}")
    if cfg.decoding.results_path is not None:
        write_results(
            Path(cfg.decoding.results_path), decoded, record, table,
            wer=_wer_file(scores, decoding_as_typed), wer_name=get_wer_file(cfg).name,
        )
        logger.info("results are in %s", cfg.decoding.results_path)
    sys.stdout.write(table)
    sys.stdout.flush()


def _source(cfg: DictConfig, state: dict[str, Any] | None) -> dict[str, Any]:
    """What ``scores.json`` says of where its hypotheses came from.

    ``update`` is null where the checkpoint is in several files or read by spawned workers;
    ``stop_at_loops`` is there where the task has the option.
    """
    loops = {"stop_at_loops": bool(cfg.task.stop_at_loops)} if "stop_at_loops" in cfg.task else {}
    history = (state or {}).get("optimizer_history") or [{}]
    return {
        "checkpoint": [Path(path).name for path in infer_options.checkpoint_paths(cfg)],
        "update": history[-1].get("num_updates"),
        "data": Path(cfg.task.data).name,
        "split": cfg.dataset.gen_subset,
        "decoder": str(cfg.decoding.type),
        "beam": int(cfg.decoding.beam),
        **loops,
    }


def _training(
    cfg: DictConfig, state: dict[str, Any] | None, by: GroupBy, decoded: list[Decoded]
) -> dict[str, Any] | None:
    """What the data folder says of the training split, so that a copied run keeps it; None where
    the folder has no such split, or is beside the one that the model was trained on.
    """
    saved = (state or {}).get("cfg") or {}
    of_training = (saved.get("task") or {}).get("data")
    if of_training and Path(of_training).is_dir():  # else it was moved
        if Path(of_training).resolve() != Path(cfg.task.data).resolve():
            return None
    split = (saved.get("dataset") or {}).get("train_subset") or "train"
    if not (Path(cfg.task.data) / f"{split}.tsv").exists():
        return None
    try:
        found = read_facts(
            Path(cfg.task.data), split, cfg.task.labels, by,
            references_of([one.scored for one in decoded], by), str(cfg.common_eval.post_process),
        )  # fmt: skip
    except UserError as error:
        logger.warning("seconds of training and the constant guess are not kept: %s", error)
        return None
    return {"train_seconds": dict(found.seconds), "constant_guess": dict(found.constant_cer)}


def typed_options(cfg: DictConfig) -> set[str]:
    """Names of the options that the user set, on the command line or in a file of their own;
    ``task`` is among them if a task was chosen.
    """
    typed = {
        override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
        for override in HydraConfig.get().overrides.task
    }
    if HydraConfig.get().job.config_name != CONFIG_NAME:
        if cfg.task is not None and OmegaConf.get_type(cfg.task) is not dict:
            typed.add("task")  # chosen by a list of defaults: every value is the task's own
        else:
            typed |= {"task" if key == "_name" else f"task.{key}" for key in cfg.task or {}}
        if cfg.common_eval.post_process != "letter":
            typed.add("common_eval.post_process")
    return typed


def _config_name() -> str:
    from hydra._internal import utils

    return utils.get_args().config_name or CONFIG_NAME


def _wer_file(scores: Scores, decoding: str) -> str:
    """In the words of fairseq's infer.py:416, whose readers parse the first line."""
    words = scores.all.words
    wer = 100.0 * words.errors / words.reference_length if words.reference_length else float("nan")
    counts = f"{words.errors} / {words.reference_length}"
    return f"WER: {wer}\nerr / num_ref_words = {counts}\n\n{decoding}"


def _word_error_rate(cfg: DictConfig) -> float | None:
    """In per cent, as fairseq's infer returns it; None where none was written."""
    if cfg.decoding.results_path is None or not get_wer_file(cfg).exists():
        return None
    first_line = get_wer_file(cfg).read_text(encoding="utf-8").splitlines()[0]
    return float(first_line.removeprefix("WER: "))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)s | %(name)s | %(message)s"))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(os.environ.get("LOGLEVEL", "INFO").upper())
    # old calls inside fairseq and torch, about which the user of a model can do nothing
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
    warnings.filterwarnings("ignore", message="'pin_memory' argument is set as true")


if __name__ == "__main__":
    main()
