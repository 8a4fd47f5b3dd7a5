"""``fairseq-dro``: one command, one module a sub-command.

A module named here exposes ``add_arguments(parser)`` and ``run(args) -> int``; its docstring is the
text of its ``--help``. One with ``import_user_dir(words)`` gets the words before they are parsed.
Only the module of the command that is typed is imported, and none imports fairseq or torch at its
top: help and a mistake are answered at once.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import re
import sys
import textwrap
from collections.abc import Sequence

import fairseq_dro
from fairseq_dro.errors import UserError
from fairseq_dro.option_parser import OptionParser

SUB_COMMANDS = {
    "prepare": (
        "fairseq_dro.prepare.prepare", "make a data folder from a corpus",
        "fairseq-dro prepare table data/mine --table my.tsv",
    ),
    "doctor": (
        "fairseq_dro.commands.doctor", "what would stop or spoil training on a data folder",
        "fairseq-dro doctor data/mine --config-name finetune model.w2v_path=xlsr2_300m.pt",
    ),
    "features": (
        "fairseq_dro.commands.features", "hidden layers of a frozen encoder, computed once",
        "fairseq-dro features data/mine --model xlsr2_300m.pt",
    ),
    "train": (
        "fairseq_dro.commands.train", "train by a recipe, or resume",
        "fairseq-dro train finetune task.data=data/mine model.w2v_path=xlsr2_300m.pt",
    ),
    "infer": (
        "fairseq_dro.commands.infer", "decode a split with a trained model, scored per language",
        "fairseq-dro infer runs/finetune/ctc_dro --split test",
    ),
    "transcribe": (
        "fairseq_dro.commands.transcribe", "write down what is said in audio files",
        "fairseq-dro transcribe runs/finetune/ctc_dro talk.mp3",
    ),
    "convert": (
        "fairseq_dro.commands.convert", "models from Hugging Face to fairseq, and back",
        "fairseq-dro convert runs/finetune/ctc_dro my-model --license cc-by-4.0",
    ),
    "watch": (
        "fairseq_dro.commands.watch", "a run as it goes: CER, q, update n of N, time left",
        "fairseq-dro watch runs/finetune/ctc_dro",
    ),
    "score": (
        "fairseq_dro.commands.score", "error rates of records or text files, with intervals",
        "fairseq-dro score --ref ref.trn --hyp hyp.trn",
    ),
    "report": (
        "fairseq_dro.commands.report", "one page about a run: who is left behind",
        "fairseq-dro report runs/finetune/ctc_dro --baseline runs/finetune/erm",
    ),
    "compare": (
        "fairseq_dro.commands.compare", "runs side by side: paired tests, levelling down",
        "fairseq-dro compare runs/finetune/erm runs/finetune/ctc_dro --out comparison",
    ),
    "checkpoints": (
        "fairseq_dro.commands.checkpoints", "which checkpoint each criterion chooses",
        "fairseq-dro checkpoints runs/finetune/ctc_dro",
    ),
    "random-checkpoint": (
        "fairseq_dro.commands.random_checkpoint",
        "write an XLS-R-shaped checkpoint of random weights",
        "fairseq-dro random-checkpoint random.pt",
    ),
}  # fmt: skip
"""Name: module, one line about it, an example."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0 on success, 2 on a mistake of the user, told in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if hasattr(sys.stdout, "reconfigure"):  # a terminal without UTF-8 shows other letters as codes
        sys.stdout.reconfigure(errors="backslashreplace")
    command, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    try:
        if command in ("-h", "--help", "help"):
            sys.stdout.write(help_text())
            return 0
        if command in ("-V", "--version"):
            sys.stdout.write(f"fairseq-dro {fairseq_dro.__version__}\n")
            return 0
        if command not in SUB_COMMANDS:
            raise UserError(_no_command(command))
        module = importlib.import_module(SUB_COMMANDS[command][0])
        if hasattr(module, "import_user_dir"):
            rest = module.import_user_dir(rest)
        parser = build_parser(command)
        is_mixed = getattr(module, "TAKES_OVERRIDES", False)
        args = (parser.parse_intermixed_args if is_mixed else parser.parse_args)(rest)
        return module.run(args)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except BrokenPipeError:  # `fairseq-dro ... | head`
        sys.stderr.close()
        return 1


def build_parser(command: str) -> OptionParser:
    """The parser of a sub-command; its module is imported for it."""
    module_name, _, example = SUB_COMMANDS[command]
    module = importlib.import_module(module_name)
    parser = OptionParser(
        prog=f"fairseq-dro {command}",
        usage=getattr(module, "USAGE", None),
        description=plain_text(module.__doc__ or ""),
        epilog=f"example:\n  {example}",
    )
    module.add_arguments(parser)
    return parser


def help_text() -> str:
    """All commands, a line each."""
    width = max(map(len, SUB_COMMANDS))
    lines = [f"  {name:{width}}  {line}" for name, (_, line, _) in SUB_COMMANDS.items()]
    return "\n".join(
        [
            "usage: fairseq-dro COMMAND ...", "",
            "Fine-tune one speech model on many languages, without leaving the hardest behind.", "",
            *lines, "",
            "fairseq-dro COMMAND --help says what a command takes; fairseq-dro --version.", "",
        ]
    )  # fmt: skip


def plain_text(docstring: str) -> str:
    """A docstring as a terminal shows it: without its markup and the name of the command."""
    text = re.sub(r"^``fairseq-dro [^`]*``( or ``[^`]*``)?: ", "", docstring.strip())
    text = text[:1].upper() + text[1:].replace("``", "`")
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(
        one
        if one.startswith(" ")
        else textwrap.fill(" ".join(one.split()), 79, break_on_hyphens=False)
        for one in paragraphs
    )


def _no_command(name: str) -> str:
    near = difflib.get_close_matches(name, SUB_COMMANDS, 1, 0.5)
    hint = f"did you mean `fairseq-dro {near[0]}`?" if near else ""
    return f"there is no command {name}: {hint or 'the commands are ' + ', '.join(SUB_COMMANDS)}"


if __name__ == "__main__":
    sys.exit(main())
