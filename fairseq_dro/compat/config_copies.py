"""omegaconf 2.0: a copy of one option copies the whole configuration around it.

``DictConfig.__deepcopy__``, ``ListConfig.__deepcopy__`` and ``ValueNode._deepcopy_impl``
(omegaconf/dictconfig.py:90, listconfig.py:106, nodes.py:75) copy ``_parent`` like any other
attribute, and with it everything that the parent holds. Each ``cfg[key] = section`` makes such a
copy (basecontainer.py:451), fairseq's ``add_defaults`` one a section, so that composing a recipe
copies two million objects, which takes two to four seconds of a command's start. omegaconf 2.1
retains the parent and copies what is below; so does this. What is copied has the same values. The
interpolations of a copied section follow the configuration that the section was taken from; in
omegaconf 2.0 they followed a copy of it, as it was at that moment.
"""

from __future__ import annotations

import copy
from typing import Any


def needed() -> bool:
    import omegaconf

    return omegaconf.__version__.startswith("2.0.")


def apply() -> None:
    from omegaconf import DictConfig, ListConfig
    from omegaconf.nodes import ValueNode

    def copied_container(self: Any, memo: dict[int, Any] | None = None) -> Any:
        memo = {} if memo is None else memo  # as omegaconf's own
        made = object.__new__(type(self))
        made.__dict__.update(_copied(self, memo))
        made._re_parent()  # what is below belongs to the copy
        return made

    def copy_value(self: Any, made: Any, memo: dict[int, Any]) -> None:
        made.__dict__ = _copied(self, memo)

    DictConfig.__deepcopy__ = copied_container
    ListConfig.__deepcopy__ = copied_container
    ValueNode._deepcopy_impl = copy_value


def _copied(node: Any, memo: dict[int, Any]) -> dict[str, Any]:
    """The attributes of a node's copy."""
    return {
        name: value if name == "_parent" else copy.deepcopy(value, memo)
        for name, value in node.__dict__.items()
    }
