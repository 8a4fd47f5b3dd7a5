"""``fairseq-dro train``: quick to say what is wrong, otherwise ``fairseq-hydra-train``."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fairseq_dro.cli import SUB_COMMANDS
from fairseq_dro.compat.plus_signs import dataclass_of
from fairseq_dro.doctor import source_options
from fairseq_dro.errors import UserError
from fairseq_dro.recipes import find_recipe, recipes_in, shipped_folder
from fairseq_dro.refusals.missing_inputs import require_inputs
from tests.stock_commands import BIN, environment, run

QUICK = """
import contextlib, io, json, sys
from fairseq_dro.cli import main

answers = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    answers.append([status, said.getvalue()])
slow = sorted({"torch", "fairseq", "hydra", "matplotlib", "scipy"} & set(sys.modules))
print(json.dumps([slow, answers]))
"""


def quick(cwd: Path, *commands: list[str]) -> tuple[list[str], list[tuple[int, str]]]:
    """Slow modules that were imported, and status and output of each command of one process."""
    done = subprocess.run(
        [sys.executable, "-c", QUICK, json.dumps(commands)], cwd=cwd, env=environment(),
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    slow, answers = json.loads(done.stdout)
    return slow, [tuple(answer) for answer in answers]


MISTAKES = {
    "trian": "did you mean `fairseq-dro train`?",
    "frobnicate": "the commands are prepare, doctor, features, train",
    "train": "name a recipe first (demo, finetune, frozen_linear, ",
    "train task.data=x": "name a recipe first",
    "train finetun": "did you mean finetune?",
    "train finetune.yml": "there is no recipe finetune.yml",
    "train nowhere/mine.yaml": "nowhere/mine.yaml does not exist",
    "train finetune_ctc": "fairseq-dro train finetune criterion.objective=erm",
    "train mms --config-dir data": "data holds no recipe",
    "doctor data --config-name finetun": "did you mean finetune?",
    "doctor data --config-name finetune_ctc": "fairseq-dro train finetune criterion.objective=erm",
    "train demo --multirn": "did you mean --multirun?",
    "train --hepl demo": "did you mean --help?",
    "train demo task.batch_secnds=3": "did you mean task.batch_seconds?",
    "train demo +model.mask_pro=3": "did you mean model.mask_prob or ",
    "train demo lr_scheduler._name=fixed lr_scheduler.phase_ratio=[1]": "lr_scheduler.phase_ratio",
    "train demo datset.max_tokens=3": "did you mean dataset?",
    "train demo common.fp61=true": "did you mean common.fp16?",
    "train demo task.data": "task.data has no value: write task.data=VALUE, without spaces",
    "train demo task.data = data": "task.data has no value",
    "train demo data": "data is not an option: did you mean task.data=data?",
    "train demo a.pt": "a.pt is not an option: did you mean model.w2v_path=a.pt?",
    "train demo other": "other is not an option: write SECTION.OPTION=VALUE",
    "train demo data=data": "data is not an option: did you mean task.data?",
    "train demo max_update=9": "did you mean optimization.max_update?",
    "train demo task.step_size=1": "did you mean criterion.step_size?",
    "train demo --task.data=data": "--task.data is not an option: write task.data=VALUE, without d",
    "train demo hydra.run.dir=~/runs/one": "write hydra.run.dir=$HOME/runs/one.",
    "infer runs/demo/erm/a.pt task.data=~/data": "write task.data=$HOME/data.",
    "train demo": "task.data is missing: type task.data=FOLDER",
    "train demo task.data=data": "model.w2v_path is missing: type model.w2v_path=FILE",
    "train demo task.data=dota": "task.data=dota does not exist: did you mean data?",
    "train demo task.data=a.pt": "task.data=a.pt is a file",
    "train demo task.data=data model.w2v_path=b.pt": "did you mean a.pt?",
    "train demo task.data=data model.w2v_path=xlsr2_300m.pt": "`fairseq-dro random-checkpoint ",
    "train whisper task.data=data model.whisper_path=base": "name the folder or file of a Whisper",
    "train demo task.data=corpora": "holds no split such as train.tsv: did you mean corpora/cv?",
    "train demo task.data=corpora/none": "name a data folder, as `fairseq-dro prepare` makes it",
    "doctor dota": "dota does not exist: did you mean data?",
    "doctor corpora": "did you mean corpora/cv?",
    "doctor data finetune": "write --config-name finetune.",
    "doctor data common.seed=2": "write --config-name RECIPE common.seed=2.",
    "features corpora --model a.pt": "did you mean corpora/cv?",
    "features data --model b.pt": "--model b.pt does not exist: did you mean a.pt?",
    "watch runs/demo/ermm": "runs/demo/ermm does not exist: did you mean runs/demo/erm?",
    "watch runs": "holds nothing of a run yet: did you mean runs/demo/erm?",
    "watch runs/demo/erm/checkpoints": "did you mean runs/demo/erm?",
    "infer runs": "runs holds no model: did you mean runs/demo/erm?",
    "infer corpora": "corpora holds no model: name a run folder or a checkpoint",
    "score runs": "did you mean runs/demo/erm?",
}


def test_a_mistake_is_one_sentence_at_once(tmp_path, tiny_data):
    for folder in ("data", "corpora/cv", "corpora/none", "runs/demo/erm/checkpoints"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("a.pt", "data/train.tsv", "corpora/cv/train.tsv", "runs/demo/erm/progress.json",
                 "runs/demo/erm/a.pt"):
        (tmp_path / file).touch()
    of_doctor = [
        "doctor", str(tiny_data), "--audio-per-language", "0", "--config-name", "demo",
        "task.batch_secnds=3", "datset.a=1",
    ]  # fmt: skip
    slow, answers = quick(tmp_path, *(typed.split() for typed in MISTAKES), of_doctor)
    assert slow == []
    status, said = answers.pop()  # the doctor's findings are no error: all of them are listed
    assert status == 1
    assert "did you mean task.batch_seconds?" in said and "did you mean dataset?" in said
    for (typed, says), (status, said) in zip(MISTAKES.items(), answers):
        assert status == 2 and said.startswith("error: ") and says in said, typed
        assert said.count("\n") == 1 and "usage" not in said, typed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "corpora", "data", "runs"]


def test_help_of_every_command_is_short_plain_and_quick(tmp_path):
    commands = [["--help"], [], *([name, "--help"] for name in SUB_COMMANDS)]
    slow, ((_, of_all), (_, bare), *helps) = quick(tmp_path, *commands)
    assert slow == [] and of_all == bare
    assert all(f"  {name} " in of_all for name in SUB_COMMANDS)
    for name, (status, said) in zip(SUB_COMMANDS, helps):
        assert status == 0 and said.startswith(f"usage: fairseq-dro {name}")
        assert "``" not in said and said.count("\n") < 90, name
        assert "\nexample" in said and f"\n  fairseq-dro {name} " in said, name
    train = dict(zip(SUB_COMMANDS, helps))["train"][1]
    for option in ("task.data=", "model.w2v_path=", "criterion.objective=", "hydra.run.dir="):
        assert option in train


def test_version_and_module(tmp_path):
    import fairseq_dro

    _, [(status, said)] = quick(tmp_path, ["--version"])
    assert (status, said) == (0, f"fairseq-dro {fairseq_dro.__version__}\n")
    assert run([sys.executable, "-m", "fairseq_dro", "--version"], tmp_path).stdout == said


@pytest.mark.parametrize("name", recipes_in(shipped_folder()))
def test_options_read_from_the_source_are_those_of_the_dataclasses(name):
    recipe = yaml.safe_load(find_recipe(name).read_text())
    parts = {section: options.get("_name") for section, options in recipe.items()}
    for section in source_options.sections() - {"_name"}:
        expected = dataclass_of(section, parts.get(section))
        found = source_options.options_of(section, parts.get(section))
        if expected is not None and section not in ("bpe", "tokenizer", "scoring"):
            assert found == {"_name", *(one.name for one in dataclasses.fields(expected))}


def test_options_of_other_parts_are_right_or_unknown():
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    read = 0
    for section, registry in (
        ("task", TASK_DATACLASS_REGISTRY), ("model", MODEL_DATACLASS_REGISTRY),
        *((name, REGISTRIES[name]["dataclass_registry"])
          for name in ("criterion", "optimizer", "lr_scheduler")),
    ):  # fmt: skip
        for part, dataclass in registry.items():
            found = source_options.options_of(section, part)
            read += found is not None
            assert found in (None, {"_name", *(one.name for one in dataclasses.fields(dataclass))})
    assert read > 40
    assert source_options.options_of("task", "no_such_task") is None


TINY = (
    "optimization.update_freq=[1]", "task.batch_seconds=5", "dataset.max_tokens=640000",
    "checkpoint.save_interval_updates=0", "dataset.disable_validation=true",
    "lr_scheduler._name=fixed", "task.group_sampling=uniform",
)  # fmt: skip


@pytest.fixture
def home(tmp_path, tiny_data, tiny_checkpoint) -> Path:
    (tmp_path / "data").symlink_to(tiny_data)
    (tmp_path / "tiny.pt").symlink_to(tiny_checkpoint)
    return tmp_path


def test_train_is_fairseq_hydra_train_and_the_same_command_resumes(home, command_server):
    options = [*TINY, "task.data=data", "model.w2v_path=tiny.pt", "criterion.objective=erm"]
    train = [str(BIN / "fairseq-dro"), "train", "demo", *options]
    command_server.run([*train, "optimization.max_update=1"], home)
    run_folder = home / "runs" / "demo" / "erm"
    again = command_server.run([*train, "optimization.max_update=2"], home).stdout
    assert re.findall("^changed.*", again, re.MULTILINE) == []
    assert "(epoch 1 @ 1 updates)" in (run_folder / "hydra_train.log").read_text()
    starts = [json.loads(line) for line in (run_folder / "run.jsonl").read_text().splitlines()]
    assert [start["command"] for start in starts] == [
        [*train, f"optimization.max_update={n}"] for n in (1, 2)
    ]
    assert starts[0]["folder"] == str(home)
    command_server.run(
        [str(BIN / "fairseq-hydra-train"), "--config-dir", str(shipped_folder()), "--config-name",
         "demo", *options, "optimization.max_update=2", "hydra.run.dir=stock"], home,
    )  # fmt: skip
    ours, stock = ((f / ".hydra" / "config.yaml").read_text() for f in (run_folder, home / "stock"))
    assert ours == stock
    other = ["criterion.loss_reduction=batch_mean", "optimization.lr=[0.25]"]
    finished = command_server.run([*train, "optimization.max_update=2", *other], home).stdout
    (changed,) = re.findall("^changed +(.*)", finished, re.MULTILINE)
    assert "criterion.loss_reduction=batch_mean (was utterance_mean)" in changed
    assert changed.startswith("since update 2: ") and "name another hydra.run.dir" in changed
    assert changed.count("[0.25] (was [0.002])") == 1 and "nothing to do" in finished


def test_hydras_own_arguments_pass_through_in_any_place(home, command_server):
    mine = home / "mine.yaml"
    mine.write_text(find_recipe("demo").read_text())
    data = ["task.data=data", "model.w2v_path=tiny.pt", "+task.labels=ltr"]
    train = [str(BIN / "fairseq-dro"), "train"]
    shown = command_server.run([*train, "--cfg", "job", "mine.yaml", *data], home).stdout
    assert yaml.safe_load(shown)["task"]["labels"] == "ltr"
    shown = command_server.run(
        [*train, "mine", "-cd", ".", "task.labels=wrd", "--package", "task", "-c", "job"], home
    ).stdout
    assert yaml.safe_load(shown)["labels"] == "wrd"
    command_server.run(
        [*train, "mine.yaml", *data, *TINY, "optimization.max_update=1", "-m", "common.seed=1,2"],
        home,
    )
    runs = home / "runs" / "demo" / "ctc_dro"
    assert [(runs / n / "checkpoints/checkpoint_last.pt").exists() for n in "01"] == [True, True]


def test_train_works_as_the_script_of_a_launcher(home, command_server):
    """Two workers with the variables that torchrun sets; on CPUs they talk by gloo unasked."""
    command_server.run(
        [str(BIN / "fairseq-dro"), "train", "demo", *TINY, "task.data=data",
         "model.w2v_path=tiny.pt", "optimization.max_update=1",
         "distributed_training.distributed_world_size=2"],
        home, workers=2,
    )  # fmt: skip
    start = json.loads((home / "runs/demo/ctc_dro/run.jsonl").read_text())
    assert start["workers"] == 2


HYDRA_TRAIN = str(BIN / "fairseq-hydra-train")
DEMO = ["--config-dir", str(shipped_folder()), "--config-name", "demo"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no task is chosen: start with a recipe, as in `fairseq-dro train demo"),
        (["task=language_grouped_audio_finetuning"], "no model is chosen"),
        ([*DEMO], "task.data is missing: type task.data=FOLDER"),
        ([*DEMO, "task.data=dota"], "task.data=dota does not exist: did you mean data?"),
        ([*DEMO, "task.data=data"], "model.w2v_path is missing"),
        ([*DEMO, "task.data=data", "model.w2v_path=tiny"], "did you mean tiny.pt?"),
        ([*DEMO[:2], "--config-name", "mms_ctc"], "fairseq-dro train mms criterion.objective=erm"),
    ],
)  # fmt: skip
def test_fairseq_hydra_train_says_what_is_missing_before_there_is_a_run_folder(
    home, command_server, arguments, says
):
    done = command_server.run([HYDRA_TRAIN, *arguments], home, check=False)
    *_, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 2 and sentence.startswith("error: ") and says in sentence
    assert "Traceback" not in done.stdout
    assert sorted(path.name for path in home.iterdir()) == ["data", "tiny.pt"]


def test_a_data_folder_of_another_task_is_not_asked_for(tmp_path):
    from omegaconf import OmegaConf

    cfg = {"task": {"_name": "audio_finetuning", "data": "a:b"}, "model": {"_name": "wav2vec_ctc"}}
    require_inputs(OmegaConf.create(cfg))
    cfg["task"]["_name"] = "language_grouped_audio_finetuning"
    with pytest.raises(UserError, match="task.data=a:b does not exist"):
        require_inputs(OmegaConf.create(cfg))
