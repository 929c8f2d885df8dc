"""A real server: a video that is gone is made again, one that is there is not."""

from __future__ import annotations

import pytest

from cointeract_pack.tests.host.video.test_runs import ad, client, follow, shipped  # noqa: F401  fixtures

SAMPLER = "CoInteractSampler"


@pytest.fixture
def queue(ad, client):  # noqa: F811
    """Queue a short ad; whether the sampler ran, and the mp4 files there are."""
    prompt, ids = ad
    prompt[ids[SAMPLER]]["inputs"] |= {"seed": 77, "filename_prefix": "lost/%date:yyyy%_%CoInteractSampler.seed%"}
    prompt[ids["CoInteractSpeechEncoder"]]["inputs"]["max_clips"] = 1

    def run():
        entry = client.wait(client.queue(prompt))
        assert entry["status"]["status_str"] == "success", entry["status"]
        cached = next(data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached")
        return ids[SAMPLER] not in cached, sorted((client.base / "output" / "lost").glob("*.mp4"))

    return run


def test_a_video_that_is_gone_is_made_again_and_one_that_is_there_is_kept(queue):
    ran, (first,) = queue()
    assert ran
    assert first.name.endswith("_77_00001_.mp4")
    assert queue() == (False, [first])
    data = first.read_bytes()
    first.rename(first.with_name("moved away.mp4"))
    ran, files = queue()
    assert ran
    assert len(files) == 2
    assert next(path for path in files if path.name != "moved away.mp4").stat().st_size > len(data) / 2
    assert queue() == (False, files)
