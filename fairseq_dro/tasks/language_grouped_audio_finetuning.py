"""Fine-tuning on many languages: fairseq's ``audio_finetuning`` with a group per utterance.

Here are the data: the languages and groups of the training split with their dense indices, the
dictionary, and checks of both. What is done with groups is in ``training.grouped_task``.
"""

import logging
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
from fairseq.tasks import register_task
from fairseq.tasks.audio_finetuning import AudioFinetuningTask, LabelEncoder, label_len_fn
from omegaconf import open_dict

from fairseq_dro.checks import audio, dictionary, references
from fairseq_dro.checks.finding import require_none
from fairseq_dro.checks.groups import not_trained, unknown_languages
from fairseq_dro.checks.label_tally import LabelTally
from fairseq_dro.checks.start_up import start_up_warnings
from fairseq_dro.data.dictionary_file import require_dictionary
from fairseq_dro.data.feature_dataset import ManifestFeatureDataset
from fairseq_dro.data.feature_file import open_features
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
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy
from fairseq_dro.models.family import ModelFamily, family_of
from fairseq_dro.tasks.grouped_audio_options import (
    LanguageGroupedAudioFinetuningConfig,
    ignored_options,
    require_ranges,
)
from fairseq_dro.text.tags import SPECIAL_SYMBOLS
from fairseq_dro.training import left_out
from fairseq_dro.training.grouped_task import GroupedTask

logger = logging.getLogger(__name__)


