"""`embed` gives what sentence-transformers gives for a folder, and notices an edited folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.narrations import choose, fingerprint
from sumlctl.narrations import embed as module
from sumlctl.narrations.embed import embed
from sumlctl.workspace import Workspace
from tests.builders import vectors_of, write_clips

WORDS = ["open", "close", "the", "door", "take", "cup", "put", "plate", "cut", "bread", "a", "on"]
WORDS += ["query", "passage", ":"]
TEXTS = ["open the door", "take a cup", "cut bread", "put the plate on the cup " * 5, "Close door"]
PROMPTS = {"prompts": {"query": "query: ", "passage": "passage : the "}}
POOLING = "1_Pooling/config.json"


@pytest.fixture(scope="module", autouse=True)
def nothing_loaded_stays() -> Iterator[None]:
    yield
    module._loaded.cache_clear()


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*marks, *WORDS])}, "[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, ends)
    return words


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """A BERT of two small layers with random weights and a word tokenizer, from one seed."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    names = ("pad", "unk", "cls", "sep", "mask")
    special = {f"{name}_token": f"[{name.upper()}]" for name in names}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(), model_max_length=64, **special)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).eval().save_pretrained(folder)
    return folder


def build(bert: Path, folder: Path, *more: Any, mode: str = "mean", **saved: Any) -> Path:
    """A model folder of this BERT, a pooling and further modules; `saved` are its settings."""
    from sentence_transformers import SentenceTransformer, models

    first = models.Transformer(str(bert), max_seq_length=24)
    SentenceTransformer(
        modules=[first, models.Pooling(16, pooling_mode=mode), *more], device="cpu"
    ).save(str(folder))
    edit(folder / "config_sentence_transformers.json", **saved)
    return folder


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def theirs(folder: Path, texts: list[str] = TEXTS, **options: Any) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    return model.encode(texts, normalize_embeddings=True, **options)


def ours(workspace: Workspace, folder: Path, prompt_name: str | None = None) -> np.ndarray:
    write_clips(workspace, "a", TEXTS)
    choice = choose.choose(str(folder), prompt_name)
    (done,) = embed(["a"], workspace, choice, device="cpu")
    found = vectors_of(done.written)
    return np.stack([found[text] for text in TEXTS])


def dense(folder: Path, bert: Path) -> Path:
    import torch
    from sentence_transformers import models

    torch.manual_seed(1)
    return build(bert, folder, models.Dense(16, 6, bias=True), models.Normalize())


def sharded(folder: Path, bert: Path) -> Path:
    from transformers import AutoModel

    build(bert, folder)
    (folder / "model.safetensors").unlink()
    AutoModel.from_pretrained(str(bert)).save_pretrained(str(folder), max_shard_size="8KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


def legacy(folder: Path, bert: Path) -> Path:
    """Everything of the transformer in `0_Transformer/`, the weights as a pickle."""
    import torch
    from safetensors.torch import load_file

    build(bert, folder)
    first = folder / "0_Transformer"
    first.mkdir()
    for file in [f for f in folder.iterdir() if f.is_file()]:
        if file.name not in ("modules.json", "config_sentence_transformers.json"):
            file.rename(first / file.name)
    torch.save(load_file(first / "model.safetensors"), first / "pytorch_model.bin")
    (first / "model.safetensors").unlink()
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def static(folder: Path, bert: Path) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding

    torch.manual_seed(2)
    first = StaticEmbedding(tokenizer(), embedding_dim=12)
    SentenceTransformer(modules=[first], device="cpu").save(str(folder))
    return folder


def apart(folder: Path, bert: Path) -> Path:
    build(bert, folder, **PROMPTS, default_prompt_name="query")
    edit(folder / POOLING, include_prompt=False)
    return folder


def half(folder: Path, bert: Path) -> Path:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(build(bert, folder)), device="cpu").half().save(str(folder))
    return folder


def plain(folder: Path, bert: Path) -> Path:
    """A folder of transformers alone, of which the library pools the mean."""
    shutil.copytree(bert, folder)
    return folder


KINDS: dict[str, Callable[[Path, Path], Path]] = {
    **{
        mode: lambda folder, bert, mode=mode: build(bert, folder, mode=mode)
        for mode in ("mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens")
    },
    "dense": dense,
    "default prompt": lambda f, bert: build(bert, f, **PROMPTS, default_prompt_name="query"),
    "prompt left out of the pooling": apart,
    "truncate_dim": lambda f, bert: build(bert, f, truncate_dim=8),
    "sharded": sharded,
    "legacy": legacy,
    "static": static,
    "plain": plain,
}


@pytest.mark.parametrize("kind", KINDS)
def test_embed_equals_the_library(kind: str, bert: Path, tmp_path: Path, workspace) -> None:
    folder = KINDS[kind](tmp_path / "model", bert)
    found, right = ours(workspace, folder), theirs(folder)
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert np.abs(right[0] - right[1]).max() > 1e-2  # the tiny model tells texts apart


