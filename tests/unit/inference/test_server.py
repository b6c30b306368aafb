from __future__ import annotations

from pathlib import Path

import pytest

from tetraview.errors import TritonUnavailable
from tetraview.inference.server import TritonServer, model_repository, triton_home

CHECKOUT = Path(__file__).parents[3]


def pretender(folder: Path, script: str) -> TritonServer:
    """A server whose executable is a shell script."""
    executable = folder / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    model = folder / "models" / "any" / "config.pbtxt"
    model.parent.mkdir(parents=True)
    model.touch()
    return TritonServer(home=folder, repository=folder / "models", grpc_port=0, metrics_port=None, ready_seconds=5)


def test_a_missing_installation_says_how_to_install_it(tmp_path: Path) -> None:
    """Without Triton the fault names the folder and the script that fills it."""
    with pytest.raises(TritonUnavailable, match=f"{tmp_path}: run deploy/triton-setup"):
        TritonServer(home=tmp_path).start()


def test_a_repository_without_models_is_told(tmp_path: Path) -> None:
    """A folder that holds no model is named before Triton starts."""
    server = pretender(tmp_path, "exit 1")
    (tmp_path / "models" / "any" / "config.pbtxt").unlink()
    with pytest.raises(TritonUnavailable, match=f"no model in {tmp_path / 'models'}"):
        server.start()


def test_a_server_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    """When the server gives up, the fault holds the end of its log and nothing is left running."""
    server = pretender(tmp_path, "echo this server is not in the mood; exit 3")
    with pytest.raises(TritonUnavailable, match="not in the mood"):
        server.start()
    with pytest.raises(TritonUnavailable, match="not started"):
        server.wait()


def test_a_server_that_never_gets_ready_is_ended_at_the_deadline(tmp_path: Path) -> None:
    """A server that does not become ready in time is stopped."""
    server = pretender(tmp_path, "exec sleep 60")
    with pytest.raises(TritonUnavailable, match=r"not ready after 5 s"):
        server.start()


def test_the_checkout_holds_triton_and_its_models_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Folders and executable are those of the checkout unless the environment overrides them."""
    monkeypatch.delenv("TETRAVIEW_TRITON_HOME", raising=False)
    monkeypatch.delenv("TETRAVIEW_MODEL_REPOSITORY", raising=False)
    assert triton_home() == CHECKOUT / ".triton"
    assert model_repository() == CHECKOUT / "triton_models" / "repository"
    monkeypatch.setenv("TETRAVIEW_TRITON_HOME", "/opt/triton")
    monkeypatch.setenv("TETRAVIEW_MODEL_REPOSITORY", "/opt/models")
    assert (triton_home(), model_repository()) == (Path("/opt/triton"), Path("/opt/models"))


@pytest.mark.parametrize(
    ("words", "starts"),
    [("what():  boost::interprocess::lock_exception", 3), ("failed to load 'x': no such file", 1)],
    ids=["a lost race", "another fault"],
)
def test_a_start_that_lost_a_race_is_tried_again(tmp_path: Path, words: str, starts: int) -> None:
    """Triton that fell over its own shared memory is started again, at most twice; any other end is told at once."""
    server = pretender(tmp_path, f'echo start >> {tmp_path}/starts\necho "{words}"\nexit 1')
    with pytest.raises(TritonUnavailable, match="ended while loading"):
        server.start()
    assert (tmp_path / "starts").read_text().split() == ["start"] * starts
