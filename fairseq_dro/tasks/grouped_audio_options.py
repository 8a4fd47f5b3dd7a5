"""The options of the task, as ``task.NAME=value`` or in a recipe."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum
from fairseq.tasks.audio_finetuning import AudioFinetuningConfig
from omegaconf import II

from fairseq_dro.batching.planner import GroupSampling
from fairseq_dro.errors import UserError
from fairseq_dro.option_ranges import out_of_range, require_in_ranges


@dataclass
class LanguageGroupedAudioFinetuningConfig(AudioFinetuningConfig):
    labels: Optional[str] = field(
        default="ltr", metadata={"help": "suffix of the label files: {split}.{labels}"}
    )
    batch_seconds: float = field(
        default=50.0,
        metadata={
            "help": "d, seconds of audio in a batch of one group, above 0; the paper uses 46 to "
            "55; dataset.max_tokens bounds the memory"
        },
    )
    group_by: str = field(
        default="language",
        metadata={
            "help": "what the utterances of a group share: a column of the data folder (language, "
            "or the NAME of a file {split}.NAME with one value a line: accent, gender, corpus), or "
            "several joined by +: language+accent"
        },
    )
    group_sampling: ChoiceEnum([sampling.value for sampling in GroupSampling]) = field(
        default="proportional",
        metadata={
            "help": "proportional: each utterance once an epoch; uniform: rounds of one batch a "
            "group; temperature: by seconds ** (1 / sampling_temperature); q: by the weights q, "
            "and no loss is weighted"
        },
    )
    sampling_temperature: float = field(
        default=2.0,
        metadata={
            "help": "T of group_sampling=temperature, at least 1; 1: in proportion to seconds"
        },
    )
    epoch_updates: int = field(
        default=0,
        metadata={
            "help": "updates of an epoch, where group_sampling is not proportional; 0: as many as "
            "hold as much audio as there is. With group_sampling=q an epoch is drawn by the q of "
            "its beginning, so this is how long q waits to be obeyed"
        },
    )
    length_noise: float = field(
        default=0.02,
        metadata={
            "help": "random share of its length by which an utterance may move before batches are "
            "cut, at least 0 and below 1; 0: the same batches in every epoch; 0.02 costs half a "
            "point of padding"
        },
    )
    language_token: bool = field(
        default=False,
        metadata={"help": "put the one symbol [iso] before each target (ML-SUPERB, the paper)"},
    )
    allow_unseen: bool = field(
        default=False,
        metadata={
            "help": "accept groups, languages and characters that training does not know; the "
            "infer command sets it"
        },
    )
    skip_infeasible: bool = field(
        default=False,
        metadata={
            "help": "leave out training utterances whose target is longer than CTC can align to "
            "their frames, instead of stopping"
        },
    )
    features: Optional[str] = field(
        default=None,
        metadata={
            "help": "folder of hidden layers that `fairseq-dro features` wrote: they are read in "
            "the place of audio (model=layer_weighted_ctc); decoding reads audio unless it is typed"
        },
    )
    output_rows_by_name: bool = field(
        default=False,
        metadata={
            "help": "where checkpoint.finetune_from_model has other units: copy the output rows of "
            "the units it knows, and initialise those of new units"
        },
    )
    accept_changed_data: bool = field(
        default=False,
        metadata={
            "help": "resume although groups, their order, the training manifest or the number of "
            "workers changed: a new group starts at the mean weight, and an epoch whose batches "
            "changed starts again; set it for one start only"
        },
    )
    audio_checks_per_language: int = field(
        default=20,
        metadata={"help": "audio headers of each language to check at the start; -1: all, 0: none"},
    )
    history_dir: str = field(
        default=".",
        metadata={
            "help": "folder of history.jsonl and group_weights.jsonl; .: the current folder, which "
            "is the run folder under hydra"
        },
    )
    seed: int = II("common.seed")
    fp16: bool = II("common.fp16")
    bf16: bool = II("common.bf16")
    train_subset: str = II("dataset.train_subset")
    valid_subset: str = II("dataset.valid_subset")
    max_tokens_valid: Optional[int] = II("dataset.max_tokens_valid")
    skip_too_long_valid: bool = II("dataset.skip_invalid_size_inputs_valid_test")
    update_freq: Any = II("optimization.update_freq")
    use_bmuf: bool = II("optimization.use_bmuf")
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")
    ddp_backend: Any = II("distributed_training.ddp_backend")
    find_unused_parameters: bool = II("distributed_training.find_unused_parameters")
    required_batch_size_multiple: int = II("dataset.required_batch_size_multiple")
    curriculum: int = II("dataset.curriculum")
    grouped_shuffling: bool = II("dataset.grouped_shuffling")
    combine_valid_subsets: Optional[bool] = II("dataset.combine_valid_subsets")


IGNORED = (
    ("dataset.required_batch_size_multiple", (1, 8),  # 8 is fairseq's default
     "training batches are cut by task.batch_seconds, and dataset.batch_size bounds their "
     "utterances; leave it out (validation batches alone follow it)"),
    ("dataset.curriculum", (0,),
     "batches of all groups take turns from the first epoch on; leave it out"),
    ("dataset.grouped_shuffling", (False,),
     "batches hold about task.batch_seconds each, so workers have equal work without it; leave it "
     "out"),
    ("dataset.combine_valid_subsets", (None, False),
     "name the splits in dataset.valid_subset, which are validated one by one"),
    ("task.text_compression_level", ("none",),
     "file names and labels take no more memory than their files; leave it out"),
    ("task.eval_wer", (False,),
     "character and word error rates of each group are validated without it; leave it out"),
    ("task.eval_bleu", (False,), "it is for models with a decoder; leave it out"),
)  # fmt: skip
"""Options of fairseq that change nothing here: name, values that ask for nothing, what to do."""


def ignored_options(value_of: Callable[[str], Any]) -> list[tuple[str, str]]:
    """(``option=value``, what to do instead) of each option that is set and has no effect.

    Args:
        value_of: the value of an option of the task; those of ``dataset`` are options of it too.
    """
    found = []
    for option, without_effect, instead in IGNORED:
        value = value_of(option.partition(".")[2])
        value = getattr(value, "name", value)  # of an enumeration
        if value not in without_effect:
            found.append((f"{option}={str(value).lower()}", instead))
    return found


def require_ranges(cfg: LanguageGroupedAudioFinetuningConfig) -> None:
    """Refuse option values that mean nothing, by name.

    Raises:
        UserError: the first such.
    """
    require_in_ranges(
        "task", cfg,
        (
            ("batch_seconds", cfg.batch_seconds > 0, "above 0"),
            ("sampling_temperature", cfg.sampling_temperature >= 1, "at least 1"),
            ("length_noise", 0 <= cfg.length_noise < 1, "at least 0 and below 1"),
            ("epoch_updates", cfg.epoch_updates >= 0, "at least 0"),
        ),
    )  # fmt: skip
    if not cfg.allow_unseen:
        _require_trainable(cfg)


def _require_trainable(cfg: LanguageGroupedAudioFinetuningConfig) -> None:
    if cfg.epoch_updates and str(cfg.group_sampling) == "proportional":
        raise UserError(
            f"task.epoch_updates={cfg.epoch_updates} has no meaning with "
            "task.group_sampling=proportional, where each utterance comes once an epoch: leave it "
            "out, or type task.group_sampling=temperature task.sampling_temperature=1."
        )
    if cfg.train_subset in str(cfg.valid_subset).split(","):
        raise UserError(
            f"dataset.valid_subset={cfg.valid_subset} names the training split, whose batches are "
            f"planned for training: copy some lines of {cfg.train_subset}.tsv and of the files "
            "beside it to a split of another name, and validate on that."
        )
    if cfg.max_sample_size is not None or cfg.precompute_mask_indices:
        option = "precompute_mask_indices" if cfg.precompute_mask_indices else "max_sample_size"
        raise UserError(
            f"task.{option}={getattr(cfg, option)} is refused: it draws at random outside the "
            "seeded step, so that no run could be resumed exactly"
            + (" (and it cuts audio under a whole transcript)" if cfg.max_sample_size else "")
            + ": leave it out; dataset.max_tokens bounds the memory."
        )
    if not cfg.update_freq or min(cfg.update_freq) < 1:
        raise UserError(
            f"optimization.update_freq={cfg.update_freq} is out of range: type the micro-batches "
            "of an update, 1 or more, as optimization.update_freq=[4], or one number an epoch."
        )
    if cfg.seed < 0:
        raise out_of_range("common.seed", cfg.seed, "at least 0")
