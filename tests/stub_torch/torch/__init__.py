"""A stand-in for torch with which fairseq can be imported and can do nothing else.

Only ``scripts/test_startup_matrix.sh`` puts it on the path, on interpreters for which no torch is
installed: starting up (hydra, configuration classes, ``--help``) needs torch's names and none of
its abilities. Every name is a class of its own, and every submodule exists.
"""

import abc
import importlib.abc
import importlib.machinery
import sys
import types

__version__ = "2.13.0+stub"

ABSENT = ("_get_torch_home",)  # gives a path; fairseq/file_utils.py:25 can do without it


class _Answer(int):
    """What a function gives: a number (torch.cuda.device_count()), a decorator (no_grad())."""

    def __call__(self, decorated):
        return decorated


class _Name(abc.ABCMeta):
    """A class for any name, with any attribute, usable as base class, decorator and annotation."""

    def __getattr__(cls, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = _Name(name, (), {"__module__": cls.__module__})
        setattr(cls, name, made)
        return made

    def __call__(cls, *arguments, **options):
        if len(arguments) == 1 and callable(arguments[0]) and not options:
            return arguments[0]  # as a decorator
        if cls.__name__[0].islower():
            return _Answer(0)
        return super().__call__()

    def __getitem__(cls, item):
        return cls


class _Module(types.ModuleType):
    def __getattr__(self, name):
        if name in ABSENT or name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = _Name(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith("torch.") and fullname.rpartition(".")[2] not in ABSENT:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(_Finder())
sys.modules[__name__].__class__ = _Module
