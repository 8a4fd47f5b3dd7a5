"""Metadata, and the two files that make hydra and fairseq start on today's Python.

Beside the package, an installation puts ``fairseq_dro_startup.py`` (a copy of
``fairseq_dro/compat/startup_hook.py``, which must be importable without the package) and
``fairseq_dro_startup.pth`` into site-packages. Setuptools carries neither kind of file into an
editable install, so there are two commands below.
"""

import base64
import hashlib
import re
import zipfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HERE = Path(__file__).resolve().parent
HOOK = "fairseq_dro_startup"
VERSION = re.search(
    r'__version__ = "(.+?)"', (HERE / "fairseq_dro/__init__.py").read_text(encoding="utf-8")
)[1]


def startup_files(editable=False):
    """The files beside the package: {name in site-packages: content}."""
    find = f"{HOOK}.find_package_in({str(HERE)!a}); " if editable else ""
    return {
        f"{HOOK}.py": (HERE / "fairseq_dro/compat/startup_hook.py").read_bytes(),
        f"{HOOK}.pth": f"import {HOOK}; {find}{HOOK}.install()\n".encode(),
    }


class BuildWithStartupHook(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            for name, content in self.added_files().items():
                path = Path(self.build_lib, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    @staticmethod
    def added_files():
        recipes = {
            f"fairseq_dro/recipe_files/{path.name}": path.read_bytes()
            for path in sorted((HERE / "examples/xlsr_dro/config").glob("*.yaml"))
        }
        return {**startup_files(), **recipes}

    def get_outputs(self, include_bytecode=True):
        outputs = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        return outputs + [str(Path(self.build_lib, name)) for name in self.added_files()]


class EditableWithStartupHook(editable_wheel):
    def run(self):
        super().run()
        (wheel,) = Path(self.dist_dir).glob("fairseq_dro-*.whl")
        # Setuptools' own finder costs every start of this Python 10 ms; the hook finds the
        # package for nothing.
        rewrite_wheel(wheel, drop="__editable__", add=startup_files(editable=True))


def rewrite_wheel(wheel, drop, add):
    """Drop the members whose names begin with `drop` and add others, in RECORD as well.

    RECORD is the list of files by which pip installs and uninstalls.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = {
            name: archive.read(name) for name in archive.namelist() if not name.startswith(drop)
        }
    members.update(add)
    (record,) = (name for name in members if name.endswith(".dist-info/RECORD"))
    del members[record]
    lines = [f"{name},sha256={digest(content)},{len(content)}" for name, content in members.items()]
    members[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


DEMO = [
    "babel",  # names of weekdays and months
    "espeakng-loader",
]

WHISPER = [
    "safetensors",  # Hugging Face's weights
    "tokenizers",
]

setup(
    name="fairseq-dro",
    version=VERSION,
    description="Group DRO and CTC-DRO for fairseq: fine-tune one speech model on many languages.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8")
    if (HERE / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["fairseq_dro", "fairseq_dro.*"]),
    package_data={"": ["*.tsv", "*.txt", "*.html"]},
    install_requires=[
        "fairseq==0.12.2",
        "hydra-core==1.0.7",
        "omegaconf==2.0.6",
        "torch>=2.6,<2.14",  # below 2.6 weights_only loading can be made to run code
        "numpy",
        "editdistance",  # imported by fairseq, not declared by it
        "jinja2",
        "pyyaml",
        "rapidfuzz",
        "regex",  # grapheme clusters and scripts
        "rich",  # watch
        "scipy",  # Student's t and rank correlation; imported when used
        "sentencepiece",
        "soundfile",
        "soxr",  # prepare: resampling
        "tensorboard",
        "tqdm",
        "matplotlib",
    ],
    extras_require={
        "demo": DEMO,
        "sclite": ["kaldialign"],  # score --alignment sclite
        "numbers": ["num2words"],  # prepare --digits spell
        "parquet": ["pyarrow"],  # prepare ml-superb-parquet
        "whisper": WHISPER,
        "test": [
            *DEMO,
            *WHISPER,
            "hypothesis",
            "jiwer",
            "kaldialign",
            "langcodes",
            "language_data",
            "num2words",
            "pyarrow",
            "pytest",
            "pytest-xdist",
            "transformers",  # whose models ours must equal
        ],
    },
    entry_points={
        "console_scripts": [
            "fairseq-dro = fairseq_dro.cli:main",
            "fairseq-dro-infer = fairseq_dro.commands.infer:stock_main",
        ]
    },
    cmdclass={"build_py": BuildWithStartupHook, "editable_wheel": EditableWithStartupHook},
)
