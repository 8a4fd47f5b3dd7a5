"""``conv_feature_layers``: the convolutions of wav2vec 2.0's extractor, as fairseq writes them."""

from __future__ import annotations

import ast
from typing import Any

Layers = tuple[tuple[int, int, int], ...]
"""(channels, kernel, stride) of each."""


def parse_layers(text: str) -> Layers:
    """``[(512, 10, 5)] + [(512, 3, 2)] * 4``, which fairseq evaluates, without evaluating it.

    Raises:
        ValueError: it is something else.
    """

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
            left, right = value(node.left), value(node.right)
            return left + right if isinstance(node.op, ast.Add) else left * right
        return ast.literal_eval(node)

    return tuple(tuple(layer) for layer in value(ast.parse(text, mode="eval").body))
