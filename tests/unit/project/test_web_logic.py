"""The panel's logic, run by Node's own test runner, and what the page and the pack have to agree on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cointeract_pack.cointeract_core.drawing.plot import _panels
from cointeract_pack.cointeract_core.training.run.curves import COLUMNS

LONGEST_LINE, LONGEST_FILE = 120, 300
OLDEST_NODE = 20  # its runner is stable from here on


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not installed; its test runner checks the page's logic.")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js {version.strip()} is older than {OLDEST_NODE}; a newer one checks the page's logic.")
    return program


def run(node: str, repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([node, *arguments], cwd=repo, capture_output=True, encoding="utf-8", check=False)


def test_node_finds_nothing_wrong(node, repo):
    files = sorted(path.relative_to(repo).as_posix() for path in (repo / "tests" / "web").glob("*.test.mjs"))
    assert len(files) == 3
    done = run(node, repo, "--test", "--test-reporter=tap", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= 20


def test_every_script_is_valid(node, repo):
    for path in sorted((repo / "web").rglob("*.js")):
        done = run(node, repo, "--check", str(path))
        assert done.returncode == 0, done.stderr


def test_the_page_knows_every_curve(node, repo):
    program = "import('./web/lib/layout.js').then(m => console.log(JSON.stringify(m.CURVES.map(c => c.name))))"
    done = run(node, repo, "--input-type=module", "--eval", program)
    assert sorted(json.loads(done.stdout)) == sorted(COLUMNS)
    style = (repo / "web" / "cointeract.css").read_text(encoding="utf-8")
    assert sorted(re.findall(r'\[data-curve="(\w+)"\]', style)) == sorted(COLUMNS)


def test_curves_have_the_colours_of_the_drawn_plot(repo):
    """A run's curves are the same lines on the page and in the picture it leaves."""
    style = (repo / "web" / "cointeract.css").read_text(encoding="utf-8")
    shown = dict(re.findall(r'\[data-curve="(\w+)"\] \{ --curve: #([0-9a-f]{6});', style))
    drawn = {curve.column: bytes(curve.colour).hex() for panel in _panels() for curve in panel.curves}
    assert len(shown) > 8
    assert {name: drawn[name] for name in shown} == shown


def test_page_and_server_use_the_same_names(repo):
    """`host/page/live.py` needs a host to be imported, so its text is read."""
    server = (repo / "cointeract_core" / "host" / "page" / "live.py").read_text(encoding="utf-8")
    page = (repo / "web" / "training.js").read_text(encoding="utf-8")
    for name in re.findall(r'^EVENT, ROUTE = "(.+)", "(.+)"$', server, re.MULTILINE)[0]:
        assert f'"{name}"' in page


def test_only_one_script_names_the_pages_modules(repo):
    naming = [path.name for path in (repo / "web").rglob("*.js") if "/scripts/" in path.read_text(encoding="utf-8")]
    assert naming == ["host.js"]


def test_scripts_fetch_nothing_from_elsewhere(repo):
    for path in (repo / "web").rglob("*.[jc]s*"):
        addresses = set(re.findall(r"https?://[^\s\"'`]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_scripts_are_small(repo):
    for path in [*(repo / "web").rglob("*.[jc]s*"), *(repo / "tests" / "web").iterdir()]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= LONGEST_FILE, path.name
        wide = [number for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]
        assert wide == [], path.name
