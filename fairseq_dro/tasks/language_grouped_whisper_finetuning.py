"""Fine-tuning Whisper on many languages: audio, and text behind a prompt that names its language.

It shares data folders, batches, groups and logs with ``language_grouped_audio_finetuning``; the
units are those of the model's own tokenizer, which comes with the weights and is kept in every
checkpoint.
"""

import logging
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from fairseq.tasks import register_task

from fairseq_dro import languages
from fairseq_dro.checks import references
from fairseq_dro.checks.finding import require_none
from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.prompted_dataset import (
    PromptedTextDataset,
    Recognised,
    evenly_spread,
)
from fairseq_dro.data.token_lines import TokenLines
from fairseq_dro.decoding.whisper import RecognisedText, WhisperRecogniser
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.language_tokens import (
    choose_tokens,
    own_token,
    parse_choice,
    with_new_rows,
)
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary
from fairseq_dro.scoring import validation_counts
from fairseq_dro.tasks.language_grouped_audio_finetuning import LanguageGroupedAudioFinetuningTask
from fairseq_dro.tasks.whisper_options import LanguageGroupedWhisperFinetuningConfig
from fairseq_dro.training import left_out

logger = logging.getLogger(__name__)

# Shapes: N items or lines; B utterances of a batch.


@register_task(
    "language_grouped_whisper_finetuning", dataclass=LanguageGroupedWhisperFinetuningConfig
)
class LanguageGroupedWhisperFinetuningTask(LanguageGroupedAudioFinetuningTask):
    """The tokenizer comes with the model, so the model is built before data are loaded."""

    cfg: LanguageGroupedWhisperFinetuningConfig

    def __init__(self, cfg: LanguageGroupedWhisperFinetuningConfig):
        super().__init__(cfg)
        self._post_process = "none"  # a line is text as it stands
        self._vocabulary: WhisperVocabulary | None = None
        self._recogniser: WhisperRecogniser | None = None
        self._tokens: dict[str, TokenLines] = {}  # by split
        self._started = time.perf_counter()
        self._validates_last = False

    @property
    def vocabulary(self) -> WhisperVocabulary:
        """Of the model that was built, or of the checkpoint that was loaded."""
        if self._vocabulary is None:
            if "whisper" not in self.state.state_dict:
                raise UserError(
                    "task=language_grouped_whisper_finetuning needs the tokenizer of a Whisper: "
                    "use it with model=whisper."
                )
            self._vocabulary = WhisperVocabulary.of_state(self.state.whisper)
        return self._vocabulary

    @property
    def target_dictionary(self):
        return self.vocabulary.dictionary

    @property
    def recogniser(self) -> WhisperRecogniser:
        if self._recogniser is None:
            self._recogniser = WhisperRecogniser(
                self.vocabulary, self.cfg.sample_rate, stop_at_loops=self.cfg.stop_at_loops
            )
        return self._recogniser

    @property
    def recognises_in_validation(self) -> bool:
        """Whether validation has error rates."""
        return self.cfg.valid_utterances_per_language != 0

    def adopt(self, pretrained: PretrainedWhisper) -> PretrainedWhisper:
        """Called by the model: take the tokenizer of its files, and give every language a token.

        Returns:
            The same with a new row of the embedding for each new token.

        Raises:
            UserError: the tokenizer does not fit, or a language has neither token nor choice.
        """
        vocabulary = WhisperVocabulary.of_pretrained(pretrained)
        chosen, added = choose_tokens(
            sorted(self._training.languages.names),
            vocabulary.tokenizer,
            parse_choice(self.cfg.new_language_tokens),
            languages.own_table_of(self.cfg.data),
        )
        if added:
            weights = with_new_rows(
                pretrained.weights, vocabulary.tokenizer, added, int(self.cfg.seed)
            )
            n_vocab = vocabulary.n_vocab + len(added)
            vocabulary.tokenizer = vocabulary.tokenizer.with_languages(added, vocabulary.n_vocab)
            vocabulary.n_vocab = n_vocab
            pretrained = pretrained.with_vocabulary(weights, n_vocab)
        vocabulary.language_codes = chosen
        logger.info(
            "language tokens: %s",
            ", ".join(
                f"{name} <|{code}|>{' (new)' if name in added else ''}"
                for name, code in chosen.items()
            ),
        )
        self._vocabulary = vocabulary
        self._save_vocabulary()
        return pretrained

    def _save_vocabulary(self) -> None:
        self.state.merge_state_dict({"whisper": self.vocabulary.as_state()})

    # --- data ---

    def load_target_dictionary(self):
        """None: the dictionary comes with the model."""
        return None

    def _check_labels(self, manifest: Manifest) -> None:
        """No text is empty.

        Raises:
            UserError: one is; in decoding it is a warning.
        """
        n_letters = np.fromiter(map(len, manifest.labels), dtype=np.int64)
        findings = references.empty(
            manifest, n_letters, stops_training=not self.cfg.allow_unseen
        )
        for sentence in require_none(findings, manifest.folder):
            logger.warning(sentence)
        self._tokens[manifest.split] = TokenLines(
            manifest.labels, self.vocabulary.tokenizer.encode_all
        )

    def _usable_rows(self, manifest: Manifest) -> np.ndarray:
        """Lines that Whisper can take: at most 30 s, and 448 tokens with the prompt.

        In decoding a reference may have any length: to leave it out would be to leave out errors.
        """
        rows = super()._usable_rows(manifest)
        n_tokens = self._tokens[manifest.split].lengths
        rows = left_out.within_whisper(
            manifest, rows, n_tokens, sample_rate=self.cfg.sample_rate,
            skip=self.cfg.skip_infeasible, any_text=bool(self.cfg.allow_unseen),
        )
        if manifest.split == self.cfg.train_subset and not self.cfg.allow_unseen:
            seconds = manifest.n_samples / self.cfg.sample_rate
            for code, language in enumerate(manifest.languages.names):
                chosen = rows[manifest.languages.codes[rows] == code]
                if len(chosen):
                    self.vocabulary.observe_rates(language, n_tokens[chosen] + 1, seconds[chosen])
            self._save_vocabulary()
        return rows

    def _find_infeasible(self, manifest: Manifest, rows: np.ndarray) -> np.ndarray:
        """None: a decoder may write more tokens than there are frames."""
        return np.empty(0, dtype=np.int64)

    def _audio_and_targets(self, manifest: Manifest, rows: np.ndarray, saved):
        names = manifest.languages.names
        codes = manifest.languages.codes[rows] if names else np.zeros(len(rows), dtype=np.int64)
        vocabulary = self.vocabulary
        if self.cfg.allow_unseen:
            self.name_tokens_of_unseen(names)
        return PromptedTextDataset(
            self._audio(manifest, rows, saved), self._tokens[manifest.split], manifest.labels, rows,
            prompts=vocabulary.prompts(list(names) or ["eng"]), prompt_of=codes,
            recognised=self._recognised(manifest, rows),
            pad=vocabulary.dictionary.pad(), end=vocabulary.dictionary.eos(),
        )

    def name_tokens_of_unseen(self, names: Iterable[str]) -> None:
        """Languages that training did not have may have a token of Whisper's."""
        for name in names:
            code = own_token(
                name, self.vocabulary.tokenizer, languages.own_table_of(self.cfg.data)
            )
            if code is not None:
                self.vocabulary.language_codes.setdefault(name, code)

    def _recognised(self, manifest: Manifest, rows: np.ndarray) -> np.ndarray:
        """[N] in which validations items are decoded: of each language as many."""
        wanted, at_end = self.cfg.valid_utterances_per_language, self.cfg.valid_utterances_at_end
        if wanted <= 0 or 0 <= at_end < wanted:
            at_end = wanted
        codes = manifest.languages.codes[rows] if manifest.languages else np.zeros(len(rows))
        found = np.full(len(rows), Recognised.NEVER)
        for code in np.unique(codes):
            items = np.flatnonzero(codes == code)
            found[items] = evenly_spread(len(items), wanted, at_end)
        return found

    # --- recognition ---

    def count_errors(self, model: Any, sample: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Of a validation batch, [B] by ``validation_counts.COLUMNS``.

        Zeros for utterances that are not decoded.
        """
        counts = torch.zeros(len(sample["id"]), len(validation_counts.COLUMNS))
        least = Recognised.AT_THE_END if self._validates_last else Recognised.ALWAYS
        rows = torch.nonzero(sample["recognised"] >= least).flatten()
        if len(rows):
            found = self.recognise(model, sample, rows)
            for row, one in zip(rows.tolist(), found):
                counts[row] = torch.tensor(
                    validation_counts.count(
                        self.vocabulary.tokenizer.decode(sample["target"][row].tolist()),
                        one.text,
                        self.languages[int(sample["language"][row])],
                        stopped=one.stopped,
                        only_at_end=bool(sample["recognised"][row] == Recognised.AT_THE_END),
                        at_end=self._validates_last,
                    )
                )
        counts = counts.to(sample["target"].device)
        return dict(zip(validation_counts.COLUMNS, counts.T, strict=True))

    def begin_valid_epoch(self, epoch, model):
        """Called before each validation: find out whether it is the run's last."""
        super().begin_valid_epoch(epoch, model)
        if self.update_log is not None:
            ends_epoch = self._planned is not None and self._planned.has_given_all
            self._validates_last = (
                self.update_log.update >= (self.cfg.max_update or math.inf)
                or (epoch >= (self.cfg.max_epoch or math.inf) and ends_epoch)
            )

    def recognise(
        self, model: Any, sample: dict[str, Any], rows: torch.Tensor | None = None
    ) -> list[RecognisedText]:
        """Texts of a batch, or of some rows of it, without padding that only others need."""
        if rows is None:
            rows = torch.arange(len(sample["id"]))
        rows = rows.to(sample["id"].device)
        padding = sample["net_input"]["padding_mask"][rows]
        longest = int((~padding).sum(1).max())
        given = [self.languages[i] for i in sample["language"][rows].tolist()]
        return self.recogniser.recognise(
            model, sample["net_input"]["source"][rows, :longest], padding[:, :longest],
            [None] * len(given) if self.cfg.detect_language else given,
        )

    def post_validate(self, model, stats: dict[str, Any], agg) -> None:
        super().post_validate(model, stats, agg)
        if self._recogniser is not None:
            share = self._recogniser.seconds / (time.perf_counter() - self._started)
            logger.info("decoding in validation took %.1f %% of the time so far", 100 * share)
