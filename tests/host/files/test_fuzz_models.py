"""Damaged model files as base and adapter of the loader: a plan, or one sentence."""

from __future__ import annotations

import os
import random

from safetensors.torch import load_file

from cointeract_pack.cointeract_core.host.files.load_model import plan_load
from cointeract_pack.tests.unit.core.mutations import mutated
from cointeract_pack.tests.unit.core.test_fuzz import is_refused, tensor_file

COUNT = int(os.environ.get("COINTERACT_FUZZ", "60"))


def damaged(shapes, draw):
    """The same names and shapes but for a few."""
    out = dict(shapes)
    names = list(shapes)
    for name in draw.sample(names, draw.choice([1, 1, 2, 40])):
        sides = list(out.pop(name))
        kind = draw.randrange(5)
        if kind == 0 and sides:
            sides[draw.randrange(len(sides))] = draw.choice([0, 1, 3, 64])
        elif kind == 1:
            sides = sides[: draw.choice([0, 1])]
        elif kind == 2:
            sides = [0, 1 << 62]
        elif kind == 3:
            name = mutated(name, draw, names).encode("utf-8", "replace").decode()
        else:
            continue
        out[name] = sides
    return out


def test_whatever_a_file_holds_is_planned_or_refused_in_a_sentence(tiny, put, model_folder, registered):
    put("diffusion_models", "base.safetensors", tiny.base())
    put("loras", "adapter.safetensors", tiny.adapter(hoi=True))
    folders = {"base": model_folder("diffusion_models"), "adapter": model_folder("loras")}
    shapes = {
        role: {name: tuple(tensor.shape) for name, tensor in load_file(folders[role] / f"{role}.safetensors").items()}
        for role in folders
    }
    refused = 0
    for number in range(COUNT):
        draw = random.Random(number)
        role = draw.choice(list(folders))
        path = folders[role] / f"damaged {role}.safetensors"
        path.write_bytes(tensor_file(damaged(shapes[role], draw)))
        names = {"base": "base.safetensors", "adapter": "adapter.safetensors", role: path.name}
        refused += is_refused(f"{role} {number}", lambda names=names: plan_load(names["base"], names["adapter"]))
    assert refused > COUNT / 2
