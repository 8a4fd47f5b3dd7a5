"""``python -m fairseq_dro`` is ``fairseq-dro``."""

from __future__ import annotations

import sys

from fairseq_dro.cli import main

if __name__ == "__main__":
    sys.exit(main())
