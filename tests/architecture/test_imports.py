"""What may be imported: ComfyUI by the host layer only, our own by relative names, nothing beyond the requirements."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

HOST_MODULES = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "comfyui_version",
    "execution",
    "folder_paths",
    "latent_preview",
    "node_helpers",
    "protocol",
    "server",
    "utils",
}
NODE_API = "comfy_api"  # what a node is declared with; nodes/ may use it
COMMAND = "__main__.py"  # a doorway: it starts a command
SET_UP = ("scripts/comfyui_setup/", "scripts/graphs/")
ABOVE_THE_HOST = {"host", "verify", "commands"}
OWN_PACKAGES = {"cointeract_core", "nodes", "cointeract_pack"}
HEAVY = {"librosa", "cv2", "av", "scipy", "numba", "sklearn", "transformers", "soundfile", "torchaudio", "torchvision"}
HEAVY |= {"accelerate", "bitsandbytes", "prodigyopt", "schedulefree", "tensorboard", "tomli"}
# the pack's own third-party imports; the host ships all but librosa and cv2; for aiohttp see test_rules.py
ALLOWED = {"aiohttp", "torch", "numpy", "einops", "safetensors", "librosa", "cv2", "av", "PIL", "gguf", "psutil"}
# training uses each where it is asked for; without it an error names the package
OPTIONAL = {"accelerate", "bitsandbytes", "prodigyopt", "schedulefree", "tensorboard", "tomli"}


def imports(tree: ast.AST) -> Iterator[tuple[int, str, int]]:
    """Relative level, module and line of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", node.lineno


def target(source_name: str, level: int, module: str) -> str:
    """Path below the checkout that a relative import leads to."""
    folder = source_name.split("/")[:-1]
    return "/".join([*folder[: len(folder) - level + 1], *module.split(".")]).strip("/")


def test_only_the_host_layer_imports_comfyui(pack):
    wrong = []
    for source in pack:
        in_host = source.name.startswith("cointeract_core/host/")
        for level, module, line in imports(source.tree):
            top = module.split(".")[0]
            allowed = in_host or (top == NODE_API and source.name.startswith("nodes/"))
            if level == 0 and top in HOST_MODULES and not allowed:
                wrong.append(f"{source.name}:{line} imports {module}")
    assert wrong == []


def test_own_imports_are_relative(pack):
    wrong = []
    for source in pack:
        # in the host layer, `nodes` is the host's module of that name
        own = OWN_PACKAGES - ({"nodes"} if source.name.startswith("cointeract_core/host/") else set())
        for level, module, line in imports(source.tree):
            if level == 0 and module.split(".")[0] in own:
                wrong.append(f"{source.name}:{line} imports {module}")
    assert wrong == []


def test_core_never_imports_nodes(pack):
    wrong = [
        f"{source.name}:{line}"
        for source in pack
        if source.name.startswith("cointeract_core/")
        for level, module, line in imports(source.tree)
        if level and target(source.name, level, module).split("/")[0] != "cointeract_core"
    ]
    assert wrong == []


def test_heavy_modules_are_imported_where_they_are_used(pack):
    wrong = []
    for source in pack:
        for node in source.tree.body:
            for level, module, line in imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else ():
                if level == 0 and module.split(".")[0] in HEAVY | OPTIONAL:
                    wrong.append(f"{source.name}:{line} imports {module} when the pack loads")
    assert wrong == []


def test_no_module_beyond_the_requirements(pack):
    known = ALLOWED | OPTIONAL | HOST_MODULES | {"nodes"} | set(sys.stdlib_module_names)
    wrong = []
    for source in pack:
        for level, module, line in imports(source.tree):
            if level == 0 and module.split(".")[0] not in known:
                wrong.append(f"{source.name}:{line} imports {module}")
    assert wrong == []


def test_pure_layers_run_without_a_host(repo):
    """Every module outside the host layer and the nodes imports in an interpreter that has no ComfyUI."""
    modules = []
    for path in sorted((repo / "cointeract_core").rglob("*.py")):
        parts = path.relative_to(repo).with_suffix("").parts
        if parts[1] not in ABOVE_THE_HOST and path.name not in {"__init__.py", COMMAND}:
            modules.append(".".join(("pack", *parts)))
    program = (
        "import importlib, sys, types\n"
        f"pack = types.ModuleType('pack'); pack.__path__ = [{str(repo)!r}]; sys.modules['pack'] = pack\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted(set(sys.modules) & {'comfy', 'librosa', 'cv2', 'av'}))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_set_up_scripts_need_the_standard_library_only(repo, sources):
    """They run before anything is installed; what needs more is imported inside functions."""
    rooms = {path.stem for path in (repo / "scripts").iterdir()}
    wrong = []
    for source in sources:
        if source.name.startswith(SET_UP) or (source.name.startswith("scripts/") and source.name.count("/") == 1):
            for node in source.tree.body:
                for _, module, line in imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else ():
                    if module.split(".")[0] not in rooms | set(sys.stdlib_module_names):
                        wrong.append(f"{source.name}:{line} imports {module}")
    assert wrong == []
