"""Whether transformers itself finds every weight of a folder."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from fairseq_dro.errors import UserError


def check(folder: Path) -> str:
    """Load the model by its own class.

    Returns:
        a sentence about what was found.

    Raises:
        UserError: transformers does not find a weight, or finds one too many.
    """
    if importlib.util.find_spec("transformers") is None:
        return "not checked by loading it: transformers is not installed here."
    (name,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    try:
        import transformers

        kind = getattr(transformers, name)
    except Exception as error:  # a library below it that cannot be loaded raises what it likes
        first = (str(error).splitlines() or [type(error).__name__])[0][:160]
        hint = "`python -m pip uninstall torchaudio`" if "torchaudio" in str(error) else (
            "`python -m pip install --upgrade transformers`"
        )  # fmt: skip
        return (
            f"not checked by loading it: transformers is installed here and cannot be imported "
            f"({first}); {hint} may help."
        )
    try:
        _, found = kind.from_pretrained(folder, output_loading_info=True)
    except (OSError, RuntimeError, ValueError) as error:  # OSError: of a file it does not like
        first = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{folder}: transformers {transformers.__version__} does not load it ({first}): use "
            "the version that setup.py names, or report this."
        ) from error
    wrong = [f"{what} {sorted(map(str, found[what]))[0]}"
             for what in ("missing_keys", "unexpected_keys", "mismatched_keys") if found[what]]
    if wrong:
        raise UserError(
            f"{folder}: transformers {transformers.__version__} does not load it as it was written "
            f"({', '.join(wrong)}): use the version that setup.py names, or report this."
        )
    return f"checked: transformers {transformers.__version__} finds every weight ({name})."
