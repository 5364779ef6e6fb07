"""Install, demo and unit tests with the oldest and the newest allowed packages on every Python.

`make matrix`. One environment at a time, in a temporary folder, removed afterwards; no constraints.
The tree that is tried is the last commit. The table goes to `benchmarks/results/matrix.{json,md}`;
rows that a call leaves out stay as they were. Packages are several GB for each environment, most of
it CUDA libraries that uv keeps once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LOGS = ROOT / "build" / "matrix"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = ("lowest-direct", "highest")
SHOWN = ("av", "numpy", "torch", "transformers")
UV = (sys.executable, "-m", "uv")
NOT_TRIED = "not tried"

Row = dict[str, str]


def main() -> None:
    """Try what the command line selects; exit 1 where something failed."""
    wanted = _wanted()
    rows = _earlier()
    for version in wanted.python:
        interpreter = find(version, wanted.interpreter)
        for resolution in wanted.resolution:
            row = {"python": version, "packages": resolution}
            if interpreter is None:
                row["install"] = NOT_TRIED
            else:
                sys.stderr.write(f"{version}, {resolution}: {interpreter}\n")
                row |= attempt(interpreter, row)
            rows[version, resolution] = row
            _write([rows[key] for key in sorted(rows, key=_order)])
    sys.stdout.write((RESULTS / "matrix.md").read_text(encoding="utf-8"))
    tried = [rows[v, r] for v in wanted.python for r in wanted.resolution]
    sys.exit(any("failed" in value for row in tried for value in row.values()))


def find(version: str, given: Sequence[str]) -> Path | None:
    """Return a working interpreter of a version: a given one, one on the PATH, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    candidates = [*map(Path, given), *([Path(on_path)] if on_path else [])]
    candidates += sorted(pyenv.glob(f"{version}.*/bin/python"))
    what = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in candidates:
        # A shim of pyenv is on the PATH for versions that are not switched on, and fails.
        try:
            found = subprocess.run(
                [candidate, "-c", what], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        if found.stdout.startswith(f"{version} "):
            return Path(found.stdout.split(maxsplit=1)[1].strip())
    return None


def attempt(interpreter: Path, row: Row) -> Row:
    """Install, run the demo, then the unit tests, in an environment that is removed afterwards."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{row['python']}-{row['packages']}.log"
    with tempfile.TemporaryDirectory(prefix="sumlctl-matrix-") as folder, log.open("wb") as out:
        tree, env = Path(folder) / "tree", Path(folder) / "env"
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(tree, filter="data")
        python = env / "bin" / "python"

        def passes(*command: object) -> bool:
            words = [str(word) for word in command]
            out.write(f"\n$ {' '.join(words)}\n".encode())
            out.flush()
            return not subprocess.run(
                words, cwd=tree, env=_environment(), stdout=out, stderr=out, check=False
            ).returncode

        resolved = f"--resolution={row['packages']}"
        pip = (*UV, "pip", "install", f"--python={python}", resolved, ".[offline,dev]")
        installed = passes(*UV, "venv", f"--python={interpreter}", env) and passes(*pip)
        done = {"install": _word(installed), "tested": datetime.now(UTC).date().isoformat()}
        if installed:
            done["versions"] = _versions(python)
            done["demo"] = _word(
                passes(env / "bin" / "sumlctl", "demo", f"--workspace={folder}/demo")
            )
            tested = passes(python, "-m", "pytest", "-p", "no:cacheprovider", "tests/unit")
            done["unit tests"] = summary(log) or _word(tested)
    return done


def _environment() -> dict[str, str]:
    shared = os.environ.get("SUMLCTL_SHARED", str(ROOT.parent / "shared"))
    inherited = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return inherited | {"SUMLCTL_SHARED": shared, "HF_HUB_OFFLINE": "1"}


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"


def _versions(python: Path) -> str:
    code = "import sys; from importlib.metadata import version as v; print(*map(v, sys.argv[1:]))"
    found = subprocess.run([python, "-c", code, *SHOWN], capture_output=True, text=True, check=True)
    return ", ".join(map(" ".join, zip(SHOWN, found.stdout.split(), strict=True)))


def summary(log: Path) -> str:
    """Return what pytest counted last, such as `1 failed, 20 passed`; empty for nothing."""
    counted = r"^(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s"
    lines = re.findall(counted, log.read_text("utf-8", "replace"), re.MULTILINE)
    parts = lines[-1].split(", ") if lines else []
    return ", ".join(part for part in parts if "warning" not in part)


def _earlier() -> dict[tuple[str, str], Row]:
    rows = {(v, r): {"python": v, "packages": r, "install": NOT_TRIED} for v, r in _every()}
    path = RESULTS / "matrix.json"
    known = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return rows | {(row["python"], row["packages"]): row for row in known}


def _every() -> Iterator[tuple[str, str]]:
    return ((version, resolution) for version in PYTHONS for resolution in RESOLUTIONS)


def _order(key: tuple[str, str]) -> int:
    return list(_every()).index(key)


def _write(rows: list[Row]) -> None:
    header = ("python", "packages", "versions", "install", "demo", "unit tests", "tested")
    lines = [header, ("---",) * len(header), *([row.get(h, "") for h in header] for row in rows)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (RESULTS / "matrix.md").write_text(text, encoding="utf-8")
    result = {"title": "installations", "rows": rows}
    (RESULTS / "matrix.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _wanted() -> argparse.Namespace:
    given = os.environ.get("MATRIX_PYTHONS", "").split()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=PYTHONS, choices=PYTHONS)
    parser.add_argument("--resolution", nargs="+", default=RESOLUTIONS, choices=RESOLUTIONS)
    parser.add_argument(
        "--interpreter",
        nargs="+",
        default=given,
        help="paths of interpreters, asked before the PATH (also: MATRIX_PYTHONS, by spaces)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
