"""The part of the doctor that training runs at its start: one pass over text that is in memory.

What would stop training is refused by ``data.checks``; this is about what would spoil it. Three
seconds for a million utterances.
"""

from __future__ import annotations

import shlex

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.doctor import spelling_checks, split_checks, text_checks
from fairseq_dro.doctor.finding import Severity
from fairseq_dro.doctor.split_survey import survey


def start_up_warnings(manifest: Manifest, *, language_token: bool) -> list[str]:
    """A sentence for each kind of defect in the text of the training split, with its first place.

    Args:
        language_token: ``task.language_token``.
    """
    looked_at = survey(manifest, symbols=None)
    findings = [
        *text_checks.language_tokens(looked_at, adds_token=language_token),
        *spelling_checks.normal_forms(looked_at),
        *spelling_checks.look_alikes(looked_at),
        *spelling_checks.two_encodings(looked_at),
        *split_checks.languages_of_splits(manifest, [], []),
    ]
    return [
        f"{finding.what}{f', first {finding.places[0]}' if finding.places else ''}: {finding.mend} "
        f"(`fairseq-dro doctor {shlex.quote(str(manifest.folder))}` shows all)"
        for finding in findings
        if finding.severity is not Severity.NOTE
    ]
