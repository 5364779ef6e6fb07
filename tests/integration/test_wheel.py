"""The wheel works away from the checkout and brings its cards and pipelines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package out of its wheel; dependencies come from this environment.

    The wheel is built in a copy of the checkout that has been used as a workspace.
    """
    copy, dist, site = (tmp_path_factory.mktemp(name) for name in ("copy", "dist", "site"))
    for name in ("sumlctl", "pipelines", "manifests"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    (copy / "manifests" / "ek55").mkdir(exist_ok=True)
    (copy / "manifests" / "ek55" / "clips.parquet").write_bytes(b"PAR1")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist))
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    (wheel,) = dist.glob("*.whl")
    install = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target")
    subprocess.run((*install, str(site), str(wheel)), check=True, capture_output=True)
    return site


def run(site: Path, folder: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = (sys.executable, *words)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_it_is_the_installed_package(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import sumlctl; print(sumlctl.__file__)")
    assert Path(where.strip()).is_relative_to(installed)


def test_film_comes_along_and_is_read(installed: Path, tmp_path: Path) -> None:
    code = "from sumlctl.video.installation import FILM, read_film; read_film(); print(FILM)"
    assert Path(run(installed, tmp_path, "-c", code).strip()).is_relative_to(installed)


def test_pipelines_and_cards_come_along(installed: Path, tmp_path: Path) -> None:
    pipelines = json.loads(run(installed, tmp_path, "-m", "sumlctl", "pipelines", "--json"))
    assert {p["name"] for p in pipelines} == {
        p.stem for p in (CHECKOUT / "pipelines").glob("*.toml")
    }
    assert all(Path(p["file"]).is_relative_to(installed) for p in pipelines)
    cards = json.loads(run(installed, tmp_path, "-m", "sumlctl", "datasets", "--json"))
    assert {c["name"] for c in cards} == {p.stem for p in (CHECKOUT / "manifests").glob("*.toml")}


def test_the_page_of_a_report_comes_along(installed: Path) -> None:
    folder = Path("sumlctl", "report", "template")
    assert {p.name for p in (installed / folder).iterdir()} == {
        p.name for p in (CHECKOUT / folder).iterdir()
    }
    assert (installed / folder / "page.html").is_file()


def test_produced_tables_stay_out_of_the_wheel(installed: Path) -> None:
    assert list(installed.rglob("*.parquet")) == []
    assert (installed / "sumlctl" / "_shipped" / "pipelines" / "demo.toml").is_file()
