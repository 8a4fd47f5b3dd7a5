"""fairseq's ``InferenceProcessor``, collecting what it decodes instead of writing it at once."""

from __future__ import annotations

import ast
import logging
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from fairseq import checkpoint_utils, utils
from fairseq.data.data_utils import post_process
from omegaconf import DictConfig

from fairseq_dro.checks.dictionary import joined_wrongly
from fairseq_dro.data.columns import further_columns
from fairseq_dro.data.grouped_dataset import GroupedAudioDataset
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.decoding.decoded import Decoded
from fairseq_dro.decoding.greedy import GreedyDecoder
from fairseq_dro.decoding.infer_options import checkpoint_paths
from fairseq_dro.decoding.out_of_memory import is_out_of_memory
from fairseq_dro.decoding.stock_infer import InferenceProcessor
from fairseq_dro.decoding.text_generator import TextGenerator
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.models.family import family_of, least_samples
from fairseq_dro.progress import with_progress
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
        self.by = GroupBy.parse(cfg.task.get("group_by", BY_LANGUAGE))
        self._too_large = math.inf
        self._least_samples = 1
        self._without_frame: list[int] = []  # items
        super().__init__(cfg)
        families = filter(None, map(family_of, self.models))
        self._least_samples = max((least_samples(one.frames_of) for one in families), default=1)
        option = "common_eval.post_process"
        for finding in joined_wrongly(
            self.tgt_dict.symbols, str(cfg.common_eval.post_process), option
        ):
            logger.warning("%s: %s", finding.what, finding.fix)
        if hasattr(self.task, "recognise"):
            self.generator = TextGenerator(self.task, int(cfg.decoding.beam))
        elif str(cfg.decoding.type) == "viterbi":
            self.generator = GreedyDecoder(self.tgt_dict)

    def __enter__(self) -> CollectingProcessor:
        return self

    def __exit__(self, *exc: object) -> bool:
        return False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches as the loader makes them, on the CPU: ``process_sample`` moves them."""
        for sample in self.progress_bar:
            if "net_input" in sample:  # infer.py:145: not so in an empty last batch
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

    def build_progress_bar(self, **_unused: Any) -> Iterable[dict[str, Any]]:
        """The last step of the parent's ``__init__``: from here on the split is loaded."""
        self._name_utterances()
        batches = self.get_dataset_itr()
        if self.data_parallel_rank != 0 or self.cfg.common.no_progress_bar:
            return batches
        doing = f"decoding {self.cfg.dataset.gen_subset}"
        return with_progress(batches, len(batches), "batches", doing)

    def log(self, *_unused: Any) -> None:
        """Nothing: infer.py:277 tells its bar the speed; ``with_progress`` says how far it is."""

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
            unknown = np.full(len(rows), -1)
            dataset = GroupedAudioDataset(dataset, manifest, rows, unknown, unknown)
            self.task.datasets[split] = dataset
        self.dataset = dataset
        self.columns = further_columns(dataset.manifest)
        known = {"language": dataset.manifest.languages, "speaker": dataset.manifest.speakers,
                 "corpus": dataset.manifest.corpora, **self.columns}  # fmt: skip
        for place, column in enumerate(self.by.columns):
            if not known.get(column):
                logger.warning(
                    "%s/%s.%s does not exist: %s.", dataset.manifest.folder, split,
                    suffix_of(column), f"groups are by {'+'.join(self.by.columns[:place])} alone"
                    if place else "all utterances are scored together",
                )
                break

    def process_sample(self, sample: dict[str, Any]) -> None:
        """Decode a batch; where memory does not hold it, its halves, and theirs.

        What is too short for a frame of the model has the empty hypothesis.

        After a failure, batches of that size (utterances x longest, in samples) are split before
        they are tried.

        Raises:
            UserError: a single utterance does not fit.
        """
        items = sample["id"].tolist()
        short = [item for item in items if self.dataset.sizes[item] < self._least_samples]
        if short:
            for item in short:
                self.process_sentence({}, {"tokens": torch.empty(0)}, item, 0)
            self._without_frame += short
            items = [item for item in items if item not in short]
            if not items:
                return
            sample = self.dataset.collater([self.dataset[item] for item in items])
        longest = int(max(self.dataset.sizes[item] for item in items))
        padded_size = longest * len(items)  # of audio, also where features stand for it
        too_large = padded_size >= self._too_large and len(items) > 1
        if not too_large and self._fits(sample):
            return
        if not too_large:
            self._too_large = padded_size
            seconds = longest / self.task.cfg.sample_rate
            if len(items) == 1:
                row = int(self.dataset.rows[items[0]])
                raise UserError(
                    f"{self.dataset.manifest.where(row)}: this utterance of {seconds:.1f} s does "
                    "not fit into memory, even by itself: cut the recording, leave it out, or "
                    "decode on a device with more memory."
                )
            logger.warning(
                "%d utterances of up to %.1f s do not fit into memory together: they, and batches "
                "as large, are decoded in halves (a smaller dataset.max_tokens avoids the try)",
                len(items), seconds,
            )
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            self.process_sample(self.dataset.collater([self.dataset[item] for item in half]))

    def _fits(self, sample: dict[str, Any]) -> bool:
        """Decode a batch; False where memory ran out, and then nothing of it is kept."""
        n_decoded = len(self.decoded)
        try:
            super().process_sample(self._on_device(sample))
            return True
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # here the error is gone, and with its traceback the tensors it held
        del self.decoded[n_decoded:]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return False

    def _on_device(self, sample: dict[str, Any]) -> dict[str, Any]:
        if not self.cfg.common.cpu:
            sample = utils.move_to_cuda(sample)
        # infer.py:154 halves the model, but not its input; Whisper's are 16-bit integers
        if self.cfg.common.fp16 and sample["net_input"]["source"].is_floating_point():
            net_input = sample["net_input"]
            sample["net_input"] = {**net_input, "source": net_input["source"].half()}
        return sample

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
        reference = post_process(reference_units, self.cfg.common_eval.post_process)
        writes_text = "text" in hypo
        if writes_text:
            hypothesis = hypo["text"]
            if hypo["detected"] is not None:  # then the language is scored, too
                hypothesis = f"[{hypo['detected']}] {hypothesis}"
                reference = f"[{manifest.languages[row]}] {reference}"
        elif "words" in hypo:  # decoders with a lexicon
            hypothesis = " ".join(hypo["words"])
        else:
            hypothesis = post_process(hypothesis_units, self.cfg.common_eval.post_process)
        scored = score_utterance(
            reference,
            hypothesis,
            id=manifest.utterance_ids[row],
            language=manifest.languages[row] if manifest.languages else None,
            seconds=float(manifest.n_samples[row]) / self.task.cfg.sample_rate,
            score=_finite(hypo.get("score")),
            speaker=manifest.speakers[row] if manifest.speakers else None,
            corpus=manifest.corpora[row] if manifest.corpora else None,
            columns={name: lines[row] for name, lines in self.columns.items() if lines[row]},
            lowers=writes_text,
            stopped=hypo.get("stopped"),
        )
        self.decoded.append(Decoded(row, reference_units, hypothesis_units, scored))
        if not self.cfg.common_eval.quiet:
            logger.info("HYPO: %s", scored.hypothesis)
            logger.info("REF: %s", scored.reference)
        return scored.words.errors, scored.words.reference_length

    def log_generation_time(self) -> None:
        """fairseq's line and, for greedy decoding, the share of it that is not the model."""
        super().log_generation_time()
        if isinstance(self.generator, GreedyDecoder):
            model, search = self.generator.model_seconds, self.generator.search_seconds
            logger.info(
                "model %.2f s, greedy search %.3f s (%.2f %% of the model)",
                model, search, 100 * search / max(model, 1e-9),
            )

    def gather(self) -> list[Decoded]:
        """The whole split in manifest order on the first worker, an empty list on the others.

        Through the CPU (gloo), so that it works with and without CUDA; stock infer merges its
        counts with CUDA only (infer.py:407).
        """
        if self._without_frame:
            rows = self.dataset.rows[self._without_frame[:10]]
            names = [self.dataset.manifest.utterance_ids[row] for row in rows]
            logger.warning(
                "%d utterances have fewer than the %d samples of which the model makes a frame, so "
                "their hypothesis is empty: %s%s", len(self._without_frame), self._least_samples,
                ", ".join(names), ", ..." if len(self._without_frame) > 10 else "",
            )
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


def _finite(score: Any) -> float | None:
    """In nats; None where there is none, or a diverged model gave NaN."""
    return round(float(score), 4) if score is not None and math.isfinite(float(score)) else None