def test_embed_equals_the_library_in_half_precision(bert, tmp_path, workspace) -> None:
    folder = half(tmp_path / "model", bert)
    np.testing.assert_allclose(ours(workspace, folder), theirs(folder), atol=1e-3)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("prompt_name", ["query", "passage", None])
def test_embed_uses_the_named_prompt(
    prompt_name: str | None, include_prompt: bool, bert, tmp_path, workspace
) -> None:
    folder = build(bert, tmp_path / "model", **PROMPTS)
    edit(folder / POOLING, include_prompt=include_prompt)
    right = theirs(folder, prompt_name=prompt_name)
    np.testing.assert_allclose(ours(workspace, folder, prompt_name), right, atol=1e-5)


def test_choose_lists_the_prompts_that_there_are(bert, tmp_path) -> None:
    folder = build(bert, tmp_path / "model", **PROMPTS)
    with pytest.raises(SumlError, match="no such prompt, got document; expected passage or query"):
        choose.choose(str(folder), "document")
    with pytest.raises(SumlError, match="expected none, since it names no prompts"):
        choose.choose("hashed", "query")


def pool_cls(folder: Path) -> None:
    """Writes the pooling in the words of all versions of the library."""
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / POOLING).write_text(json.dumps({"word_embedding_dimension": 16} | modes))


def other_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(
        {k: v * 1.1 for k, v in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def other_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text())
    vocabulary = found["model"]["vocab"]
    vocabulary["open"], vocabulary["cut"] = vocabulary["cut"], vocabulary["open"]
    path.write_text(json.dumps(found))


def no_normalize(folder: Path) -> None:
    path = folder / "modules.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:-1]))


SETTINGS = "config_sentence_transformers.json"
EDITS: dict[str, Callable[[Path], None]] = {
    "pooling": pool_cls,
    "truncated dimensions": lambda f: edit(f / SETTINGS, truncate_dim=4),
    "default prompt": lambda f: edit(f / SETTINGS, **PROMPTS, default_prompt_name="query"),
    "length": lambda f: edit(f / "tokenizer_config.json", model_max_length=8),
    "tokenizer": other_tokenizer,
    "weights": other_weights,
    "dense weights": lambda f: shutil.copy(*dense_of_another_seed(f)),
    "modules": no_normalize,
}


def dense_of_another_seed(folder: Path) -> tuple[Path, Path]:
    from safetensors.torch import load_file, save_file

    path, other = folder / "2_Dense" / "model.safetensors", folder.parent / "other"
    save_file({k: v * -1 for k, v in load_file(path).items()}, other)
    return other, path


@pytest.mark.parametrize("what", EDITS)
def test_embed_starts_over_after_an_edit(what: str, bert, tmp_path, workspace, capsys) -> None:
    folder = dense(tmp_path / "model", bert)
    ours(workspace, folder)
    EDITS[what](folder)
    found = ours(workspace, folder)
    assert (
        "starting over: narrations.model.parquet was made with another" in capsys.readouterr().err
    )
    np.testing.assert_allclose(found, theirs(folder), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["README.md", "onnx/model.onnx", "openvino/openvino_model.bin", "eval/scores.csv"]
)
def test_embed_keeps_vectors_that_a_file_cannot_shape(name: str, bert, tmp_path, workspace) -> None:
    folder = build(bert, tmp_path / "model")
    ours(workspace, folder)
    before = workspace.narrations("a", "model").read_bytes()
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"other")
    ours(workspace, folder)
    assert workspace.narrations("a", "model").read_bytes() == before


def test_embed_starts_over_for_another_folder_of_the_same_name(bert, tmp_path, workspace, capsys):
    ours(workspace, build(bert, tmp_path / "a" / "model"))
    other = build(bert, tmp_path / "b" / "model", mode="max")
    np.testing.assert_allclose(ours(workspace, other), theirs(other), atol=1e-5)
    assert "made with another pooling, tokenizer or other model file" in capsys.readouterr().err


def test_fingerprint_is_of_contents_and_not_of_places(bert, tmp_path) -> None:
    folder = build(bert, tmp_path / "a")
    copy = shutil.copytree(folder, tmp_path / "b")
    linked = tmp_path / "c"
    shutil.copytree(folder, linked)
    (linked / "model.safetensors").unlink()
    (linked / "model.safetensors").symlink_to(folder / "model.safetensors")
    shutil.copy(folder / "model.safetensors", copy / "pytorch_model.bin")  # the library reads one
    prints = {choose.choose(str(path)).fingerprint for path in (folder, copy, linked)}
    assert len(prints) == 1


