"""Which encoder serves: never a silent download, never a hang, never one for another."""

from __future__ import annotations

import time

import pytest

from sumlctl.errors import SumlError
from sumlctl.narrations import choose


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "cached", lambda name: None)


def fake_package(tmp_path, monkeypatch: pytest.MonkeyPatch, weights: bytes):
    (tmp_path / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(choose, "packaged", lambda: tmp_path)
    return tmp_path


def test_offline_default_gives_way_to_the_package_and_says_so(capsys) -> None:
    if choose.packaged() is None:
        pytest.skip("the extra `offline` is not installed")
    choice = choose.choose(None)
    said = capsys.readouterr().err
    assert choice.name == choose.PACKAGED
    assert choose.DEFAULT in said and choose.PACKAGED in said
    assert choice.weights_sha256 == choose.PACKAGED_SHA256


def test_a_name_that_was_asked_for_is_never_replaced() -> None:
    with pytest.raises(SumlError, match="all-mpnet-base-v2: not on this machine"):
        choose.choose("all-mpnet-base-v2")


def test_altered_package_is_refused(tmp_path, monkeypatch) -> None:
    fake_package(tmp_path, monkeypatch, b"other weights")
    with pytest.raises(SumlError, match="weights of the packaged encoder were altered"):
        choose.choose(choose.PACKAGED)


def test_a_cached_model_is_used_without_a_network(tmp_path, monkeypatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(choose, "cached", lambda name: tmp_path)
    monkeypatch.setattr(choose, "_hub_is_reachable", lambda: pytest.fail("network asked"))
    choice = choose.choose(None)
    assert (choice.name, choice.folder) == (choose.DEFAULT, tmp_path)


def test_a_download_is_announced(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(choose, "_hub_is_reachable", lambda: True)
    monkeypatch.setattr(choose, "_hub", lambda name, *, local: None if local else tmp_path)
    assert choose.choose("some-model").folder == tmp_path
    assert "downloading" in capsys.readouterr().err


def test_a_folder_gives_its_name_and_digest(tmp_path) -> None:
    folder = tmp_path / "my-encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"abc")
    choice = choose.choose(str(folder))
    assert choice.name == "my-encoder"
    # sha256("abc"), FIPS 180-2, appendix B.1
    assert choice.weights_sha256.startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_folder_without_weights_is_refused(tmp_path) -> None:
    with pytest.raises(SumlError, match="no weights"):
        choose.choose(str(tmp_path))


def test_a_hub_that_does_not_answer_costs_seconds_at_most(monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port, closed here
    start = time.monotonic()
    assert choose._hub_is_reachable() is False
    assert time.monotonic() - start < 5
