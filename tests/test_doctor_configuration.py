"""The doctor on configurations: every unknown key at once, values that contradict each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data.data_utils import compute_mask_indices
from omegaconf import OmegaConf

from fairseq_dro.cli import main
from fairseq_dro.conv_layers import parse_layers
from fairseq_dro.doctor import configuration, contradictions
from fairseq_dro.errors import UserError
from fairseq_dro.models.wav2vec2 import LAYERS, frames_of, require_drawable_masks
from fairseq_dro.tasks.grouped_audio_options import IGNORED
from tests.conftest import TINY_SIZES
from tests.doctor_folder import doctor, write_clean_folder
from tests.in_process import make_model, make_task
from tests.stock_commands import REPOSITORY

CONFIG = REPOSITORY / "examples" / "xlsr_dro" / "config"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_clean_folder(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def findings(capsys, clean, tiny_checkpoint):
    """Exit status and findings of a recipe with overrides."""

    def examine(*overrides: str, config_dir: Path = CONFIG, name: str = "finetune"):
        return doctor(
            capsys, clean, "--audio-per-language", "0", "--config-dir", str(config_dir),
            "--config-name", name, f"model.w2v_path={tiny_checkpoint}",
            "optimization.update_freq=[1]", "model.mask_channel_length=8", *overrides,
        )  # fmt: skip

    return examine


@pytest.mark.parametrize("name", ["finetune", "mms.yaml"])
def test_nothing_is_found_in_a_recipe(findings, name):
    assert findings(name=name) == (0, {})


def test_options_are_read_as_training_reads_them(findings):
    assert findings("dataset.valid_subset=valid,test") == (0, {})


def test_a_launcher_is_chosen_as_for_training(findings):
    assert findings("hydra/launcher=basic", "hydra.sweep.dir=runs") == (0, {})
    status, found = findings("hydra/launcher=submitit_slum")
    assert status == 1 and "load hydra/launcher/submitit_slum" in found["bad_configuration"]["what"]
    assert "install the plugin" in found["bad_configuration"]["fix"]


def test_every_unknown_key_is_named_with_the_nearest(capsys, clean, tmp_path):
    text = (CONFIG / "finetune.yaml").read_text()
    text = text.replace("  smoothing:", "  smothing:").replace("  num_workers:", "  n_workers:")
    (tmp_path / "mine.yaml").write_text(text)
    status = main(
        ["doctor", str(clean), "--audio-per-language", "0", "--config-dir", str(tmp_path),
         "--config-name", "mine", "task.batch_second=3", "modle.w2v_path=x"]
    )  # fmt: skip
    out = capsys.readouterr().out
    assert status == 1
    for said in (
        "criterion.smothing (mine.yaml) is not an option\n    -> did you mean criterion.smoothing",
        "dataset.n_workers (mine.yaml) is not an option\n    -> did you mean dataset.num_workers",
        "task.batch_second (command line) is not an option\n    -> did you mean task.batch_seconds",
        "modle.w2v_path (command line) is not an option\n    -> did you mean model",
    ):
        assert said in out


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.max_tokens=many", "many"),
        ("task.batch_seconds=five", "task.batch_seconds: Value 'five'"),
        ("optimization.update_freq=8", "optimization.update_freq: Invalid value"),
        ("task.eval_wer_config.beem=4", "task.eval_wer_config.beem: Key 'beem'"),
        ("task=audio_finetuning", "Could not override 'task'"),
        ("task.batch_seconds", "task.batch_seconds"),
    ],
)
def test_a_value_or_sign_with_which_nothing_composes(findings, override, said):
    status, found = findings(override)
    assert status == 1 and said in found["bad_configuration"]["what"]
    assert found["bad_configuration"]["fix"]


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ('criterion.step_size="0,001"', "write criterion.step_size=0.001"),
        ("criterion.step_size=small", "write criterion.step_size=NUMBER"),
        ("optimization.max_update=1e3", "write optimization.max_update=1000"),
        ("optimization.max_update=1.5", "write optimization.max_update=N, a whole number"),
        ("common.fp16=ja", "write common.fp16=true or false"),
    ],
)
def test_a_value_that_is_no_number_is_told_how_to_write_it(findings, override, fix):
    assert findings(override)[1]["bad_configuration"]["fix"] == fix


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("task._name=language_groupd_audio_finetuning", "language_grouped_audio_finetuning"),
        ("criterion._name=group_dro", "criterion._name=group_dro_ctc"),
        ("optimizer._name=adamm", "optimizer._name=adam"),
        ("lr_scheduler._name=tri", "tri_stage"),
        ("model._name=wav2vec_ct", "model._name=wav2vec_ctc"),
    ],
)
def test_a_name_that_nothing_has_is_told_with_those_that_exist(
    findings, override, fix, monkeypatch
):
    monkeypatch.delattr(configuration, "examine_configuration")  # importing fairseq takes seconds
    status, found = findings(override)
    assert status == 1 and fix in found["unknown_option"]["fix"]
    assert found["unknown_option"]["what"] == f"{override} (command line) is not an option"


def test_a_part_of_a_user_dir_is_known(findings, tmp_path):
    package = tmp_path / f"mine_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from dataclasses import dataclass\n"
        "from fairseq.criterions import register_criterion\n"
        "from fairseq_dro.criterions.ctc import GroupDroCtcCriterion\n"
        "from fairseq_dro.criterions.group_dro_options import GroupDroCtcConfig\n"
        "@dataclass\nclass Config(GroupDroCtcConfig):\n    gamma: float = 1.0\n"
        "@register_criterion('mine_for_the_doctor', dataclass=Config)\n"
        "class Mine(GroupDroCtcCriterion):\n    pass\n"
    )
    text = (CONFIG / "finetune.yaml").read_text()
    text = text.replace("_name: group_dro_ctc", "_name: mine_for_the_doctor\n  gamma: 2.0")
    (tmp_path / "mine.yaml").write_text(text)
    status, found = findings(f"common.user_dir={package}", config_dir=tmp_path, name="mine")
    assert "unknown_option" not in found
    status, found = findings(f"common.user_dir={package}", "criterion.gama=2",
                             config_dir=tmp_path, name="mine")  # fmt: skip
    assert status == 1 and "criterion.gamma" in found["unknown_option"]["fix"]


def test_a_section_that_does_not_exist_is_one_finding(capsys, clean, tmp_path):
    text = (CONFIG / "finetune.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("lr_scheduler:", "lr_schedular:"))
    assert main(["doctor", str(clean), "--config-dir", str(tmp_path), "--config-name", "mine"]) == 1
    out = capsys.readouterr().out
    assert out.count("error: ") == 1 and "-> did you mean lr_scheduler?" in out


def test_options_that_change_nothing_are_named_by_the_doctor_and_by_training(
    findings, tiny_data, caplog
):
    ignored = {"dataset.curriculum": 2, "dataset.grouped_shuffling": True,
               "dataset.required_batch_size_multiple": 4, "dataset.combine_valid_subsets": True,
               "task.eval_wer": True, "task.text_compression_level": "low"}  # fmt: skip
    assert {*ignored, "task.eval_bleu"} == {option for option, *_ in IGNORED}
    for option, value in ignored.items():
        found = findings(f"{option}={str(value).lower()}")[1]["option_ignored"]
        assert found["severity"] == "warning" and option in found["what"] and found["fix"]
    task = make_task(tiny_data, **{key.split(".")[1]: value for key, value in ignored.items()})
    task.load_dataset("train")
    said = [record.getMessage() for record in caplog.records]
    for option, value in ignored.items():
        assert sum(f"{option}={str(value).lower()} has no effect" in one for one in said) == 1


@pytest.mark.parametrize(
    ("overrides", "said_by_kind"),
    [
        (["criterion.objective=best"], {"out_of_range": "criterion.objective=best is not a rule"}),
        (
            ["criterion.step_size=-1", "task.length_noise=3", "criterion.dro_start_update=13000",
             "lr_scheduler.phase_ratio=[0.1,0.4,0.6]", "task.normalize=false",
             "optimization.skip_remainder_batch=true", "criterion.post_process=sentencepiece",
             "task.language_token=true", "task.batch_seconds=100"],
            {"out_of_range": "task.length_noise=3", "q_never_moves": "13000",
             "phase_ratio": "does not sum to 1",
             "normalize_differs": "pre-trained with normalize=true",
             "drops_utterances": "every epoch", "post_process": "letters are joined",
             "token_not_in_dictionary": "[deu], [ell], [rus]",
             "batch_exceeds_memory": "80 s, less than", "batch_not_filled": "3 languages"},
        ),
        (
            ["criterion.dro_start_update=0", "model.freeze_finetune_updates=20000",
             "model.w2v_path=nowhere.pt", "dataset.valid_subset=dev",
             "task.group_by=language+corpus"],
            {"q_moves_on_the_head": "frozen until update 20000", "encoder_never_trained": "20000",
             "wrong_checkpoint": "nowhere.pt is not a file",
             "unreadable_split": "dev.tsv does not exist",
             "no_column": "train.corpus does not exist"},
        ),
        (
            ["dataset.max_tokens=30000", "task.batch_seconds=1"],
            {"longer_than_memory": "dataset.max_tokens=30000", "language_left_out": "deu, rus"},
        ),
    ],
)  # fmt: skip
def test_contradictions_are_all_found_at_once(findings, overrides, said_by_kind):
    status, found = findings(*overrides)
    assert status == 1
    for kind, said in said_by_kind.items():
        assert said in found[kind]["what"], kind
    sentences = {"out_of_range", "wrong_checkpoint", "unreadable_split", "no_column"}
    assert {kind for kind, one in found.items() if not one["fix"]} <= sentences


def test_a_run_without_end_or_groups_and_tokens_that_stand_twice(capsys, clean, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(clean, data)
    languages = (data / "train.lang").read_text().split()
    targets = zip(languages, (data / "train.ltr").read_text().splitlines())
    (data / "train.ltr").write_text("".join(f"[{iso}] {text}\n" for iso, text in targets))
    options = ("--audio-per-language", "0", "--config-dir", str(CONFIG), "--config-name",
               "finetune")  # fmt: skip
    _, found = doctor(
        capsys, data, *options, "optimization.max_update=0", "task.language_token=true"
    )
    assert found["no_end"]["severity"] == "warning"
    assert found["option_missing"]["what"] == "model.w2v_path has no value"
    assert found["token_twice"]["count"] == len(languages)
    assert doctor(capsys, data, *options, "task.n=1")[1]["unknown_option"]["severity"] == "error"
    found = contradictions._parts(
        OmegaConf.create({"task": {"_name": "audio_finetuning"},
                          "criterion": {"_name": contradictions.CRITERION}})
    )  # fmt: skip
    assert [finding.kind for finding in found] == ["parts_do_not_fit"]


@pytest.mark.parametrize("share", [0.25, 0.5])
@pytest.mark.parametrize("length", [8, 9, 16, 17])
def test_a_mask_is_refused_where_fairseq_can_fail_to_draw_one(share, length):
    def draws() -> bool:
        for seed in range(300):
            np.random.seed(seed)
            try:
                compute_mask_indices((2, 32), None, share, length)
            except IndexError:
                return False
        return True

    options = {
        "apply_mask": True, "mask_channel_prob": share, "mask_channel_length": length,
        "mask_prob": 0.5, "no_mask_overlap": False, "no_mask_channel_overlap": False,
    }  # fmt: skip
    if draws():
        require_drawable_masks(options, width=32)
    else:
        with pytest.raises(UserError, match=f"mask_channel_length={int(32 * share)} or less"):
            require_drawable_masks(options, width=32)
        require_drawable_masks({**options, "apply_mask": False}, width=32)
        require_drawable_masks({**options, "mask_channel_prob": 0.0}, width=32)


def test_training_refuses_a_mask_that_cannot_be_drawn_and_decoding_does_not(
    tiny_data, tiny_checkpoint
):
    options = {"mask_channel_prob": 0.25, "mask_channel_length": 64, "apply_mask": True}
    with pytest.raises(UserError, match="of the pre-trained model's 32 channels is less than one"):
        make_model(make_task(tiny_data), tiny_checkpoint, **options)
    make_model(make_task(tiny_data, allow_unseen=True), tiny_checkpoint, **options)


def test_masks_without_overlap_need_a_numpy_that_fairseq_knows(findings):
    found = findings("model.no_mask_overlap=true")[1]
    assert ("mask_not_drawable" in found) == (not hasattr(np, "int"))


def test_validation_stops_at_what_does_not_fit_unless_it_is_skipped(findings):
    options = ("dataset.max_tokens=40000", "task.batch_seconds=2")
    status, found = findings(*options, "dataset.skip_invalid_size_inputs_valid_test=false")
    assert status == 1 and found["longer_than_memory"]["severity"] == "error"
    assert "stops validation" in found["longer_than_memory"]["what"]
    status, found = findings(*options)
    assert found["longer_than_memory"]["severity"] == "warning"


def test_a_fine_tuned_checkpoint_is_no_place_to_start(findings, tiny_checkpoint, tmp_path):
    state = torch.load(tiny_checkpoint, weights_only=False)
    state["cfg"]["model"]["w2v_path"] = "xlsr2_300m.pt"
    torch.save(state, tmp_path / "tuned.pt")
    status, found = findings(f"model.w2v_path={tmp_path / 'tuned.pt'}")
    assert status == 1 and "is a fine-tuned checkpoint" in found["wrong_checkpoint"]["what"]


def test_targets_are_measured_by_the_layers_of_the_file(findings, tiny_checkpoint, tmp_path):
    """A model of eight times the stride has an eighth of the frames: 12 for 17 units."""
    state = torch.load(tiny_checkpoint, weights_only=False)
    state["cfg"]["model"]["conv_feature_layers"] = "[(32, 10, 5)] + [(32, 3, 2)] * 9"
    torch.save(state, tmp_path / "coarse.pt")
    status, found = findings(f"model.w2v_path={tmp_path / 'coarse.pt'}")
    assert status == 1 and found["target_too_long"]["count"] > 60
    status, found = findings(
        f"model.w2v_path={tmp_path / 'coarse.pt'}", "task.skip_infeasible=true"
    )
    assert status == 0 and found["target_too_long"]["severity"] == "warning"


def test_frames_are_those_of_the_model(tiny_data, tiny_checkpoint):
    layers = parse_layers(TINY_SIZES["conv_feature_layers"])
    assert [layer[1:] for layer in layers] == [layer[1:] for layer in LAYERS]
    model = make_model(make_task(tiny_data), tiny_checkpoint)
    n_samples = np.arange(400, 40_000, 37)
    encoder = model.w2v_encoder.w2v_model
    expected = encoder._get_feat_extract_output_lengths(torch.from_numpy(n_samples)).numpy()
    np.testing.assert_array_equal(frames_of(n_samples, layers), expected)
    with pytest.raises(ValueError):
        parse_layers("__import__('os').system('true')")


def test_batches_are_planned_for_all_workers_of_the_run(clean, tiny_checkpoint):
    for n_workers, n_batches in ((1, 4), (3, 12)):
        settings, _ = configuration.examine_configuration(
            clean, CONFIG, "finetune",
            [f"model.w2v_path={tiny_checkpoint}", "optimization.update_freq=[4]",
             f"distributed_training.distributed_world_size={n_workers}"],
        )  # fmt: skip
        assert settings.workers * settings.micro_batches == n_batches


def test_another_data_folder_among_the_overrides_is_refused(clean, findings, capsys):
    arguments = ["doctor", str(clean), "--config-dir", str(CONFIG), "--config-name", "demo"]
    assert main([*arguments, "task.data=/nowhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and f"task.data=/nowhere is typed and {clean} is" in captured.err
    assert findings(f"task.data='{clean}/../{clean.name}/'") == (0, {})


def test_a_configuration_that_is_none_is_a_usage_error(clean, tmp_path, capsys):
    shutil.copy(CONFIG / "demo.yaml", tmp_path)
    (tmp_path / "bad.yaml").write_text("task:\n  a: [1\n")
    (tmp_path / "flat.yaml").write_text("task: language_grouped_audio_finetuning\n")
    (tmp_path / "junk.yaml").write_bytes(bytes(range(128, 256)))
    (tmp_path / "empty").mkdir()
    arguments = ["doctor", str(clean), "--config-dir", str(tmp_path / "empty"), "--config-name"]
    assert main([*arguments, "demo"]) == 2
    assert f"{tmp_path}/empty holds no configuration; name" in capsys.readouterr().err
    for name, said in (
        ("other", f"{tmp_path} holds bad, demo, flat, junk; name another folder with --config-dir"),
        ("bad", "bad.yaml:3 is not YAML"),
        ("flat", "flat.yaml: task holds no options"), ("junk", "junk.yaml:1 is not UTF-8"),
    ):  # fmt: skip
        arguments = ["doctor", str(clean), "--config-dir", str(tmp_path), "--config-name", name]
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert said in captured.err and captured.out == ""
