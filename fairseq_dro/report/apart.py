"""Languages that stand apart: shown, but counted in no number over languages.

A language with a minute of test speech can have any error rate, so it should not decide which
language is worst. Its row, interval and verdict are still there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy


@dataclass(frozen=True)
class Eligible:
    """Which languages count in numbers over languages: those that are neither named nor small.

    Attributes:
        apart: named by the user.
        min_seconds: of test speech; a language whose seconds are not known is not judged by them.
        min_utterances: of the test split.
    """

    apart: Sequence[str] = ()
    min_seconds: float = 0.0
    min_utterances: int = 0

    def reasons(
        self,
        n_utterances: Mapping[str, int],
        seconds: Mapping[str, float],
        by: GroupBy,
    ) -> dict[str, str]:
        """Why a group stands apart, for those that do.

        Raises:
            UserError: a name is no group of the test split, or no group is left.
        """
        for name in self.apart:
            if name not in n_utterances:
                raise UserError(
                    f"--apart {name}: the test split has no such {by.noun}; it has "
                    f"{', '.join(sorted(n_utterances))}."
                )
        found = {}
        for group, n in n_utterances.items():
            if group in self.apart:
                found[group] = "named by --apart"
            elif n < self.min_utterances:
                found[group] = f"{n} test utterances"
            elif seconds.get(group, self.min_seconds) < self.min_seconds:
                found[group] = f"{seconds[group]:.0f} s of test speech"
        if len(found) == len(n_utterances):
            raise UserError(
                f"compare: every {by.noun} stands apart, so that no number over {by.noun}s is "
                "left: choose smaller --min-seconds and --min-utterances, or name fewer by --apart."
            )
        return found


ALL_ELIGIBLE = Eligible()