def test_files_ends_where_links_go_in_a_circle(tmp_path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    (tmp_path / "again").symlink_to(tmp_path)
    assert fingerprint.files(tmp_path) == ["model.safetensors"]


def forget_fingerprint(path: Path) -> None:
    """Makes a table as it was before encoders had fingerprints."""
    table = tables.read(path, "narrations")
    made_by = tables.metadata(table, "encoder")
    old = {key: made_by[key] for key in ("name", "weights_sha256", "dimension")}
    kept = {key: tables.metadata(table, key) for key in ("inputs", "config")}
    tables.write(table, path, "narrations", extra={"encoder": old}, **kept)


def test_an_older_table_is_kept_where_its_vectors_are_the_encoders(
    bert, tmp_path, workspace, capsys
) -> None:
    folder = build(bert, tmp_path / "model")
    before = ours(workspace, folder)
    path = workspace.narrations("a", "model")
    forget_fingerprint(path)
    (done,) = embed(["a"], workspace, choose.choose(str(folder)), device="cpu")
    assert done.encoded == 0
    assert "5 of its vectors are this encoder's, so it is kept" in capsys.readouterr().err
    assert np.array_equal(np.stack([vectors_of(path)[text] for text in TEXTS]), before)
    made_by = tables.metadata(tables.read(path, "narrations"), "encoder")
    assert made_by["fingerprint"] == choose.choose(str(folder)).fingerprint


def test_an_older_table_of_another_pooling_is_made_again(bert, tmp_path, workspace, capsys) -> None:
    folder = build(bert, tmp_path / "model")
    ours(workspace, folder)
    forget_fingerprint(workspace.narrations("a", "model"))
    pool_cls(folder)
    np.testing.assert_allclose(ours(workspace, folder), theirs(folder), atol=1e-5)
    assert "the same weights but another pooling, prompt or tokenizer" in capsys.readouterr().err


def embed_sides(workspace: Workspace, fpv: choose.Choice, tpv: choose.Choice) -> None:
    write_clips(workspace, "ego", ["open door", "take cup"])
    write_clips(workspace, "exo", ["close door", "put a cup"], viewpoint=["tpv"] * 2)
    for dataset, choice in (("ego", fpv), ("exo", tpv)):
        list(embed([dataset], workspace, choice, device="cpu"))


def test_mine_refuses_two_poolings_of_the_same_weights(bert, tmp_path, workspace) -> None:
    one = choose.choose(str(build(bert, tmp_path / "a" / "model")))
    other = choose.choose(str(build(bert, tmp_path / "b" / "model", mode="cls")))
    assert one.weights_sha256 == other.weights_sha256
    embed_sides(workspace, one, other)
    with pytest.raises(SumlError, match=r"another encoder.*other pooling, tokenizer"):
        mine("ego", ["exo"], workspace, MiningSettings())


def test_mine_refuses_two_prompts_of_one_model(bert, tmp_path, workspace) -> None:
    folder = str(build(bert, tmp_path / "model", **PROMPTS))
    embed_sides(workspace, choose.choose(folder, "query"), choose.choose(folder, "passage"))
    with pytest.raises(SumlError, match=r"prompt 'passage : the '; .* \(other prompt\)"):
        mine("ego", ["exo"], workspace, MiningSettings())


def test_mine_warns_of_tables_without_a_fingerprint(bert, tmp_path, workspace, capsys) -> None:
    choice = choose.choose(str(build(bert, tmp_path / "model")))
    embed_sides(workspace, choice, choice)
    mine("ego", ["exo"], workspace, MiningSettings())
    assert "fingerprints" not in capsys.readouterr().err
    forget_fingerprint(workspace.narrations("exo", "model"))
    mine("ego", ["exo"], workspace, MiningSettings())
    assert "exo/narrations.model.parquet was made before encoders had" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "found", "message"),
    [
        ("modules.json", [{"path": "", "type": "os.system"}], "code of its own, got os.system"),
        ("modules.json", [{"path": ""}], "code of its own, got KeyError"),
        ("modules.json", 7, "code of its own, got TypeError"),
        ("router_config.json", {"types": {"a": "mine.Module"}}, "code of its own, got mine.Module"),
        ("1_Pooling/wordembedding_config.json", {"tokenizer_class": "mine.T"}, "got mine.T"),
        ("1_Pooling/config.json", {"activation_function": "os.getcwd"}, "got os.getcwd"),
        (
            "modules.json",
            [{"path": "../x", "type": "sentence_transformers.models.Transformer"}],
            "a module lies outside the model's folder, got ../x",
        ),
        ("config.json", {"auto_map": {"AutoModel": "m.M"}, "model_type": "own"}, "cannot load"),
        ("adapter_config.json", {}, "an adapter whose base model is elsewhere"),
    ],
)
def test_embed_refuses_code_and_files_from_elsewhere(
    file: str, found: Any, message: str, bert, tmp_path, workspace
) -> None:
    folder = build(bert, tmp_path / "model")
    (folder / file).write_text(json.dumps(found))
    (folder / "m.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass M: pass\n")
    with pytest.raises(SumlError, match=message):
        ours(workspace, folder)
    assert not (tmp_path / "ran").exists()
