"""The script that runs the model server, with a `docker` that only tells its arguments."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "serve_tf_serving.sh"
FILES = ("models.config", "batching_params.pbtxt", "monitoring.config")


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "cham"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_bytes(b"")
    return folder


def run(*arguments, docker=None, folder):
    """Runs the script; `docker` is the body of a command of that name, None for none."""
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    for name in ("bash", "sed", "grep", "basename"):
        if not (commands / name).exists():
            (commands / name).symlink_to(f"/usr/bin/{name}")
    if docker is not None:
        (commands / "docker").write_text(f"#!/bin/bash\n{docker}\n")
        (commands / "docker").chmod(0o755)
    return subprocess.run(
        ["/usr/bin/env", "bash", SCRIPT, *map(str, arguments)],
        env={"PATH": str(commands)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_docker_it_says_so_in_a_sentence(base, tmp_path):
    found = run(base, folder=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("Docker must be installed for the model server.")
    assert f"cham serve {base}\n" in found.stderr
    found = run(base, folder=tmp_path, docker="exit 1")
    assert found.stderr.startswith("Docker must be running for the model server.")


def test_it_runs_the_image_at_this_machine_only_with_the_files_that_there_are(base, tmp_path):
    tell = '[ "$1" = info ] || printf "%s\\n" "$@"'
    plain = run(base, folder=tmp_path, docker=tell)
    assert plain.returncode == 0, plain.stderr
    arguments = plain.stdout.splitlines()
    assert arguments[:2] == ["run", "--rm"]
    assert "127.0.0.1:8500:8500" in arguments
    assert "127.0.0.1:8501:8501" in arguments
    assert f"{base}:/models/cham:ro" in arguments
    assert arguments[-2:] == ["MODEL_NAME=cham", "tensorflow/serving:2.20.0"]
    for name in FILES:
        (base / name).write_text('base_path: "/models/cham"')
    with_files = run(base, folder=tmp_path, docker=tell).stdout.splitlines()
    assert with_files[: len(arguments)] == arguments
    assert with_files[len(arguments) :] == [
        "--model_config_file=/models/cham/models.config",
        "--enable_batching",
        "--batching_parameters_file=/models/cham/batching_params.pbtxt",
        "--monitoring_config_file=/models/cham/monitoring.config",
    ]
    # The file says another name.
    renamed = run(base, "fight", folder=tmp_path, docker=tell).stdout.splitlines()
    assert "MODEL_NAME=fight" in renamed
    assert not [argument for argument in renamed if "model_config_file" in argument]
    assert "--batching_parameters_file=/models/fight/batching_params.pbtxt" in renamed


def test_a_wrong_folder_is_named(base, tmp_path):
    found = run(tmp_path / "missing", folder=tmp_path)
    assert found.returncode == 1
    assert "The folder of versions must exist. Received: " in found.stderr
    found = run(tmp_path, folder=tmp_path)
    assert "must hold a version" in found.stderr
    found = run(folder=tmp_path)
    assert found.returncode == 2
    assert "scripts/serve_tf_serving.sh BASE [NAME]" in found.stdout
