"""fairseq's ``InferenceProcessor``, collecting what it decodes instead of writing it at once."""

from __future__ import annotations

import ast
import logging
from typing import Any

import numpy as np
import torch.distributed as dist
from fairseq import checkpoint_utils
from fairseq.data.data_utils import post_process
from fairseq.logging import progress_bar
from omegaconf import DictConfig

from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.decoding.decoded import Decoded
from fairseq_dro.decoding.greedy import GreedyDecoder
from fairseq_dro.decoding.options import checkpoint_paths
from fairseq_dro.decoding.stock_infer import InferenceProcessor
from fairseq_dro.errors import UserError
from fairseq_dro.scoring.utterances import score_utterance

logger = logging.getLogger(__name__)


class CollectingProcessor(InferenceProcessor):
    """Decodes a split and keeps every utterance with its manifest line, id and language.

    Args:
        cfg: completed by ``options.complete``.
        state: the checkpoint where it was read already; it is not kept.
    """

    def __init__(self, cfg: DictConfig, state: dict[str, Any] | None = None) -> None:
        self._state = state
        self.decoded: list[Decoded] = []
        super().__init__(cfg)
        if str(cfg.decoding.type) == "viterbi":
            self.generator = GreedyDecoder(self.tgt_dict)

    def __enter__(self) -> CollectingProcessor:
        return self

    def __exit__(self, *exc: object) -> bool:
        return False

    def __iter__(self):
        for sample in super().__iter__():
            if self.cfg.common.fp16:  # infer.py:154 halves the model, but not its input
                net_input = sample["net_input"]
                net_input["source"] = net_input["source"].half()
            yield sample

    def load_model_ensemble(self):
        """As infer.py:178, from a checkpoint that may have been read already.

        Raises:
            UserError: the model's output layer and the dictionary differ in size.
        """
        state, self._state = self._state, None
        paths = checkpoint_paths(self.cfg)
        try:
            models, saved_cfg = checkpoint_utils.load_model_ensemble(
                paths,
                arg_overrides=ast.literal_eval(self.cfg.common_eval.model_overrides),
                task=self.task,
                suffix=self.cfg.checkpoint.checkpoint_suffix,
                strict=self.cfg.checkpoint.checkpoint_shard_count == 1,
                num_shards=self.cfg.checkpoint.checkpoint_shard_count,
                state=state if len(paths) == 1 else None,
            )
        except RuntimeError as error:
            if "size mismatch" not in str(error) or ".proj." not in str(error):
                raise
            dictionary = f"{self.cfg.task.data}/dict.{self.cfg.task.labels}.txt"
            raise UserError(
                f"the output layer of {paths[0]} has another size than the "
                f"{len(self.task.target_dictionary)} units of {dictionary} (with fairseq's four "
                "own): decode with the dictionary it was trained with."
            ) from None
        for model in models:
            self.optimize_model(model)
        return models, saved_cfg

    def build_progress_bar(self, **_unused: Any) -> progress_bar.BaseProgressBar:
        """The last step of the parent's ``__init__``: from here on the split is loaded."""
        self._name_utterances()
        log_format = self.cfg.common.log_format if self.data_parallel_rank == 0 else "none"
        return progress_bar.progress_bar(
            iterator=self.get_dataset_itr(),
            log_format=log_format,
            log_interval=self.cfg.common.log_interval,
            prefix=f"decoding {self.cfg.dataset.gen_subset}",
            default_log_format="none" if self.cfg.common.no_progress_bar else "tqdm",
        )

    def _name_utterances(self) -> None:
        """Know line, id and language of each item, also under fairseq's own tasks."""
        split = self.cfg.dataset.gen_subset
        dataset = self.task.dataset(split)
        if not isinstance(dataset, GroupedAudioDataset):
            manifest = read_manifest(
                self.cfg.task.data, split, self.cfg.task.labels, languages_required=False
            )
            skipped = getattr(dataset.dataset, "skipped_indices", set())
            rows = np.array([i for i in range(len(manifest)) if i not in skipped], dtype=np.int64)
            dataset = GroupedAudioDataset(dataset, manifest, rows, np.full(len(rows), -1))
            self.task.datasets[split] = dataset
        self.dataset = dataset
        if not dataset.manifest.languages:
            logger.warning(
                "%s/%s.lang does not exist: all utterances are scored together.",
                dataset.manifest.folder, split,
            )

    def process_sentence(
        self, sample: dict[str, Any], hypo: dict[str, Any], sid: int, batch_id: int
    ) -> tuple[int, int]:
        """Score one utterance of a batch and keep it.

        The reference is the line of the label file, not its way through the dictionary, in which
        a character the model cannot write would become ``<unk>``.

        Returns:
            Word errors and reference words.
        """
        manifest, row = self.dataset.manifest, int(self.dataset.rows[sid])
        hypothesis_units = self.tgt_dict.string(hypo["tokens"].int().cpu())
        reference_units = " ".join(self.dataset.dataset.get_label(sid).split())
        if "words" in hypo:  # decoders with a lexicon
            hypothesis = " ".join(hypo["words"])
        else:
            hypothesis = post_process(hypothesis_units, self.cfg.common_eval.post_process)
        scored = score_utterance(
            post_process(reference_units, self.cfg.common_eval.post_process),
            hypothesis,
            id=manifest.utterance_ids[row],
            language=manifest.languages[row] if manifest.languages else None,
            seconds=float(manifest.n_samples[row]) / self.task.cfg.sample_rate,
        )
        self.decoded.append(Decoded(row, reference_units, hypothesis_units, scored))
        if not self.cfg.common_eval.quiet:
            logger.info("HYPO: %s", scored.hypothesis)
            logger.info("REF: %s", scored.reference)
        return scored.words.errors, scored.words.reference_length

    def gather(self) -> list[Decoded]:
        """The whole split in manifest order on the first worker, an empty list on the others.

        Through the CPU (gloo), so that it works with and without CUDA; stock infer merges its
        counts with CUDA only (infer.py:407).
        """
        decoded = self.decoded
        if self.data_parallel_world_size > 1:
            group = dist.new_group(backend="gloo")
            parts = [None] * self.data_parallel_world_size if self.data_parallel_rank == 0 else None
            dist.gather_object(decoded, parts, dst=0, group=group)
            if parts is None:
                return []
            decoded = [one for part in parts for one in part]
        by_row = {one.row: one for one in decoded}
        names = self.dataset.manifest.utterance_ids
        missing = [name for row, name in enumerate(names) if row not in by_row]
        if missing:
            logger.warning(
                "%d of %d utterances were not decoded, for task.min_sample_size, "
                "dataset.max_tokens or the like forbids them: %s%s",
                len(missing), len(names), ", ".join(missing[:10]),
                ", ..." if len(missing) > 10 else "",
            )
        return [by_row[row] for row in sorted(by_row)]
