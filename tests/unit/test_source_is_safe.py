"""What the source does not do: run what it reads, or believe it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sumlctl

PACKAGE = Path(sumlctl.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Between a process and those that it started itself, through pipes that nobody else has.
OWN_PROCESSES = {"jobs/worker.py", "jobs/ray.py", "jobs/pool.py"}
MODULES = {"yaml", "marshal", "shelve", "dill", "cloudpickle", "joblib", "tarfile", "pty", "code"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.startfile"),
    *("os.execv", "os.execvp", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("shutil.unpack_archive", "pandas.read_pickle", "tempfile.mktemp", "zipfile.extract"),
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The dotted name of each call in a file, as it is written there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_nothing_that_is_read_is_run(path: Path) -> None:
    here = path.relative_to(PACKAGE).as_posix()
    assert not {name.split(".")[0] for name in imported(path)} & MODULES
    for name, call in calls(path):
        assert name not in CALLS, name
        assert keyword(call, "shell") in (None, "False"), name
        assert name.rpartition(".")[2] not in {"extractall", "read_pickle"}, name
        if name in ("pickle.load", "pickle.loads", "pickle.Unpickler"):
            assert here in OWN_PROCESSES
        if name.endswith("torch.load"):
            assert here == "learning/weights/torch_files.py"
            assert keyword(call, "weights_only") == "True"
        if name in ("np.load", "numpy.load"):
            assert keyword(call, "allow_pickle") == "False"
        if name in ("json.load", "json.loads"):  # through `documents`, which bounds the nesting
            assert here in {
                *("config/documents.py", "tables/io.py", "jobs/units.py", "datasets/synthetic.py"),
                "evaluation/submission.py",
            }


def test_torch_files_and_pickles_have_one_reader_each() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): name
        for path in SOURCES
        for name, _ in calls(path)
        if name.endswith("torch.load") or "Unpickler(" in f"{name}("
    }
    assert found == {
        "learning/weights/torch_files.py": "torch.load",
        "tables/unpickle.py": "_PlainUnpickler",
    }


def test_modules_are_imported_by_name_where_the_name_is_the_programs_own() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        for name, _ in calls(path)
        if name.endswith("import_module")
    }
    assert found == {
        "config/registry.py",  # one of the names that it has listed
        *("evaluation/bootstrap.py", "evaluation/compare.py", "evaluation/evaluate.py"),
        "learning/training/runlog.py",  # TensorBoard and Weights & Biases
    }


def test_templates_mark_as_safe_what_we_drew_ourselves() -> None:
    safe = []
    for path in sorted((PACKAGE / "report" / "template").glob("*.html")):
        text = path.read_text(encoding="utf-8")
        safe += [part.split("|safe")[0].rsplit("{{", 1)[-1].strip() for part in text.split("}}")
                 if "|safe" in part]  # fmt: skip
        assert "autoescape" not in text
    assert sorted(safe) == ["one.logarithmic", "one.svg", "script", "style"]


def test_scripts_put_text_into_the_page_as_text() -> None:
    for path in (PACKAGE / "report" / "template").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text
