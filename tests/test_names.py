"""Run ids say how a run differs from its experiment's file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.arguments import DEFAULT_CONFIG, read_arguments
from project.cli.main import CLI
from project.run.folder import group_of

WITH = DEFAULT_CONFIG.parent / "with"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], ""),
        (
            ["--optimizer.lr=0.003", "--model.batch_norm=true", "--optimizer=AdamW"],
            "",
        ),  # as the file has it
        (["--config", str(WITH / "ema.yaml")], "+ema"),
        (
            ["--config", str(WITH / "ema.yaml"), "--trainer.callbacks.decay=0.9"],
            "+ema-decay.9",
        ),
        (["--config", str(WITH / "mixup.yaml"), "--optimizer.lr", "0.05"], "+mixup.2-lr.05"),
        (["--data.mix=Mixup", "--data.mix.alpha=.2", "--optimizer.lr=5e-2"], "+mixup.2-lr.05"),
        (["--data.mix=CutMix", "--data.mix.alpha=1"], "+cutmix1"),
        (
            ["--optimizer=SGD", "--optimizer.lr=0.1", "--optimizer.momentum=0.9"],
            "+sgd-lr.1-momentum.9",
        ),
        (["--optimizer", "SGD", "--model.init_args.dropout", "0"], "+sgd-dropout0"),
        (["--model.hidden=[64,64]", "--model.batch_norm=false"], "+hidden64x64-no_batch_norm"),
        (["--model.activation=tanh", "--data.augment=null"], "+activation_tanh-no_augment"),
        (["--seed_everything=3", "--trainer.max_epochs=2"], "+max_epochs2-seed3"),
        (["--seed_everything=0"], ""),
        (["--data.num_folds=5", "--data.fold=2", "--seed_everything=1"], "+num_folds5-fold2-seed1"),
        (
            [
                "--trainer.devices=8",
                "--trainer.strategy=ddp",
                "--data.root=/x",
                "--wandb.tags=[a]",
                "--runs_dir=y",
            ],
            "",
        ),
        (["--adapt_to_machine=false"], ""),
        (["--trainer.precision=bf16-mixed", "--optimizer.lr=10"], "+precision_bf16_mixed-lr10"),
        (["--model.weights=/a/b c/x.pt"], "+weights_a_b_c_x.pt"),
        (["--data.augment=[{degrees: 3}]"], "+augment_degrees_3"),
        (["--optimizer.class_path=SGD", "--optimizer.lr=0.1"], "+sgd-lr.1"),
        (
            ["--model_checkpoint.monitor=val/acc", "--model_checkpoint.dirpath=x"],
            "+monitor_val_acc",
        ),
    ],
)
def test_difference(args: list[str], said: str) -> None:
    assert read_arguments(["fit", "--config", str(DEFAULT_CONFIG), *args]).overrides == said


ADD = "--trainer.callbacks+="
MONITOR = "--trainer.callbacks.monitor="


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([f"{ADD}EarlyStopping"], "+earlystopping"),
        ([f"{ADD}EarlyStopping", f"{MONITOR}val/acc"], "+earlystopping-monitor_val_acc"),
        ([f"{ADD}Lookahead", f"{ADD}EarlyStopping"], "+lookahead-earlystopping"),
        ([f"{ADD}EarlyStopping", f"{ADD}Lookahead"], "+earlystopping-lookahead"),
        ([f"{ADD}Lookahead", f"{ADD}Lookahead"], "+lookahead-lookahead"),
        (
            [
                f"{ADD}EarlyStopping",
                f"{MONITOR}a",
                f"{ADD}EarlyStopping",
                f"{MONITOR}b",
                f"{MONITOR}c",
            ],
            "+earlystopping-monitor_a-earlystopping-monitor_c",
        ),
        ([ADD + "{class_path: A, init_args: {x: 1}}", ADD + "B"], "+a-x1-b"),
        (
            [
                ADD + "[{class_path: A, init_args: {x: 1}}, {class_path: B}]",
                "--trainer.callbacks.y=2",
            ],
            "+a-x1-b-y2",
        ),
        (
            ["--data.augment+=Flip", "--data.augment+=Crop", "--data.augment.padding=2"],
            "+augment+_flip-augment+_crop-padding2",
        ),
        (["--trainer.logger+=A", "--trainer.logger+=B"], "+logger+_a-logger+_b"),
        (["--trainer.plugins+=A", "--trainer.plugins+=B"], "+plugins+_a-plugins+_b"),
        (["--model.hidden+=[64,32]", "--model.hidden+=16"], "+hidden+64x32-hidden+16"),
        (["--wandb.tags+=a", "--wandb.tags+=b"], ""),
    ],
)
def test_every_appended_item_is_named_with_its_arguments(args: list[str], said: str) -> None:
    assert read_arguments(["fit", "--config", str(DEFAULT_CONFIG), *args]).overrides == said


def test_items_of_overlays_are_named_as_flags_are(tmp_path: Path) -> None:
    folder = tmp_path / "with"
    folder.mkdir()
    overlay = "trainer:\n  callbacks+:\n    - {class_path: EarlyStopping, init_args: {monitor: val/acc}}\n"
    for name, text in (("one", overlay), ("two", overlay + "    - class_path: Lookahead\n")):
        (folder / f"{name}.yaml").write_text(text)
    one, two = (["--config", str(folder / f"{name}.yaml")] for name in ("one", "two"))
    flags = [f"{ADD}EarlyStopping", f"{MONITOR}val/acc"]
    for args, same in (
        (two, [*flags, f"{ADD}Lookahead"]),
        ([*one, *one], [*flags, *flags]),
        ([*one, *one, f"{MONITOR}val/loss"], [*flags, flags[0], f"{MONITOR}val/loss"]),
        (
            [*one, f"{ADD}Lookahead", "--trainer.callbacks.every=7"],
            [*flags, f"{ADD}Lookahead", "--trainer.callbacks.every=7"],
        ),
    ):
        first, second = (
            read_arguments(["fit", "--config", str(DEFAULT_CONFIG), *words])
            for words in (args, same)
        )
        assert first.overrides == second.overrides != ""


def test_experiment_without_a_file_is_named_by_model_and_data() -> None:
    arguments = read_arguments(
        ["fit", "--model=MLP", "--model.hidden=[64]", "--data=Digits", "--seed_everything=2"]
    )
    assert (arguments.experiment, arguments.overrides) == ("mlp_digits", "+hidden64-seed2")


@pytest.mark.parametrize("model", ["--model.class_path=MLP", '--model={"class_path": "MLP"}'])
def test_long_spellings_of_a_class_mean_the_same(model: str) -> None:
    assert read_arguments(["fit", model, "--data.class_path=Digits"]).experiment == "mlp_digits"


def test_a_long_difference_is_cut_and_still_its_own() -> None:
    many = [f"--model.an_argument_{i}=1.25" for i in range(9)]
    first, second = (read_arguments(["fit", *many, f"--model.last={i}"]).overrides for i in (1, 2))
    assert len(first) < 80
    assert first != second


def test_groups_leave_out_seed_and_fold() -> None:
    assert [group_of(d) for d in ("", "+seed1", "+lr.5-seed12", "+num_folds5-fold2-seed1")] == [
        "",
        "",
        "+lr.5",
        "+num_folds5",
    ]


def test_run_is_called_so(fit: Callable[..., CLI]) -> None:
    run = fit("--trainer.max_epochs=1", "--optimizer.lr=0.01", "--seed_everything=4").run
    assert run.folder.parent == Path("runs/digits").absolute()
    assert run.id.endswith("+max_epochs1-lr.01-seed4")
    assert run.group == "digits+max_epochs1-lr.01"