@register_task(
    "language_grouped_audio_finetuning", dataclass=LanguageGroupedAudioFinetuningConfig
)
class LanguageGroupedAudioFinetuningTask(GroupedTask, AudioFinetuningTask):
    """Audio and label lines of many languages, in groups.

    Attributes:
        languages: names by the index that ``sample["language"]`` holds; grows by splits that are
            loaded.
    """

    cfg: LanguageGroupedAudioFinetuningConfig

    def __init__(self, cfg: LanguageGroupedAudioFinetuningConfig):
        super().__init__(cfg)
        require_ranges(cfg)
        self.group_by = GroupBy.parse(cfg.group_by)
        cfg.group_by = str(self.group_by)  # a checkpoint may say it in an old word
        self.state.add_factory("groups", self._groups_of_training)  # saved with the checkpoint
        self.languages: List[str] = []
        self._training_manifest: Optional[Manifest] = None
        self.family: Optional[ModelFamily] = None
        self._post_process = "letter"

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
        require_none(unknown_languages(manifest), manifest.folder)
        return manifest

    def _groups_of(self, manifest: Manifest) -> Categories:
        return groups_of(manifest, self.group_by)

    def joins_units_by(self, post_process: str) -> None:
        """Called by the criterion: how label lines become text (``data_utils.post_process``)."""
        self._post_process = post_process
        for finding in dictionary.joined_wrongly(self.target_dictionary.symbols, post_process):
            logger.warning("%s: %s", finding.what, finding.fix)
        for dataset in self.datasets.values():
            dataset.post_process = post_process

    def build_model(self, model_cfg, from_checkpoint=False):
        model = super().build_model(model_cfg, from_checkpoint)
        # the model got a copy of its options; what it found in files is saved with a checkpoint
        with open_dict(model_cfg):
            for name, value in getattr(model, "found_options", {}).items():
                model_cfg[name] = value
        self.family = family_of(model)
        if self.family is not None and not self.cfg.allow_unseen:
            self.family.require_options(model_cfg)
        return model

    # --- data ---

    def load_target_dictionary(self):
        """As the parent's.

        Raises:
            UserError: the folder has none for these labels, or one that fairseq cannot read.
        """
        folder, labels = Path(self.cfg.data), self.cfg.labels
        if folder.is_dir() and not (folder / f"dict.{labels}.txt").exists():
            raise UserError(
                f"{folder}/dict.{labels}.txt does not exist: expected one line `unit count` for "
                f"each unit of the .{labels} files, as `fairseq-dro prepare` writes it"
                f"{other_label_files(folder, '*', labels)}."
            )
        if folder.is_dir():
            require_dictionary(folder / f"dict.{labels}.txt")
        return super().load_target_dictionary()

    def load_dataset(self, split: str, task_cfg=None, **kwargs) -> None:
        """Load a split and check it.

        Raises:
            UserError: see ``data.manifest`` and ``checks``; each with file and line.
        """
        is_training = split == self.cfg.train_subset and not self.cfg.allow_unseen
        manifest = self._training if is_training else self._read(split)
        groups = np.full(len(manifest), -1, dtype=np.int64)  # decoding needs no groups
        if not self.cfg.allow_unseen:
            names = self._groups_of(manifest)
            unseen = not_trained(
                manifest, names, self.groups, self.group_by, self.cfg.train_subset, stops=True
            )
            require_none(unseen, manifest.folder)
            index = {name: group for group, name in enumerate(self.groups)}
            groups = np.array([index[name] for name in names.names], dtype=np.int64)[names.codes]
        self._check_labels(manifest)
        n_headers = self.cfg.audio_checks_per_language
        n_headers = n_headers if n_headers >= 0 else len(manifest)
        chosen = audio.sample_per_language(manifest, n_headers)
        found = audio.header_findings(manifest, chosen, self.cfg.sample_rate)
        require_none(found, manifest.folder)
        rows = self._usable_rows(manifest)
        self.datasets[split] = GroupedAudioDataset(
            self._audio_and_targets(manifest, rows, task_cfg or self.cfg),
            manifest, rows, groups[rows], self._language_indices(manifest)[rows],
            post_process=self._post_process,
        )
        if is_training:
            for option, instead in ignored_options(self.cfg.get):
                logger.warning("%s has no effect here: %s", option, instead)
            self.infeasible = self._find_infeasible(manifest, rows)
            for warning in start_up_warnings(manifest, language_token=self.cfg.language_token):
                logger.warning(warning)
        elif not self.cfg.allow_unseen:
            if self.family is not None:
                left_out.require_frames(
                    manifest, self.cfg.min_sample_size or 0, self.family.frames_of
                )
            self._too_long.find(
                self.datasets[split], self.cfg.max_tokens_valid, "dataset.max_tokens_valid",
                skip=self.cfg.skip_too_long_valid,
            )

    def _check_labels(self, manifest: Manifest) -> None:
        """Every label can be a target.

        Raises:
            UserError: one cannot; in decoding it is a warning.
        """
        stops = not self.cfg.allow_unseen
        symbols = set(self.target_dictionary.symbols) - set(SPECIAL_SYMBOLS)
        labels = LabelTally.of(manifest, symbols)
        self._frames_needed = labels.needed + self.cfg.language_token
        findings = references.empty(manifest, labels.n_units, stops_training=stops)
        if self.cfg.language_token:
            findings += dictionary.tokens_lacking(
                [manifest], symbols, self.cfg.labels, stops_training=stops
            )
        findings += dictionary.outside_dictionary(labels, symbols, stops_training=stops)
        for sentence in require_none(findings, manifest.folder):
            logger.warning(sentence)

    def _usable_rows(self, manifest: Manifest) -> np.ndarray:
        """[N] lines of the manifest that are items; those left out are named in the log."""
        rows = rows_long_enough(manifest, self.cfg.min_sample_size)
        left_out.warn_of_short(manifest, rows, self.cfg.min_sample_size)
        return rows

    def _find_infeasible(self, manifest: Manifest, rows: np.ndarray) -> np.ndarray:
        """Training items whose targets do not fit their audio; see ``left_out``."""
        if self.family is None:  # no model was built, or one that we do not know
            return np.empty(0, dtype=np.int64)
        return left_out.find_infeasible(
            manifest, rows, self._frames_needed, self.family.frames_of,
            skip=self.cfg.skip_infeasible,
        )

    def _language_indices(self, manifest: Manifest) -> np.ndarray:
        """[N] index into ``languages`` of each line."""
        names = manifest.languages.names
        self.languages += [name for name in names if name not in self.languages]
        index = np.array([self.languages.index(name) for name in names], dtype=np.int64)
        return index[manifest.languages.codes]

    def _audio_and_targets(self, manifest: Manifest, rows: np.ndarray, saved):
        """What ``AudioFinetuningTask.load_dataset`` makes by reading the files again.

        Args:
            saved: the task's configuration, in decoding the one that the model was trained with.
        """
        return add_targets(
            self._audio(manifest, rows, saved),
            TargetLines(manifest, rows, self.cfg.language_token), self.target_dictionary,
            LabelEncoder(self.target_dictionary), label_len_fn,
            add_to_input=saved.get("autoregressive", False),
        )

    def _audio(self, manifest: Manifest, rows: np.ndarray, saved) -> ManifestAudioDataset:
        if saved.get("binarized_dataset", False):
            raise UserError(
                "task.binarized_dataset=true is not supported by this task: leave it out; a "
                "manifest takes no more memory than its files here."
            )
        options = dict(
            sample_rate=saved.get("sample_rate", self.cfg.sample_rate),
            max_sample_size=self.cfg.max_sample_size,
            min_sample_size=self.cfg.min_sample_size,
            pad=True,  # as always with labels
            normalize=saved.normalize,
            num_buckets=self.cfg.num_batch_buckets or int(self.cfg.tpu),
            compute_mask_indices=self.cfg.precompute_mask_indices or self.cfg.tpu,
            **self._get_mask_precompute_kwargs(saved),
        )
        if self.cfg.features is None:
            # a log-mel of audio in half precision is a worse one, above all of bf16's 8 bits
            takes_int16 = getattr(self.family, "takes_int16", False)
            as_int16 = takes_int16 and bool(self.cfg.fp16 or self.cfg.bf16)
            return ManifestAudioDataset(manifest, rows, as_int16=as_int16, **options)
        spec = getattr(self.family, "feature_spec", None)
        if spec is None:
            raise UserError(
                f"task.features={self.cfg.features} is for a model that trains on the hidden "
                "layers of a frozen encoder: set model=layer_weighted_ctc, or leave it out."
            )
        features, line_of = open_features(self.cfg.features, manifest, spec)
        return ManifestFeatureDataset(manifest, rows, features, line_of, **options)
