"""Fine-tuning on many languages: fairseq's ``audio_finetuning`` with a group per utterance.

What it adds, in the order in which fairseq calls it: the languages of the training split and
their dense group indices, checks of the data, single-language batches of about
``batch_seconds``, a seed per step, the move of q after each update, and per-language validation.
"""

import logging
import random
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.data import data_utils
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks import register_task
from fairseq.tasks.audio_finetuning import AudioFinetuningTask, LabelEncoder, label_len_fn

from fairseq_dro.criterions.group_sums import on_host
from fairseq_dro.data import checks
from fairseq_dro.data.epoch_iterator import GroupedEpochBatchIterator
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest, other_label_files, read_manifest
from fairseq_dro.data.manifest_dataset import (
    ManifestAudioDataset,
    TargetLines,
    add_targets,
    rows_long_enough,
)
from fairseq_dro.data.planner import BatchPlanner, GroupSampling
from fairseq_dro.data.training_plan import TrainingPlan
from fairseq_dro.doctor.start_up import start_up_warnings
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy
from fairseq_dro.models.drawable_masks import require_drawable_masks
from fairseq_dro.models.frozen_parameters import frozen_parameters, held_still
from fairseq_dro.report import provenance
from fairseq_dro.tasks import left_out, workers
from fairseq_dro.tasks.group_log import GroupLog
from fairseq_dro.tasks.options import (
    LanguageGroupedAudioFinetuningConfig,
    ignored_options,
    require_ranges,
)

logger = logging.getLogger(__name__)


