"""What a fairseq task needs for group DRO, apart from what its data and its loss are.

In the order in which fairseq calls it: the criterion brings its engine, the planner makes batches
of one group each, each step is seeded, q moves after each successful update, validation is summed
by group.
"""

from __future__ import annotations

import logging
import random
import sys
from typing import Any

import numpy as np
from fairseq import utils
from fairseq.data import data_utils
from fairseq.distributed import utils as distributed_utils

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.dro.engine import GroupDroEngine, ShareOf
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.dro.sums import on_host
from fairseq_dro.errors import UserError
from fairseq_dro.models.family import family_of
from fairseq_dro.runs import provenance
from fairseq_dro.training import left_out, workers
from fairseq_dro.training.epoch_iterator import GroupedEpochBatchIterator
from fairseq_dro.training.held_still import held_still
from fairseq_dro.training.terminal import LOG_ONLY
from fairseq_dro.training.training_plan import TrainingPlan, trainable_items
from fairseq_dro.training.update_log import UpdateLog

logger = logging.getLogger(__name__)


class GroupedTask:
    """A mixin in front of a fairseq task.

    The task has ``cfg``, ``datasets`` of `GroupedAudioDataset`, ``target_dictionary``, ``groups``
    (G names) and ``group_sizes``.

    Attributes:
        engine: the criterion's; None before there is one, and with a criterion of stock fairseq.
        infeasible: items of the training split that no plan may hold.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.engine: GroupDroEngine | None = None
        self.update_log: UpdateLog | None = None
        self.infeasible = np.empty(0, dtype=np.int64)
        self._planned: GroupedEpochBatchIterator | None = None
        self._too_long = left_out.TooLong()
        self._first_step = True

    def attach(self, engine: GroupDroEngine) -> None:
        """Called by the criterion: from here on the state of q is saved, restored and moved."""
        workers.require_ddp_backend(
            str(self.cfg.ddp_backend), use_bmuf=self.cfg.use_bmuf,
            find_unused_parameters=self.cfg.find_unused_parameters,
        )  # fmt: skip
        self.engine = engine
        self.update_log = UpdateLog(
            engine,
            folder=self.cfg.history_dir,
            tensorboard_logdir=self.cfg.tensorboard_logdir,
        )

    @property
    def group_state(self) -> GroupDroState | None:
        """The engine's."""
        return self.engine.state if self.engine is not None else None

    # --- batches ---

    def get_batch_iterator(self, dataset, max_tokens=None, max_sentences=None, **options):
        """Planned batches for the training split, fairseq's own for every other.

        In decoding (``allow_unseen``) no split is planned: each utterance comes once.
        """
        split = next((name for name, loaded in self.datasets.items() if loaded is dataset), "")
        if split == self.cfg.train_subset and not self.cfg.allow_unseen:
            return self._planned_iterator(dataset, max_tokens, max_sentences, **options)
        if self.update_log is not None:
            self.update_log.validation.begin(split)
        bound = "dataset.max_tokens" if self.cfg.allow_unseen else "dataset.max_tokens_valid"
        skip = bool(options.get("ignore_invalid_inputs"))
        if self._too_long.find(dataset, max_tokens, bound, skip=skip):
            options["max_positions"] = (max_tokens, sys.maxsize)
        return super().get_batch_iterator(
            dataset, max_tokens=max_tokens, max_sentences=max_sentences, **options
        )

    def _planned_iterator(
        self,
        dataset: GroupedAudioDataset,
        max_tokens: int | None,
        max_sentences: int | None,
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
            epoch_updates=self.cfg.epoch_updates,
            seed=self.cfg.seed,  # not of dataset.update_ordered_indices_seed: rounds go on
        )
        if planner.sampling is GroupSampling.Q and self.engine is None:
            raise UserError(
                "task.group_sampling=q needs a criterion with group weights q: set "
                "criterion._name=group_dro_ctc, or another task.group_sampling."
            )

        def plan(share: np.ndarray | None) -> TrainingPlan:
            """Of this epoch, with batches drawn by ``share`` [G]."""
            planned = TrainingPlan.of_epoch(
                dataset, planner, self.infeasible, epoch=epoch, workers=num_shards,
                # a checkpoint without a position is one of epoch 0 (checkpoint_utils.py:618)
                micro_batches=[self._micro_batches(e) for e in range(1, max(epoch, 1) + 1)],
                share=share,
            )
            planned.require_every_group(self.groups)
            if self.engine is not None and self.engine.divides:
                self.group_state.sampling_share = planned.sampling_share(
                    self.engine.share_of.value, len(self.groups)
                )
            if share is not None:
                self.group_state.planned_share = share
            text = planned.describe(self.cfg.sample_rate)
            logger.info("epoch %d: %s", epoch, text, extra=LOG_ONLY)
            return planned

        if self.engine is not None and self._planned is None:
            items = trainable_items(dataset, planner, self.infeasible)
            of_utterances = self.engine.share_of is ShareOf.UTTERANCES
            amounts = None if of_utterances else np.asarray(dataset.sizes)[items]
            groups = dataset.groups[items]
            self.group_state.take_shares(np.bincount(groups, amounts, len(self.groups)))
        draws_by_q = planner.sampling is GroupSampling.Q
        planned = plan(self.group_state.q if draws_by_q else None)
        if self._planned is None:
            for warning in planned.warnings(self.groups, self.cfg.batch_seconds):
                logger.warning(warning)
        dataset.set_epoch(epoch)
        plan_by = plan if draws_by_q else None
        if self._planned is not None and self._planned.dataset is dataset:
            self._planned.replan(planned.batches, planned.multiple_of, plan_by)
        else:
            self._planned = GroupedEpochBatchIterator(
                dataset, planned.batches, multiple_of=planned.multiple_of,
                group_state=self.group_state, units=self.target_dictionary.symbols, seed=seed,
                num_shards=num_shards, shard_id=shard_id, num_workers=num_workers, epoch=epoch,
                buffer_size=data_buffer_size, planner=planner, plan_by=plan_by,
                accept_changed_data=self.cfg.accept_changed_data,
            )
        return self._planned

    def _micro_batches(self, epoch: int) -> int:
        """``optimization.update_freq`` of this epoch, as fairseq_cli/train.py:253 picks it."""
        update_freq = self.cfg.update_freq
        return int(update_freq[min(epoch, len(update_freq)) - 1])

    # --- steps ---

    def begin_epoch(self, epoch, model):
        """Called by ``trainer.py:757``."""
        if self.update_log is not None:
            self.update_log.epoch = epoch

    def resume_at(self, update: int, epoch: int) -> None:
        """Called where a validation that was due at ``update`` is made before the next step."""
        if self.update_log is not None:
            self.update_log.update, self.update_log.epoch = update, epoch

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
        if self.update_log is not None:
            self.update_log.update = update_num + 1
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
                "TRAINING RESUMES AT UPDATE %d, BUT THE GROUP WEIGHTS q START AGAIN, UNIFORM "
                "OVER %d GROUPS (checkpoint.reset_dataloader or a checkpoint without them)",
                update_num, len(self.groups),
            )

    def _describe(self, sample) -> str:
        dataset = self.dataset(self.cfg.train_subset)
        first = dataset.manifest.where(int(dataset.rows[sample["seed_id"]]))
        longest = int(sample["n_samples"].max()) / self.cfg.sample_rate
        return f"{len(sample['id'])} utterances of up to {longest:.1f} s, the first {first}"

    def optimizer_step(self, optimizer, model, update_num):
        """The step, in which frozen weights stay what they are."""
        family = family_of(model)
        with held_still(optimizer, family.frozen_parameters() if family is not None else []):
            super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Once per successful update (``trainer.py:951``) and once per validation batch."""
        logging_outputs = on_host(logging_outputs)
        super().reduce_metrics(logging_outputs, criterion)
        if self.update_log is None:
            return
        if criterion.training:
            ends_epoch = self._planned is not None and self._planned.has_given_all
            self.update_log.observe(logging_outputs, ends_epoch=ends_epoch)
        else:
            self.update_log.validation.add(logging_outputs)

    def begin_valid_epoch(self, epoch, model):
        """Called by ``fairseq_cli/train.py:452`` before each validation."""
        if self.group_state is not None:
            workers.require_equal_on_all_workers(self.group_state.checksum())

    def post_validate(self, model, stats: dict[str, Any], agg) -> None:
        """Called by ``fairseq_cli/train.py:512`` after each validation split."""
        if self.update_log is not None:
            self.update_log.validation.end(
                stats, self.update_log.epoch, getattr(model, "layer_weights", None)
            )
