"""Let torch's safe loader read what fairseq itself writes, and nothing more.

From 2.6 on ``torch.load`` unpickles only what it knows to be harmless. fairseq calls it without
arguments (checkpoint_utils.py:315 and :878), and every fine-tuned checkpoint holds a
``fairseq.data.Dictionary`` in ``task_state``, every file of 2020 an ``argparse.Namespace`` in
``args``: both are plain containers, so they are added to torch's list. Switching the safe loader
off instead would run whatever code a downloaded file contains.
"""

from __future__ import annotations

import argparse

import torch


def needed() -> bool:
    """True where ``torch.load`` is safe by default, from torch 2.6 on."""
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    return (major, minor) >= (2, 6)


def apply() -> None:
    """Add the containers that fairseq's checkpoints are made of to torch's safe list."""
    from fairseq.data import Dictionary

    torch.serialization.add_safe_globals([Dictionary, argparse.Namespace])
