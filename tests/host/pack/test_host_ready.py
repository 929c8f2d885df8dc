"""The tests' host is real, on the path, and keeps its files out of its own tree."""

from pathlib import Path

import folder_paths
import nodes as host_nodes


def test_nodes_is_the_hosts(host):
    assert Path(host_nodes.__file__).parent == host


def test_output_lies_outside_the_tree(host):
    assert not Path(folder_paths.get_output_directory()).is_relative_to(host)
