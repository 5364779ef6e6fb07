"""The page as text: whole or absent, nothing from elsewhere, narrations are no markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from sumlctl.errors import SumlError
from sumlctl.report import page
from sumlctl.report.content.origins import Origin
from tests.builders import write_clips
from tests.unit.learning import small_world
from tests.unit.report import told_world

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "input", "img", "br", "hr", "use", "path"}


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of scripts; checks that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)


@pytest.fixture(scope="module")
def text(world, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "here" / "page.html"
    assert page.write(world, "mine", out) == out
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    return out.read_text(encoding="utf-8")


def test_it_needs_nothing_from_elsewhere(text) -> None:
    elements = Elements(text)
    for tag, attributes in elements.found:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            address = attributes.get(name) or ""
            assert address.startswith(("#", "data:")) or not address, (tag, name, address)
    assert not re.search(r"@import|url\((?!#|\$\{)", text)
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|import\(", text)


def test_the_browser_runs_its_own_scripts_alone(text) -> None:
    (policy,) = (
        attributes["content"]
        for _, attributes in Elements(text).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_ids_are_unique_and_links_lead_somewhere(text) -> None:
    elements = Elements(text).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for tag, a in elements if tag == "a" and a["href"].startswith("#")]
    assert set(links) <= set(ids)


def test_it_tells_what_is_known(text) -> None:
    for said in ("SUM-L", "colour 7", "87.5", "dark", "mine over other", "sumlctl train mine"):
        assert said in text
    (films,) = re.findall(r'id="films-data">(.*?)</script>', text)
    assert len(json.loads(films)) == 16
    digest = hashlib.sha256(b"weights of mine").hexdigest()
    assert digest in text
    # Its checkpoint is none: the maps are absent, and the page says why.
    assert "stage_two.pt: not a checkpoint" in text


def test_the_same_bytes_each_time(world, tmp_path, text) -> None:
    again = page.write(world, "mine", tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == text


def test_narrations_are_no_markup(own_world, tmp_path) -> None:
    evil = [EVIL, "<!--<script>", "]]>", "\u2028", "a & b", '"', "'", "{{ 7 * 7 }}"]
    write_clips(
        own_world,
        "ego",
        evil,
        vocabulary={"verbs": [[EVIL], ["b"]], "nouns": [[EVIL]] * 8},
        verbs=[[i // 4] for i in range(8)],
        nouns=[[i] for i in range(8)],
        video_id=[f"v{i}" for i in range(8)],
        status=["ok"] * 8,
    )
    told_world.write_pairs(own_world, evil)
    shutil.rmtree(own_world.root / "runs")
    for number, run in enumerate(("other", "mine")):
        told_world.write_run(own_world, run, number)
    settings = own_world.run("mine") / "pipeline.toml"
    title = f"title = {json.dumps(EVIL)}\n" + re.sub(r'title = ""\n', "", settings.read_text())
    settings.write_text(title, encoding="utf-8")
    text = page.write(own_world, "mine", tmp_path / "page.html").read_text(encoding="utf-8")
    elements = Elements(text)
    assert not [a for tag, a in elements.found if tag == "img" or "onerror" in a]
    assert sum(tag == "script" for tag, _ in elements.found) == 5
    data = next(json.loads(s) for s in elements.scripts if s.startswith('{"clips"'))
    assert data["said"] == evil
    assert "49" not in [s.strip() for s in elements.scripts]


def test_without_a_run_data_and_pairs(own_world) -> None:
    shutil.rmtree(own_world.root / "runs")
    written = page.write(own_world)
    assert written == own_world.root / "report.html"
    text = written.read_text(encoding="utf-8")
    assert "Data and pseudo-pairs of ego" in text
    assert text.count("No run yet. Make one with <code>sumlctl train</code>.") == 3
    assert 'id="films-data"' in text


def test_with_annotations_alone(workspace) -> None:
    write_clips(workspace, "ego", ["open door"])
    text = page.write(workspace).read_text(encoding="utf-8")
    assert "videos.parquet: table is missing" in text
    assert "no pairs yet. Make one with <code>sumlctl mine-pairs" in text
    assert "films-data" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    Elements(text)


def test_without_videos_metrics_or_log(own_world, capsys) -> None:
    small_world.write_videos_table(
        own_world, "ego", own_world.data("ego", "videos"), status=["missing"] * 8
    )
    run = own_world.run("mine")
    (run / "metrics.parquet").unlink()
    (run / "log.jsonl").unlink()
    text = page.write(own_world, "mine").read_text(encoding="utf-8")
    assert "No previews. ego: no fpv clip of split train has a video" in text
    assert "metrics.parquet: table is missing. Make it with <code>sumlctl eval</code>." in text
    assert "log.jsonl: log is missing" in text
    assert "colour 7" in text
    assert capsys.readouterr().err.count("not in the report") == 4
    own_world.table("ego", "clips").write_bytes(b"no table")
    page.write(own_world, "mine")
    assert capsys.readouterr().err.count("clips.parquet: not a whole Parquet file") == 1


def test_a_lineage_from_elsewhere(world, tmp_path) -> None:
    told = Origin("the study's table", "ab" * 32, "same", {}, ())
    out = tmp_path / "page.html"
    text = page.write(world, "mine", out, previews=0, maps=0, lineage=told).read_text()
    assert "the study&#39;s table" in text
    assert "abababababab" in text
    assert hashlib.sha256(b"weights of mine").hexdigest() not in text


def test_a_folder_is_not_replaced(world, tmp_path) -> None:
    with pytest.raises(SumlError, match="would replace a folder"):
        page.write(world, "mine", tmp_path)


def test_whole_or_absent(world, tmp_path, monkeypatch) -> None:
    out = tmp_path / "page.html"
    out.write_text("before", encoding="utf-8")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(SumlError, match="the disk is full"):
        page.write(world, "mine", out, previews=0, maps=0)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert out.read_text(encoding="utf-8") == "before"


def test_names_errors_and_settings_are_no_markup(own_world, tmp_path) -> None:
    """Whatever else comes from files: video ids, errors, loss terms, settings, cards."""
    small_world.write_videos_table(
        own_world,
        "ego",
        own_world.data("ego", "videos"),
        status=["unreadable"] + ["ok"] * 7,
        error=[EVIL] + [None] * 7,
        video_id=[EVIL] + [f"v{i}" for i in range(1, 8)],
    )
    card = own_world.manifests / "ego.toml"
    said = "".join(f"{key} = {json.dumps(EVIL)}\n" for key in ("title", "licence", "citation"))
    body = 'homepage = "javascript:alert(3)"\nviewpoints = ["fpv"]\nreader = { name = "epic" }\n'
    card.write_text(said + body + 'videos = { paths = ["{video_id}"] }\n', encoding="utf-8")
    log = own_world.run("mine") / "log.jsonl"
    place = {"stage": "stage_one", "epoch": 0, "step": 1, "loss": 1.0, "learning_rate": 0.1}
    event = {"event": "steps", **place, "terms": {EVIL: 1.0, "$\\frac{$": 2.0, "=1+1": 3.0}}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
    told = Origin(EVIL, EVIL, "changed", {EVIL: EVIL}, ())
    out = tmp_path / "page.html"
    page.write(own_world, "mine", out, previews=0, maps=0, lineage=told)
    elements = Elements(out.read_text(encoding="utf-8"))
    assert not [a for tag, a in elements.found if tag == "img" or "onerror" in a]
    assert sum(tag == "script" for tag, _ in elements.found) == 5
    assert "javascript:" not in out.read_text(encoding="utf-8")
    tables = next(json.loads(s) for s in elements.scripts if s.startswith('{"'))
    assert not [text for text in tables.values() for line in text.splitlines() if line[0] in "=+@"]
