import ast
import re
from pathlib import Path

import pytest

from fer_jax import command, train
from fer_jax.config import default_config, from_config_dict, recipe, to_dict
from fer_jax.config.command_line import read_config
from fer_jax.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def refused(capsys, *argv: str) -> str:
    assert command.run(train.main, argv) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_configuration_survives_a_round_trip_through_json_like_values():
    config = from_config_dict(default_config().to_dict())
    assert from_config_dict(to_dict(config)) == config


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--config.epohs=3", "did you mean config.epochs?"),
        ("--config.optim.learning_rat=1", "did you mean config.optim.learning_rate?"),
        ("--config.learning_rate=1", "did you mean config.optim.learning_rate?"),
        ("--config.data.on_eror=skip", "did you mean config.data.on_error?"),
        ("--config.epochs=many", "many"),
        ("--config.epochs=-1", "expected 0 or more"),
        ("--config.data.on_error=ignore", "expected one of raise, skip"),
        ("--config.model.name=resnet_smal", "did you mean resnet_small?"),
        ("--config.optim.plateau.patience=0", "expected 1 or more"),
        ("--config.optim.plateau.factor=1.5", "expected less than 1"),
        ("--config.loss.label_smoothing=1.5", "less than 1"),
        ("--config.resolution.start=30", "expected 24, 32, 40 or 48"),
        ("--wrkdir=x", "workdir"),
        ("left over", "left over"),
    ],
)
def test_a_bad_argument_ends_in_one_line_that_says_what_to_do(capsys, argument, expected):
    line = refused(capsys, "--config", "configs/base.py", argument)
    assert expected in line


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_recipe_is_a_complete_configuration_and_states_its_command(path):
    from_config_dict(recipe(path.stem))
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert f"fer-jax train --config {path.stem}" in told
    assert re.search(r"\d+ epochs?\b", told)
    assert re.search(r"\d\d\.\d %|Not measured yet", told)


def test_a_recipe_in_the_current_folder_is_used_only_by_path(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.py").write_text("raise SystemExit('taken for the shipped one')")
    (tmp_path / "own.py").write_text(
        "from fer_jax.config import recipe\n"
        "def get_config():\n    config = recipe('crowd')\n    config.epochs = 3\n    return config\n"
    )
    monkeypatch.chdir(tmp_path)
    config, file = read_config("own.py", ["--config.seed=9"])
    assert (config.epochs, config.seed, config.data.labels) == (3, 9, "votes")
    assert file.name == "own.py"
    config, file = read_config("base", [])
    assert file == CONFIGS / "base.py"
    assert config.optim.name == "muon"


def test_the_classic_network_trains_with_its_recipe_alone():
    config, _ = read_config("seed", [])
    assert config.model.name == "seed_cnn"
    assert (config.optim.schedule, config.optim.name) == ("plateau", "adamw")
    assert (config.optim.weight_decay, config.resolution.start) == (0.0, 48)


def test_a_missing_configuration_file_is_named(capsys):
    assert "configs/none.py" in refused(capsys, "--config=configs/none.py")
    assert "did you mean crowd?" in refused(capsys, "--config", "crwd")
    assert "adjusted, base, crowd" in refused(capsys, "--config", "xyz")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("def get_config(:", "SyntaxError"),
        ("import not_there", "not_there"),
        ("def get_config():\n    return None", "get_config"),
        ("def get_config():\n    raise ValueError('the reason')", "the reason"),
    ],
)
def test_a_broken_configuration_file_is_named_with_what_was_expected(
    capsys, tmp_path, content, expected
):
    file = tmp_path / "mine.py"
    file.write_text(content + "\n")
    said = refused(capsys, f"--config={file}", f"--workdir={tmp_path / 'run'}")
    assert str(file) in said
    assert expected in said
    assert not (tmp_path / "run").exists()


def test_help_lists_the_flags(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "--config RECIPE" in said
    assert "adjusted, base, crowd" in said


def test_an_unknown_key_in_a_configuration_file_is_refused():
    values = default_config().to_dict()
    values["optim"]["lr"] = 0.1
    with pytest.raises(ConfigError, match=r"config\.optim\.lr does not exist"):
        from_config_dict(values)
