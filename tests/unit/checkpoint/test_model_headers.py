"""Reading headers: whole, damaged, renamed and sharded files, with the exact sentences."""

from __future__ import annotations

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from cointeract_pack.cointeract_core.checkpoint.header import TensorInfo, is_later_shard, read_headers, shard_files
from cointeract_pack.cointeract_core.checkpoint.save import save_adapter, save_tensors
from cointeract_pack.cointeract_core.errors import ModelFileError


def sentence(function, *arguments):
    """What a refused file says."""
    with pytest.raises(ModelFileError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.fixture
def model(tmp_path):
    """A small whole file."""
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(100), "b": torch.zeros(2, 3, dtype=torch.bfloat16)}, path)
    return path


def test_names_shapes_and_types(model):
    assert read_headers([model], "base") == {"a": TensorInfo((100,), "F32"), "b": TensorInfo((2, 3), "BF16")}


@pytest.mark.parametrize("cut", [50, 300, 440])
def test_truncated(model, cut):
    data = model.read_bytes()
    model.write_bytes(data[:-cut])
    assert sentence(read_headers, [model], "base") == (
        f"base model.safetensors is cut off or damaged ({len(data) - cut} bytes do not match its header), but a whole "
        "safetensors file was expected; download it again."
    )


def test_longer_than_its_header(model):
    model.write_bytes(model.read_bytes() + b"more")
    assert "is cut off or damaged" in sentence(read_headers, [model], "base")


def test_empty(tmp_path):
    path = tmp_path / "empty.safetensors"
    path.touch()
    assert sentence(read_headers, [path], "adapter") == (
        "adapter empty.safetensors is empty, but a model was expected; download it again."
    )


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("a PyTorch file (a zipped pickle)", lambda path: torch.save({"a": torch.zeros(3)}, path)),
        (
            "a PyTorch file (a pickle)",
            lambda path: torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False),
        ),
        ("a GGUF file", lambda path: path.write_bytes(b"GGUF" + bytes(100))),
        ("a web page instead of a download", lambda path: path.write_text("\n<!doctype html><html>" * 9)),
        (
            "a Git LFS pointer instead of the file it points to",
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ),
    ],
)
def test_renamed(tmp_path, kind, write):
    path = tmp_path / "x.safetensors"
    write(path)
    assert sentence(read_headers, [path], "base") == (
        f"base x.safetensors is {kind}, but a safetensors file was expected; download the original file, renaming does "
        "not convert it."
    )


def shards(folder, count=4):
    """Names of `count` published shards."""
    return [folder / f"diffusion_pytorch_model-{index + 1:05}-of-{count:05}.safetensors" for index in range(count)]


def test_shards_are_collected_in_order(tmp_path):
    paths = shards(tmp_path)
    for index, path in enumerate(paths):
        save_file({f"t{index}": torch.zeros(index + 1)}, path)
    assert shard_files(paths[0], "base") == paths
    assert shard_files(paths[2], "base") == paths
    assert list(read_headers(paths, "base")) == ["t0", "t1", "t2", "t3"]
    assert [is_later_shard(f"sub/{path.name}") for path in paths] == [False, True, True, True]


def test_missing_shards_are_named(tmp_path):
    paths = shards(tmp_path)
    for path in (paths[0], paths[3]):
        save_file({path.name: torch.zeros(1)}, path)
    assert sentence(shard_files, paths[0], "base") == (
        f"base {paths[0].name} is one of 4 shards, but {paths[1].name}, {paths[2].name} are not beside it; put all 4 "
        "into the same folder."
    )


def test_shards_that_repeat_a_tensor(tmp_path):
    paths = shards(tmp_path, 2)
    for path in paths:
        save_file({"same": torch.zeros(1)}, path)
    assert "repeats tensors of the shards before it (same)" in sentence(read_headers, paths, "base")


def test_saving_leaves_nothing_half_written(tmp_path, model):
    """A disk that fills up while the new file is written."""
    resource = pytest.importorskip("resource", reason="limits on a file's size exist on POSIX systems only")
    before = model.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises((OSError, SafetensorError), match="File too large"):
            save_tensors({"a": torch.zeros(100_000)}, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert model.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


def test_saved_with_metadata(tmp_path):
    path = tmp_path / "new.safetensors"
    value = torch.randn(4, 4).t()
    save_tensors({"a": value}, path, {"rank": "128"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "rank": "128"}
    assert torch.equal(load_file(path)["a"], value)
    assert [file.name for file in tmp_path.iterdir()] == ["new.safetensors"]


def test_adapters_are_saved_under_the_authors_names(tmp_path):
    path = tmp_path / "adapter.safetensors"
    lora = {"diffusion_model.blocks.0.ffn.0.lora_A.weight": torch.zeros(1)}
    save_adapter(lora, {"cointeract.experts.0.hand.fc1.weight": torch.ones(1)}, path)
    names = {"blocks.0.ffn.ffn_base.0.lora_A.default.weight", "blocks.0.ffn.hand_expert.fc1.weight"}
    assert load_file(path).keys() == names
