"""The pack as the host loads it: from any folder, quickly, and only into a host that is new enough."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = ("__init__.py", "nodes", "cointeract_core", "web")
TIMED = """
import sys, time
sys.path.insert(0, {host!r})
from comfy.cli_args import args
args.cpu = True
import utils.extra_config, comfy.sd, comfy.samplers, folder_paths, latent_preview, comfy_api.latest
import comfy_extras.nodes_wan
import importlib.util
begun = time.perf_counter()
where = {pack!r} + "/__init__.py"
spec = importlib.util.spec_from_file_location("some_pack", where, submodule_search_locations=[{pack!r}])
pack = importlib.util.module_from_spec(spec)
sys.modules["some_pack"] = pack
spec.loader.exec_module(pack)
import asyncio
asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
print(round(time.perf_counter() - begun, 3), "librosa" in sys.modules)
"""


@pytest.fixture
def copied(repo, tmp_path):
    """The pack's own files in a folder with another name, on a path with spaces."""
    folder = tmp_path / "my custom nodes" / "renamed pack (1)"
    folder.mkdir(parents=True)
    for part in PARTS:
        source = repo / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def test_any_folder_will_do(copied, host):
    import nodes

    before = set(nodes.NODE_CLASS_MAPPINGS)
    assert asyncio.run(nodes.load_custom_node(str(copied), module_parent="custom_nodes"))
    added = set(nodes.NODE_CLASS_MAPPINGS) - before
    assert len(added) == 14
    assert all(name.startswith("CoInteract") for name in added)
    assert nodes.EXTENSION_WEB_DIRS["renamed pack (1)"] == str(copied / "web")
    for name in added:
        del nodes.NODE_CLASS_MAPPINGS[name]


def test_loads_in_under_a_second(copied, host):
    """In a process of its own, beyond what the host has loaded by then."""
    code = TIMED.format(host=str(host), pack=str(copied))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=copied)
    assert ran.returncode == 0, ran.stderr
    seconds, librosa_loaded = ran.stdout.split()[-2:]
    assert float(seconds) < 1.0
    assert librosa_loaded == "False"


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("0.3.66", "CoInteract needs ComfyUI 0.3.75 or newer, but this is 0.3.66; update ComfyUI."),
        ("0.2.99", "CoInteract needs ComfyUI 0.3.75 or newer, but this is 0.2.99; update ComfyUI."),
    ],
)
def test_old_hosts_are_refused_in_one_sentence(version, sentence, monkeypatch):
    import comfyui_version

    from cointeract_pack.cointeract_core.host.version import check_host_version

    monkeypatch.setattr(comfyui_version, "__version__", version)
    with pytest.raises(ImportError) as refusal:
        check_host_version()
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("version", ["0.3.75", "0.33.0", "0.38.1", "1.0.0", "0.4.0rc1", "nightly"])
def test_newer_hosts_are_taken(version, monkeypatch):
    import comfyui_version

    from cointeract_pack.cointeract_core.host.version import check_host_version

    monkeypatch.setattr(comfyui_version, "__version__", version)
    check_host_version()


def test_registering_twice_leaves_one_entry(host):
    import comfy.supported_models

    from cointeract_pack.cointeract_core.host.model.registration import CoInteractConfig, register

    register()
    register()
    names = [entry.__name__ for entry in comfy.supported_models.models]
    assert names.count(CoInteractConfig.__name__) == 1


def test_help_is_there_for_every_node(repo, host):
    from cointeract_pack.nodes import NODES

    pages = {path.stem for path in Path(repo / "web" / "docs").glob("*.md")}
    assert pages == {node.GET_SCHEMA().node_id for node in NODES}
