"""Whether W&B logs online: its mode, credentials and server."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.main import CLI
from project.loggers.wandb_setup import resolve_mode
from project.run.folder import find_run
from tests.wandb_files import records


@pytest.mark.slow
def test_credentials_without_a_network_train_offline(
    fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    fit("--trainer.max_epochs=1")
    assert "127.0.0.1 does not answer" in capsys.readouterr().err
    assert records(find_run(Path("runs/digits")))


def test_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert resolve_mode("auto") == "disabled"  # what WANDB_MODE says here
    assert resolve_mode("offline") == "offline"
    monkeypatch.delenv("WANDB_MODE")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert resolve_mode("auto") == "offline"
        assert resolve_mode("online") == "online"
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert resolve_mode("auto") == "online"
