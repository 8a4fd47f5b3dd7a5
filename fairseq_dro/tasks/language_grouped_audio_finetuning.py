"""Fine-tuning on many languages: fairseq's ``audio_finetuning`` with a group per utterance.

What it adds, in the order in which fairseq calls it: the languages of the training split and
their dense group indices, checks of the data, single-language batches of about
``batch_seconds``, a seed per step, the move of q after each update, and per-language validation.
"""

import logging
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.data import data_utils
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task
from fairseq.tasks.audio_finetuning import AudioFinetuningConfig, AudioFinetuningTask
from omegaconf import II

from fairseq_dro.data import checks
from fairseq_dro.data.epoch_iterator import GroupedEpochBatchIterator
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import Manifest, read_manifest
from fairseq_dro.data.planner import BatchPlanner, GroupSampling
from fairseq_dro.data.training_plan import TrainingPlan
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError
from fairseq_dro.tasks.group_log import GroupLog

logger = logging.getLogger(__name__)


@dataclass
class LanguageGroupedAudioFinetuningConfig(AudioFinetuningConfig):
    labels: Optional[str] = field(
        default="ltr", metadata={"help": "suffix of the label files: {split}.{labels}"}
    )
    batch_seconds: float = field(
        default=50.0,
        metadata={
            "help": "aimed seconds of audio in a batch (d; the paper uses 46 to 55), > 0; "
            "dataset.max_tokens stays the bound on memory"
        },
    )
    group_sampling: ChoiceEnum([sampling.value for sampling in GroupSampling]) = field(
        default="proportional",
        metadata={
            "help": "proportional: each utterance once an epoch; uniform: rounds of one batch a "
            "language; temperature: by seconds ** (1 / sampling_temperature)"
        },
    )
    sampling_temperature: float = field(
        default=2.0,
        metadata={"help": "of group_sampling=temperature, >= 1; 1 draws in proportion to seconds"},
    )
    length_noise: float = field(
        default=0.05,
        metadata={
            "help": "relative noise on lengths before batches are cut, 0 to 1: 0 gives the same "
            "batches in every epoch"
        },
    )
    language_token: bool = field(
        default=False,
        metadata={"help": "put the one symbol [iso] before each target (ML-SUPERB, the paper)"},
    )
    allow_unseen: bool = field(
        default=False,
        metadata={
            "help": "accept languages and characters that training does not know; for decoding, "
            "where the infer command sets it"
        },
    )
    skip_infeasible: bool = field(
        default=False,
        metadata={
            "help": "leave out training utterances whose target is longer than CTC can align to "
            "their frames, instead of stopping"
        },
    )
    audio_checks_per_language: int = field(
        default=20,
        metadata={"help": "audio headers to check at the start, per language; -1: all, 0: none"},
    )
    history_dir: str = field(
        default=".",
        metadata={
            "help": "where history.jsonl and group_weights.jsonl go; .: the current folder, which "
            "is the run folder under hydra"
        },
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    update_freq: Any = II("optimization.update_freq")
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")


@register_task(
    "language_grouped_audio_finetuning", dataclass=LanguageGroupedAudioFinetuningConfig
)
class LanguageGroupedAudioFinetuningTask(AudioFinetuningTask):
    """Languages are the groups; ``languages[g]`` is the ISO 639-3 code of group g."""

    cfg: LanguageGroupedAudioFinetuningConfig

    def __init__(self, cfg: LanguageGroupedAudioFinetuningConfig):
        super().__init__(cfg)
        _require_ranges(cfg)
        self.state.add_factory("languages", self._languages_of_training)
        self.group_state: Optional[GroupDroState] = None
        self.group_log: Optional[GroupLog] = None
        self._frames_of: Optional[Callable[[np.ndarray], np.ndarray]] = None
        self._infeasible: Optional[np.ndarray] = None  # items of the training split
        self._planned: Optional[GroupedEpochBatchIterator] = None
        self._first_step = True

    @property
    def languages(self) -> Tuple[str, ...]:
        """G codes in alphabetical order, so that the index does not depend on the manifest's."""
        return tuple(self.state.languages)

    def _languages_of_training(self) -> Tuple[str, ...]:
        manifest = read_manifest(self.cfg.data, self.cfg.train_subset, self.cfg.labels)
        checks.check_language_codes(manifest)
        return tuple(sorted(set(manifest.languages)))

    def attach_group_state(self, state: GroupDroState, objective: str) -> None:
        """Called by the criterion: from here on the state is saved, restored and moved."""
        self.group_state = state
        self.group_log = GroupLog(
            state,
            objective=objective,
            folder=self.cfg.history_dir,
            tensorboard_logdir=self.cfg.tensorboard_logdir,
        )

    def build_model(self, model_cfg, from_checkpoint=False):
        model = super().build_model(model_cfg, from_checkpoint)
        encoder = getattr(getattr(model, "w2v_encoder", None), "w2v_model", None)
        if hasattr(encoder, "_get_feat_extract_output_lengths"):
            self._frames_of = lambda n_samples: encoder._get_feat_extract_output_lengths(
                torch.from_numpy(n_samples)
            ).numpy()
        return model

    # --- data ---

    def load_dataset(self, split: str, task_cfg=None, **kwargs) -> None:
        """Load a split and check it.

        Raises:
            UserError: see ``data.manifest`` and ``data.checks``; each with file and line.
        """
        manifest = read_manifest(self.cfg.data, split, self.cfg.labels)
        checks.check_language_codes(manifest)
        if not self.cfg.allow_unseen:
            checks.check_languages_in_training(manifest, self.languages)
        labels = manifest.labels
        if self.cfg.language_token:
            labels = [f"[{iso}] {label}" for iso, label in zip(manifest.languages, labels)]
        try:
            checks.check_labels(manifest, self.target_dictionary.symbols, labels)
        except UserError as error:
            if not self.cfg.allow_unseen:
                raise
            logger.warning("Such units count as errors. %s", error)
        n_headers = self.cfg.audio_checks_per_language
        n_headers = n_headers if n_headers >= 0 else len(manifest)
        chosen = checks.sample_per_language(manifest, n_headers)
        checks.check_audio(manifest, self.cfg.sample_rate, chosen)
        super().load_dataset(split, task_cfg, **kwargs)
        inner = self.datasets[split]
        skipped = getattr(inner.dataset, "skipped_indices", set())
        rows = np.array([i for i in range(len(manifest)) if i not in skipped], dtype=np.int64)
        inner.labels = [inner.text_compressor.compress(labels[row]) for row in rows]
        index = {language: group for group, language in enumerate(self.languages)}
        groups = np.array([index.get(manifest.languages[row], -1) for row in rows], dtype=np.int64)
        self.datasets[split] = GroupedAudioDataset(inner, manifest, rows, groups)
        if split == self.cfg.train_subset and not self.cfg.allow_unseen:
            self._infeasible = self._find_infeasible(manifest, rows, labels)

    def _find_infeasible(self, manifest: Manifest, rows: np.ndarray, labels) -> np.ndarray:
        if self._frames_of is None:  # no model was built, or not a wav2vec2
            return np.empty(0, dtype=np.int64)
        bad = checks.infeasible_targets(
            [labels[row] for row in rows], manifest.n_samples[rows], self._frames_of
        )
        if len(bad) and not self.cfg.skip_infeasible:
            row = int(rows[bad[0]])
            frames = int(self._frames_of(manifest.n_samples[row : row + 1])[0])
            raise UserError(
                f"{manifest.where(row, manifest.label_type)}: the target of "
                f"{len(labels[row].split())} units is longer than its {frames} frames allow CTC to "
                f"align ({len(bad)} such utterances): remove them from all files of the split, or "
                "leave them out with task.skip_infeasible=true."
            )
        if len(bad):
            names = ", ".join(manifest.utterance_ids[rows[i]] for i in bad[:10])
            logger.warning(
                "%d training utterances are left out, their targets are longer than their frames "
                "allow: %s%s", len(bad), names, ", ..." if len(bad) > 10 else "",
            )
        return bad

    def get_batch_iterator(self, dataset, max_tokens=None, max_sentences=None, **options):
        """Planned batches for the training split, fairseq's own for every other.

        In decoding (``allow_unseen``) no split is planned: each utterance comes once.
        """
        split = next((name for name, loaded in self.datasets.items() if loaded is dataset), "")
        if split == self.cfg.train_subset and not self.cfg.allow_unseen:
            return self._planned_iterator(dataset, max_tokens, max_sentences, **options)
        if self.group_log is not None:
            self.group_log.begin_validation(split)
        too_long = np.flatnonzero(np.asarray(dataset.sizes) > (max_tokens or sys.maxsize))
        if len(too_long):  # fairseq would stop at the first validation (data_utils_fast.pyx)
            self._leave_out_too_long(dataset, too_long, max_tokens, options)
        return super().get_batch_iterator(
            dataset, max_tokens=max_tokens, max_sentences=max_sentences, **options
        )

    def _leave_out_too_long(self, dataset, too_long, max_tokens, options: Dict[str, Any]) -> None:
        names = [dataset.manifest.where(int(dataset.rows[i])) for i in too_long[:10]]
        if not options.get("ignore_invalid_inputs"):
            raise UserError(
                f"{names[0]} is longer than dataset.max_tokens={max_tokens} samples "
                f"({len(too_long)} such utterances): raise it (dataset.max_tokens_valid for "
                "validation), or leave them out with "
                "dataset.skip_invalid_size_inputs_valid_test=true."
            )
        logger.warning(
            "%d utterances are longer than %d samples (dataset.max_tokens) and are left out: %s",
            len(too_long), max_tokens, ", ".join(names),
        )
        options["max_positions"] = (max_tokens, sys.maxsize)

    def _planned_iterator(
        self,
        dataset: GroupedAudioDataset,
        max_tokens: Optional[int],
        max_sentences: Optional[int],
        *,
        seed: int = 1,
        epoch: int = 1,
        num_shards: int = 1,
        shard_id: int = 0,
        num_workers: int = 0,
        data_buffer_size: int = 0,
        skip_remainder_batch: bool = False,
        **_unused: Any,  # fairseq's options about its own batching and sharing of iterators
    ) -> GroupedEpochBatchIterator:
        if skip_remainder_batch:
            raise UserError(
                "optimization.skip_remainder_batch=true would drop utterances in every epoch: "
                "leave it false, the planner makes no small remainder."
            )
        planner = BatchPlanner(
            batch_samples=self.cfg.batch_seconds * self.cfg.sample_rate,
            max_padded_samples=max_tokens,
            max_utterances=max_sentences,
            sampling=GroupSampling(str(self.cfg.group_sampling)),
            temperature=self.cfg.sampling_temperature,
            length_noise=self.cfg.length_noise,
            seed=seed,
        )
        plan = TrainingPlan.of_epoch(
            dataset, planner, self._infeasible, epoch=epoch, workers=num_shards,
            micro_batches=self._micro_batches(epoch),
        )
        plan.require_every_language(self.languages)
        logger.info("epoch %d: %s", epoch, plan.describe(self.cfg.sample_rate))
        if self._planned is None:
            self._warn_of(plan)
        dataset.set_epoch(epoch)
        if self._planned is not None and self._planned.dataset is dataset:
            self._planned.replan(plan.batches, plan.multiple_of)
        else:
            self._planned = GroupedEpochBatchIterator(
                dataset, plan.batches, multiple_of=plan.multiple_of, group_state=self.group_state,
                units=self.target_dictionary.symbols, seed=seed, num_shards=num_shards,
                shard_id=shard_id, num_workers=num_workers, epoch=epoch,
                buffer_size=data_buffer_size,
            )
        return self._planned

    def _warn_of(self, plan: TrainingPlan) -> None:
        names = plan.names_of_too_long()
        if names:
            logger.warning(
                "%d utterances are longer than dataset.max_tokens=%d samples and are left out: "
                "%s%s", len(names), plan.planner.max_padded_samples, ", ".join(names[:10]),
                ", ..." if len(names) > 10 else "",
            )
        uneven = plan.uneven_fills(self.languages)
        if uneven:
            seconds = self.cfg.batch_seconds
            logger.warning(
                "batches of %d languages hold much less or more audio than task.batch_seconds=%g, "
                "so their summed losses, and with ctc_dro their q, do not compare with those of "
                "the others: %s", len(uneven), seconds,
                ", ".join(f"{iso} {seconds * fill:.0f} s" for iso, fill in uneven.items()),
            )

    def _micro_batches(self, epoch: int) -> int:
        """``optimization.update_freq`` of this epoch, as fairseq_cli/train.py:253 picks it."""
        update_freq = self.cfg.update_freq
        return int(update_freq[min(epoch, len(update_freq)) - 1])

    # --- steps ---

    def begin_epoch(self, epoch, model):
        if self.group_log is not None:
            self.group_log.epoch = epoch

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """One micro-batch, seeded by (seed, update, first utterance).

        Masks and layerdrop draw from numpy's global generator, which fairseq seeds once and never
        restores (``fairseq_cli/train.py:67``); dropout draws from torch's. Seeded this way the
        step is the same after a resume, and on whichever worker it runs.
        """
        if self._first_step and self.group_state is not None:
            self._first_step = False
            if update_num > 0 and not self.group_state.restored:
                logger.warning(
                    "TRAINING GOES ON AT UPDATE %d, BUT THE GROUP WEIGHTS q START AFRESH, UNIFORM "
                    "OVER %d LANGUAGES (checkpoint.reset_dataloader or a checkpoint without them)",
                    update_num, len(self.languages),
                )
        if self.group_log is not None:
            self.group_log.update = update_num + 1
        keys = (self.cfg.seed, update_num, sample["seed_id"])
        utils.set_torch_seed(int(np.random.SeedSequence(keys).generate_state(1)[0]))
        with data_utils.numpy_seed(*keys):
            return super().train_step(
                sample, model, criterion, optimizer, update_num, ignore_grad
            )

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Once per successful update (``trainer.py:951``) and once per validation batch."""
        super().reduce_metrics(logging_outputs, criterion)
        if self.group_log is not None:
            self.group_log.reduce(logging_outputs, training=criterion.training)

    def post_validate(self, model, stats: Dict[str, Any], agg) -> None:
        """Called by ``fairseq_cli/train.py:512`` after each validation split."""
        if self.group_log is not None:
            self.group_log.end_validation(stats)


def _require_ranges(cfg: LanguageGroupedAudioFinetuningConfig) -> None:
    for name, is_right, expected in (
        ("batch_seconds", cfg.batch_seconds > 0, "above 0"),
        ("sampling_temperature", cfg.sampling_temperature >= 1, "at least 1"),
        ("length_noise", 0 <= cfg.length_noise < 1, "at least 0 and below 1"),
    ):
        if not is_right:
            raise UserError(
                f"task.{name}={getattr(cfg, name)} is out of range: it must be {expected}."
            )
