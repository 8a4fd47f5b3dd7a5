"""The import hook that reaches hydra and fairseq before they are imported.

``fairseq-hydra-train`` imports hydra and fairseq first (fairseq_cli/hydra_train.py:10-17) and the
user dir last, far too late for anything that hydra needs in order to start. The installation
therefore ships a copy of this file as the top-level module ``fairseq_dro_startup`` and a ``.pth``
file which calls `install` in every interpreter. So there are three rules for this file: it imports
nothing that is not loaded by then, it imports the package only at the moment hydra or fairseq is
asked for, and it says nothing and does nothing in any other program.

What happens when, in a program that uses them:

- hydra or fairseq is about to be imported: the start-up patches (``fairseq_dro.compat``) are made;
- hydra's module of error messages has been imported: the patch that belongs to it is made;
- fairseq has been imported: ``fairseq_dro.register()``. While a module of this package is itself
  in the middle of its import (it was what asked for fairseq), this waits until that one is whole.
"""

import os
import sys

SWITCH = "FAIRSEQ_DRO_COMPAT"  # its values: see compat/__init__.py
PACKAGE = "fairseq_dro"
# pytest is among them for hydra's pytest plugin, which it loads past every import hook
FIRST_IMPORTS = ("hydra", "fairseq", "_pytest")
HYDRA_ERRORS = "hydra._internal.utils"


class LoaderThatReports:
    """The real loader of one module, which tells the hook before and after it runs the module."""

    def __init__(self, loader, finder):
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name):  # get_code, get_resource_reader ... as the real one has them
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        name = module.__name__
        module.__loader__ = module.__spec__.loader = self._loader  # nobody sees the wrapper
        self._finder.open_modules.append(name)
        try:
            self._loader.exec_module(module)
        finally:
            self._finder.open_modules.remove(name)
        self._finder.after(name)


class StartupFinder:
    """A meta path finder that finds nothing itself and acts on a handful of names."""

    fairseq_dro_startup = True  # how another copy of this file recognises an installed hook

    def __init__(self, registers):
        self.registers = registers
        self.open_modules = []  # those watched modules whose code is running now

    def find_spec(self, name, path=None, target=None):
        ours = name.startswith("fairseq_dro.")
        if not ours and name not in FIRST_IMPORTS and name != HYDRA_ERRORS:
            return None
        if name in FIRST_IMPORTS:
            package = self._package()
            if package is None:
                return None
            package.compat.apply_startup("start")
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    break
        else:
            return None
        if spec.loader is not None and (ours or name in ("fairseq", HYDRA_ERRORS)):
            spec.loader = LoaderThatReports(spec.loader, self)
        return spec

    def after(self, name):
        """Act now that the module `name` is whole."""
        package = self._package()
        if package is None:
            return
        if not name.startswith("fairseq_dro."):
            package.compat.apply_startup(name)
        # the spec of fairseq says "initializing" until the import statement itself returns
        if self.registers and not self.open_modules and (name == "fairseq" or fairseq_is_loaded()):
            package.register()

    def _package(self):
        # An exception inside the package is a defect of it and shows itself; that the package
        # is not there (its checkout was moved away) must not break every hydra program.
        try:
            __import__("fairseq_dro.compat")
        except ModuleNotFoundError as error:
            if error.name != PACKAGE:
                raise
            sys.meta_path.remove(self)
            sys.stderr.write(
                "warning: fairseq_dro is installed but its folder cannot be found, so hydra and "
                "fairseq start without it: install it again or type "
                "`python -m pip uninstall fairseq-dro`\n"
            )
            return None
        return sys.modules[PACKAGE]


class PackageFinder:
    """Finds the package of an editable install in its checkout, at no cost to other imports."""

    def __init__(self, checkout):
        self.checkout = checkout

    def find_spec(self, name, path=None, target=None):
        if name != PACKAGE:
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [self.checkout], target)


def find_package_in(checkout):
    """Make the package importable from the folder `checkout`, after everything on sys.path."""
    sys.meta_path.append(PackageFinder(checkout))


def fairseq_is_loaded():
    """Whether fairseq has been imported and is whole."""
    module = sys.modules.get("fairseq")
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def install():
    """Put the hook in front of the import machinery, once, unless the environment forbids it."""
    wanted = os.environ.get(SWITCH, "")
    if wanted == "0" or any(hasattr(f, "fairseq_dro_startup") for f in sys.meta_path):
        return
    sys.meta_path.insert(0, StartupFinder(registers=wanted != "startup"))
