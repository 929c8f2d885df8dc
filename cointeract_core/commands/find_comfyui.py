"""Where ComfyUI is, for what is started from the shell."""

from __future__ import annotations

import sys
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
CUSTOM_NODES = "custom_nodes"


def put_on_path(named: Path | None) -> Path | None:
    """Let ComfyUI's modules be imported, and say where it is; a sentence on stderr where there is none.

    Args:
        named: its folder; by default the one whose custom_nodes this pack lies in, or one that is on the path already.
    """
    inside = [PACK.parent.parent] if PACK.parent.name == CUSTOM_NODES else []
    known = [named] if named else [*inside, *(Path(entry) for entry in sys.path if entry)]
    tree = next((folder.resolve() for folder in known if (folder / "comfy" / "model_base.py").is_file()), None)
    if tree is None:
        sys.stderr.write("No ComfyUI was found: name its folder with --comfyui.\n")
        return None
    # it has a module called nodes, as this checkout has
    sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry or ".").resolve() not in (PACK, tree))]
    return tree
