"""What readers are given: whole files and texts, and what makes damaged ones of them."""

from __future__ import annotations

import json
import struct

from cointeract_pack.tests.unit.core.mutations import mutated, mutated_bytes

LORA = {"blocks.0.self_attn.q.lora_A.weight": (4, 8), "blocks.0.self_attn.q.lora_B.weight": (8, 4)}
LORA |= {"blocks.0.self_attn.q.alpha": ()}
EXPERTS = {"blocks.0.ffn.router.0.weight": (4, 8), "blocks.0.ffn.hand_expert.fc1.weight": (2, 8)}
BASE = {"head.modulation": (1, 2, 8), "patch_embedding.weight": (8, 16, 1, 2, 2), "blocks.0.self_attn.q.weight": (8, 8)}
S2V = {"casual_audio_encoder.encoder.final_linear.weight": (8, 8), "blocks.0.ffn.0.weight": (8, 8)}
MODEL = {
    **BASE, **S2V, "cointeract.experts.0.router.0.weight": (4, 8), "cointeract.experts.0.hand.fc1.weight": (2, 8),
    "depth_cond_mask.weight": (1, 8),
}  # fmt: skip
CELL = '{"frame_2": [10, 20, 30.5, 40], "frame_6": {"l_h": [1, 2, 3, 4], "r_h": null, "obj": []}, "frame_10_x": []}'
TABLE = (
    "\ufeffprompt,input_video,audio,person_image,product_image,face,hand_object,height,width,scale\r\n"
    'She waves.,a.mp4,b.wav,c.png,,"{""frame_2"": [1, 2, 3, 4]}",,96,64,1.5\r\n'
    '"Two\nlines, with ""quotes""",a.mp4,b.wav,c.png\n'
)
TOML = (
    '[model]\nbase = "b"\nvae = "v"\ntext_encoder = "t"\naudio_encoder = "a"\n[data]\ntable = "t.csv"\nwidth = 480\n'
    'validation_rows = [7]\n[run]\nname = "n"\nsteps = 2000\nseed = 3\n[optimizer]\nlearning_rate = 1e-4\nwarmup = 10\n'
    '[lora]\nrank = 8\ntargets = ["ffn"]\n[memory]\nmode = "48gb"\n'
)
METRICS = "step,loss,rgb,hoi\n1,0.5,,nan\n2,1e-3,inf,\n30,0.25,0.5\n4,0.1"
STATE = json.dumps({"step": 3, "identity": {"a": 1}, "optimiser": {"groups": [], "state": {}}})
PROMPTS = ["She waves.\n---\nShe smiles.\r\n***\r\nIt rains.", "one\n———\ntwo", "a\n \n--\nb"]
NUMBERS = ["3, 8", "1e-4", "12", "0.0001", ","]


def tensor_file(shapes):
    """Bytes of a safetensors file of these shapes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        count = 1
        for side in shape:
            count *= side
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + 2 * count]}
        end += 2 * count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def changed_shapes(shapes, draw):
    """The same names with sides taken, added and changed, so that the file itself stays whole."""
    out = {}
    for name, shape in shapes.items():
        sides = [draw.choice([side, side, 0, 1, 3]) if draw.random() < 0.2 else side for side in shape]
        if draw.random() < 0.3:
            sides = sides[: draw.choice([0, 1, 2])]
        sides += [draw.choice([0, 1, 2, 1 << 62])] if 0 in sides and draw.random() < 0.3 else []
        out[mutated(name, draw, list(shapes)) if draw.random() < 0.2 else name] = sides
    return out


def header_bytes(draw):
    shapes = dict(draw.choice([LORA, LORA | EXPERTS, BASE, BASE | S2V, MODEL | LORA, MODEL]))
    if draw.random() < 0.7:
        shapes = {name.encode("utf-8", "replace").decode(): side for name, side in changed_shapes(shapes, draw).items()}
    data = tensor_file(shapes) if draw.random() < 0.8 else tensor_file(LORA)
    return data if draw.random() < 0.5 else mutated_bytes(data, draw, [tensor_file(BASE), b"GGUF", b"PK\x03\x04"])


def text_of(seeds):
    return lambda draw: mutated(draw.choice(seeds), draw, seeds)


def bytes_of(text):
    def make(draw):
        if draw.random() < 0.5:
            return mutated(text, draw, [text]).encode("utf-8", "surrogatepass")
        return mutated_bytes(text.encode(), draw, [text.encode()])

    return make
