"""A second run of one name is refused before anything is loaded."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.page.live import run_folder
from cointeract_pack.cointeract_core.host.train import session as training_session
from cointeract_pack.cointeract_core.training.run.engine import LocalEngine
from cointeract_pack.cointeract_core.training.run.run_lock import run_lock


def test_the_second_run_of_a_name_touches_nothing(monkeypatch):
    plan = SimpleNamespace(settings=SimpleNamespace(run=SimpleNamespace(name="locked", steps=1)))
    monkeypatch.setattr(training_session, "_run", lambda *_: pytest.fail("it has begun"))
    with (
        run_lock(run_folder("locked"), "locked"),
        pytest.raises(InputError, match="The run locked is being trained already, by process"),
    ):
        training_session.run_training(plan, engine=LocalEngine(torch.device("cpu")))
