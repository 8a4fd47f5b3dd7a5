"""The part of the doctor that training runs at its start: one pass over text that is in memory.

What would stop training is refused by ``checks``; this is about what would spoil it. Three
seconds for a million utterances.
"""

from __future__ import annotations

import shlex

from fairseq_dro.checks import references, spelling, splits
from fairseq_dro.checks.finding import Severity
from fairseq_dro.checks.split_survey import survey
from fairseq_dro.data.manifest import Manifest


def start_up_warnings(manifest: Manifest, *, language_token: bool) -> list[str]:
    """A sentence for each kind of defect in the text of the training split, with its first place.

    Args:
        language_token: ``task.language_token``.
    """
    looked_at = survey(manifest, symbols=None)
    findings = [
        *references.language_tokens(looked_at, adds_token=language_token),
        *spelling.normal_forms(looked_at),
        *spelling.look_alikes(looked_at),
        *spelling.two_encodings(looked_at),
        *splits.languages_of_splits(manifest, [], []),
    ]
    return [
        f"{finding.what}{f', first {finding.places[0]}' if finding.places else ''}: {finding.fix} "
        f"(`fairseq-dro doctor {shlex.quote(str(manifest.folder))}` shows all)"
        for finding in findings
        if finding.severity is not Severity.NOTE
    ]