@register_task(
    "language_grouped_audio_finetuning", dataclass=LanguageGroupedAudioFinetuningConfig
)
class LanguageGroupedAudioFinetuningTask(AudioFinetuningTask):
    """``groups[g]`` names group g: a language, or a language in one corpus."""

    cfg: LanguageGroupedAudioFinetuningConfig

    def __init__(self, cfg: LanguageGroupedAudioFinetuningConfig):
        super().__init__(cfg)
        require_ranges(cfg)
        self.group_by = GroupBy.parse(cfg.group_by)
        cfg.group_by = str(self.group_by)  # a checkpoint may say it in an old word
        self.state.add_factory("groups", self._groups_of_training)  # saved with the checkpoint
        self.group_state: Optional[GroupDroState] = None
        self.group_log: Optional[GroupLog] = None
        self._training_manifest: Optional[Manifest] = None
        self._share_of: Optional[str] = None  # see TrainingPlan.sampling_share
        self._frames_of: Optional[Callable[[np.ndarray], np.ndarray]] = None
        self._infeasible = np.empty(0, dtype=np.int64)  # items of the training split
        self._planned: Optional[GroupedEpochBatchIterator] = None
        self._too_long = left_out.TooLong()
        self._first_step = True

    @property
    def groups(self) -> Tuple[str, ...]:
        """G names in alphabetical order, so that the index does not depend on the manifest's."""
        return tuple(self.state.groups)

    def _groups_of_training(self) -> Tuple[str, ...]:
        return tuple(sorted(self._groups_of(self._training).names))

    @property
    def group_sizes(self) -> np.ndarray:
        """[G] utterances of each group in the training split."""
        names = self._groups_of(self._training)
        sizes = dict(zip(names.names, np.bincount(names.codes).tolist()))
        return np.array([sizes[group] for group in self.groups])

    @property
    def _training(self) -> Manifest:
        if self._training_manifest is None:
            self._training_manifest = self._read(self.cfg.train_subset)
        return self._training_manifest

    def _read(self, split: str) -> Manifest:
        manifest = read_manifest(self.cfg.data, split, self.cfg.labels)
        checks.check_language_codes(manifest)
        return manifest

    def _groups_of(self, manifest: Manifest) -> Categories:
        return groups_of(manifest, self.group_by)

    def attach_group_state(self, state: GroupDroState, criterion: Any) -> None:
        """Called by the criterion: from here on the state is saved, restored and moved.

        Args:
            criterion: its ``GroupDroCtcConfig``.
        """
        mismatch = checks.post_process_mismatch(
            self.target_dictionary.symbols, str(criterion.post_process)
        )
        if mismatch:
            logger.warning(
                "%s: set criterion.post_process=%s, with a + in front where the configuration "
                "does not name it", *mismatch,
            )
        workers.require_ddp_backend(
            str(self.cfg.ddp_backend), find_unused_parameters=self.cfg.find_unused_parameters
        )
        self.group_state = state
        if criterion.divide_by_sampling_probability or state.rule.q_holds_shares:
            mean = criterion.loss_reduction == "utterance_mean"
            self._share_of = "utterances" if mean else "batches"
        batch_samples = self.cfg.batch_seconds * self.cfg.sample_rate
        self.group_log = GroupLog(
            state,
            objective=str(criterion.objective),
            folder=self.cfg.history_dir,
            tensorboard_logdir=self.cfg.tensorboard_logdir,
            group_by=str(self.cfg.group_by),
            sample_rate=self.cfg.sample_rate,
            start_update=criterion.dro_start_update,
            full_batch_samples=batch_samples if criterion.count_partial_batches else None,
        )

    def build_model(self, model_cfg, from_checkpoint=False):
        model = super().build_model(model_cfg, from_checkpoint)
        encoder = getattr(getattr(model, "w2v_encoder", None), "w2v_model", None)
        if hasattr(encoder, "mask_emb") and not self.cfg.allow_unseen:
            require_drawable_masks(model_cfg, len(encoder.mask_emb))
        if hasattr(encoder, "_get_feat_extract_output_lengths"):
            self._frames_of = lambda n_samples: encoder._get_feat_extract_output_lengths(
                torch.from_numpy(n_samples)
            ).numpy()
        return model

    # --- data ---

    def load_target_dictionary(self):
        """As the parent's.

        Raises:
            UserError: the folder has none for these labels.
        """
        folder, labels = Path(self.cfg.data), self.cfg.labels
        if folder.is_dir() and not (folder / f"dict.{labels}.txt").exists():
            raise UserError(
                f"{folder}/dict.{labels}.txt does not exist: expected one line `unit count` for "
                f"each unit of the .{labels} files, as `fairseq-dro prepare` writes it"
                f"{other_label_files(folder, '*', labels)}."
            )
        return super().load_target_dictionary()

    def load_dataset(self, split: str, task_cfg=None, **kwargs) -> None:
        """Load a split and check it.

        Raises:
            UserError: see ``data.manifest`` and ``data.checks``; each with file and line.
        """
        is_training = split == self.cfg.train_subset and not self.cfg.allow_unseen
        manifest = self._training if is_training else self._read(split)
        groups = np.full(len(manifest), -1, dtype=np.int64)  # decoding needs no groups
        if not self.cfg.allow_unseen:
            names = self._groups_of(manifest)
            checks.check_groups_in_training(manifest, names, self.groups, self.group_by)
            index = {name: group for group, name in enumerate(self.groups)}
            groups = np.array([index[name] for name in names.names], dtype=np.int64)[names.codes]
        try:
            checks.check_labels(
                manifest, self.target_dictionary.symbols, language_token=self.cfg.language_token
            )
        except UserError as error:
            if not self.cfg.allow_unseen:
                raise
            logger.warning("Such units count as errors. %s", error)
        n_headers = self.cfg.audio_checks_per_language
        n_headers = n_headers if n_headers >= 0 else len(manifest)
        chosen = checks.sample_per_language(manifest, n_headers)
        checks.check_audio(manifest, self.cfg.sample_rate, chosen)
        rows = rows_long_enough(manifest, self.cfg.min_sample_size)
        self.datasets[split] = GroupedAudioDataset(
            self._audio_and_targets(manifest, rows, task_cfg or self.cfg),
            manifest, rows, groups[rows],
        )
        left_out.warn_of_short(manifest, rows, self.cfg.min_sample_size)
        if is_training:
            for option, instead in ignored_options(self.cfg.get):
                logger.warning("%s has no effect here: %s", option, instead)
            if self._frames_of is not None:  # a model was built, and it is a wav2vec2
                self._infeasible = left_out.find_infeasible(
                    manifest, rows, self._frames_of,
                    language_token=self.cfg.language_token, skip=self.cfg.skip_infeasible,
                )
            for warning in start_up_warnings(manifest, language_token=self.cfg.language_token):
                logger.warning(warning)
        elif not self.cfg.allow_unseen:
            self._too_long.find(
                self.datasets[split], self.cfg.max_tokens_valid, skip=self.cfg.skip_too_long_valid
            )

    def _audio_and_targets(self, manifest: Manifest, rows: np.ndarray, saved):
        """What ``AudioFinetuningTask.load_dataset`` makes by reading the files again.

        Args:
            saved: the task's configuration, in decoding the one that the model was trained with.
        """
        if saved.get("binarized_dataset", False):
            raise UserError(
                "task.binarized_dataset=true is not supported by this task: leave it out; a "
                "manifest takes no more memory than its files here."
            )
        audio = ManifestAudioDataset(
            manifest, rows,
            sample_rate=saved.get("sample_rate", self.cfg.sample_rate),
            max_sample_size=self.cfg.max_sample_size,
            min_sample_size=self.cfg.min_sample_size,
            pad=True,  # as always with labels
            normalize=saved.normalize,
            num_buckets=self.cfg.num_batch_buckets or int(self.cfg.tpu),
            compute_mask_indices=self.cfg.precompute_mask_indices or self.cfg.tpu,
            **self._get_mask_precompute_kwargs(saved),
        )
        return add_targets(
            audio, TargetLines(manifest, rows, self.cfg.language_token), self.target_dictionary,
            LabelEncoder(self.target_dictionary), label_len_fn,
            add_to_input=saved.get("autoregressive", False),
        )

    def get_batch_iterator(self, dataset, max_tokens=None, max_sentences=None, **options):
        """Planned batches for the training split, fairseq's own for every other.

        In decoding (``allow_unseen``) no split is planned: each utterance comes once.
        """
        split = next((name for name, loaded in self.datasets.items() if loaded is dataset), "")
        if split == self.cfg.train_subset and not self.cfg.allow_unseen:
            return self._planned_iterator(dataset, max_tokens, max_sentences, **options)
        if self.group_log is not None:
            self.group_log.validation.begin(split)
        if self._too_long.find(dataset, max_tokens, skip=options.get("ignore_invalid_inputs")):
            options["max_positions"] = (max_tokens, sys.maxsize)
        return super().get_batch_iterator(
            dataset, max_tokens=max_tokens, max_sentences=max_sentences, **options
        )

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
            # a checkpoint without a position is one of epoch 0 (checkpoint_utils.py:618)
            micro_batches=[self._micro_batches(e) for e in range(1, max(epoch, 1) + 1)],
        )
        plan.require_every_group(self.groups)
        logger.info("epoch %d: %s", epoch, plan.describe(self.cfg.sample_rate))
        if self._planned is None:
            for warning in plan.warnings(self.groups, self.cfg.batch_seconds):
                logger.warning(warning)
        if self._share_of is not None:
            self.group_state.sampling_share = plan.sampling_share(self._share_of, len(self.groups))
        dataset.set_epoch(epoch)
        if self._planned is not None and self._planned.dataset is dataset:
            self._planned.replan(plan.batches, plan.multiple_of)
        else:
            self._planned = GroupedEpochBatchIterator(
                dataset, plan.batches, multiple_of=plan.multiple_of, group_state=self.group_state,
                units=self.target_dictionary.symbols, seed=seed, num_shards=num_shards,
                shard_id=shard_id, num_workers=num_workers, epoch=epoch,
                buffer_size=data_buffer_size, planner=planner,
                accept_changed_data=self.cfg.accept_changed_data,
            )
        return self._planned

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
        restores (``fairseq_cli/train.py:67``); dropout draws from torch's; Python's own, which an
        augmentation may use, it never seeds. Seeded this way the step is the same after a resume,
        and on whichever worker it runs.
        """
        if self._first_step:
            self._first_step = False
            self._begin(update_num)
        if self.group_log is not None:
            self.group_log.update = update_num + 1
        keys = (self.cfg.seed, update_num, sample["seed_id"])
        random.seed(repr(keys))
        utils.set_torch_seed(int(np.random.SeedSequence(keys).generate_state(1)[0]))
        with data_utils.numpy_seed(*keys), workers.stopping_when_out_of_memory(
            update_num + 1, lambda: self._describe(sample)
        ):
            return super().train_step(
                sample, model, criterion, optimizer, update_num, ignore_grad
            )

    def _begin(self, update_num: int) -> None:
        """Once per process, before its first step."""
        if distributed_utils.get_global_rank() == 0:
            provenance.record_start(self.cfg.history_dir, self.cfg.data, update_num)
        if self.group_state is not None and update_num > 0 and not self.group_state.restored:
            logger.warning(
                "TRAINING GOES ON AT UPDATE %d, BUT THE GROUP WEIGHTS q START AFRESH, UNIFORM "
                "OVER %d GROUPS (checkpoint.reset_dataloader or a checkpoint without them)",
                update_num, len(self.groups),
            )

    def _describe(self, sample) -> str:
        manifest, rows = self._training, self.dataset(self.cfg.train_subset).rows
        first = manifest.where(int(rows[sample["seed_id"]]))
        longest = sample["net_input"]["source"].size(1) / self.cfg.sample_rate
        return f"{len(sample['id'])} utterances of up to {longest:.1f} s, the first {first}"

    def optimizer_step(self, optimizer, model, update_num):
        """The step, in which frozen weights stay what they are."""
        with held_still(optimizer, frozen_parameters(model)):
            super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Once per successful update (``trainer.py:951``) and once per validation batch."""
        logging_outputs = on_host(logging_outputs)
        super().reduce_metrics(logging_outputs, criterion)
        if self.group_log is not None:
            self.group_log.reduce(logging_outputs, training=criterion.training)

    def begin_valid_epoch(self, epoch, model):
        """Called by ``fairseq_cli/train.py:452`` before each validation."""
        if self.group_state is not None:
            workers.require_equal_on_all_workers(self.group_state.checksum())

    def post_validate(self, model, stats: Dict[str, Any], agg) -> None:
        """Called by ``fairseq_cli/train.py:512`` after each validation split."""
        if self.group_log is not None:
            self.group_log.validation.end(stats, self.group_log.epoch)
