"""What ComfyUI's own loaders hand over, through the nodes: videos, sound and pictures as their files mean them."""

from __future__ import annotations

import inspect
import io
from fractions import Fraction
from pathlib import Path

import folder_paths
import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl, Types
from nodes import NODE_CLASS_MAPPINGS
from PIL import Image

from cointeract_pack.cointeract_core.clips.parts import PersonReference, Speech
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.conditioning.audio import open_audio
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.files import video_file, workflow
from cointeract_pack.cointeract_core.host.video import make_parts
from cointeract_pack.cointeract_core.media.sound import read_audio
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.nodes import conditioning, references
from cointeract_pack.tests.unit.media.media_files import clip, numbers

SIZE = VideoSize(64, 96)
PERSON = PersonReference(torch.zeros(1, 16, 1, 12, 8), SIZE)
SPEECH = Speech(torch.zeros(25, 8, 80), torch.zeros(1, 1, 48000), 16000, plan_video(75, 1), False)
FRAMES = [n / 25 for n in range(75)]
CAN_TRIM = "start_time" in inspect.signature(InputImpl.VideoFromFile.__init__).parameters


@pytest.fixture
def shown(host, monkeypatch):
    """What would be encoded, by number of the call; nothing is."""
    said: list[torch.Tensor] = []

    def encode(_vae, frames):
        said.append(frames)
        return torch.zeros(1, 16, (len(frames) - 1) // 4 + 1, 12, 8)

    monkeypatch.setattr(make_parts, "encode_frames", encode)
    monkeypatch.setattr(make_parts, "check_vae", lambda _vae: None)
    return said


def run(node, prompt=None, **inputs):
    """Run a node the way ComfyUI does, as node 1 of a workflow; its result and what it said."""
    said: list[str] = []
    prepared = node.PREPARE_CLASS_CLONE({})
    prepared.hidden.prompt, prepared.hidden.unique_id = prompt, "1"
    module = inspect.getmodule(node)
    kept, module.show_text = module.show_text, lambda _node, text: said.append(text)
    try:
        return prepared.execute(**inputs), "\n".join(said)
    finally:
        module.show_text = kept


def pose_numbers(video, shown, **inputs):
    _, said = run(conditioning.PoseEncoder, person=PERSON, speech=SPEECH, vae=None, fps=25.0, video=video, **inputs)
    return numbers(shown[0][1:76]), said


def video_of(path):
    return InputImpl.VideoFromFile(str(path))


class TestPose:
    def test_frames_are_taken_by_their_time_stamps(self, shown, tmp_path):
        times = [*(n / 10 for n in range(16)), *(1.6 + n / 50 for n in range(70))]
        found, _ = pose_numbers(video_of(clip(tmp_path / "c.mkv", times)), shown)
        assert max(abs(times[index] - place / 25) for place, index in enumerate(found)) <= 0.052

    def test_the_published_kind(self, shown, faults):
        """Frames of 10, then 50 a second, which show a brightness for their number; 1.08 s ahead by the mean rate."""
        pose_numbers(video_of(faults / "vfr_pose" / "bug_vfr.mp4"), shown)
        own = shown[0][1:76]
        stamps = [*(n / 10 for n in range(16)), *(1.6 + n / 50 for n in range(80))]
        wanted = [min(range(96), key=lambda index: abs(stamps[index] - place / 25 - 1e-6)) for place in range(75)]
        from cointeract_pack.cointeract_core.conditioning.images import fit_pose_picture
        from cointeract_pack.cointeract_core.media.video import read_frames

        frames = read_frames(faults / "vfr_pose" / "bug_vfr.mp4", wanted, SIZE, fit_pose_picture)
        assert torch.equal(own, frames)

    def test_a_video_in_memory(self, shown, tmp_path):
        stream = io.BytesIO(clip(tmp_path / "c.mkv", FRAMES).read_bytes())
        assert pose_numbers(InputImpl.VideoFromFile(stream), shown)[0] == list(range(75))

    def test_a_video_made_of_frames_is_not_encoded_first(self, shown):
        frames = ((torch.arange(60) * 2 + 4) / 219).view(-1, 1, 1, 1).expand(-1, 96, 64, 3)
        made = InputImpl.VideoFromComponents(Types.VideoComponents(images=frames, audio=None, frame_rate=Fraction(20)))
        assert video_file.video_file(made) is None
        found, _ = pose_numbers(made, shown)
        assert max(abs(index / 20 - place / 25) for place, index in enumerate(found)) <= 0.025 + 1e-6

    @pytest.mark.skipif(not CAN_TRIM, reason="This ComfyUI does not trim videos.")
    def test_a_trimmed_video_begins_where_it_was_trimmed(self, shown, tmp_path):
        path = clip(tmp_path / "c.mkv", FRAMES)
        found, said = pose_numbers(InputImpl.VideoFromFile(str(path), start_time=1.0, duration=1.2), shown)
        assert found[:30] == list(range(25, 55))
        assert "The pose ends after 1.2 s" in said

    def test_one_that_was_trimmed_unseen_is_asked_for_its_frames(self):
        class Trimmed:
            def get_stream_source(self): ...
            def as_trimmed(self): ...

        assert video_file.video_file(Trimmed()) is None

    def test_transparent_frames_are_black(self, shown):
        frames = torch.ones(75, 96, 64, 4)
        frames[..., :32, 3] = 0
        run(conditioning.PoseEncoder, person=PERSON, speech=SPEECH, vae=None, fps=25.0, frames=frames)
        assert shown[0][1, :, :30].max() == 0
        assert shown[0][1, :, 34:].min() == 1


class TestSound:
    def test_a_cameras_sound_has_its_level(self, faults):
        path = faults / "camera_pcm" / "cam_mono.mov"
        waveform, rate, _ = open_audio(video_of(path).get_components().audio)
        own, own_rate = read_audio(path)
        assert rate == own_rate
        assert torch.allclose(waveform, own, atol=1e-4)

    def test_a_cameras_stereo_is_right_or_refused(self, tmp_path):
        turns = np.arange(3 * 48000) / 48000 * 2 * np.pi
        sound = np.stack([0.4 * np.sin(220 * turns), 0.2 * np.sin(330 * turns)]).astype(np.float32)
        path = clip(tmp_path / "cam_stereo.mov", FRAMES, sound, rate=48000)
        handed = video_of(path).get_components().audio
        if handed["waveform"].shape[1] == 2:
            assert np.abs(open_audio(handed)[0][0].numpy() - sound).max() < 1e-3
        else:
            with pytest.raises(InputError, match="several channels one behind the other"):
                open_audio(handed)

    def test_a_mute_video(self, faults):
        audio = video_of(faults / "mute_video" / "mute.mp4").get_components().audio
        with pytest.raises(InputError) as refusal:
            run(conditioning.SpeechEncoder, audio=audio, audio_encoder=None, max_clips=0, reference_behaviour=False)
        assert str(refusal.value).startswith("audio is nothing, as of a video without sound, but speech is expected")


def load_image(name):
    return NODE_CLASS_MAPPINGS["LoadImage"]().load_image(name)


@pytest.fixture
def cut_out(host):
    """A red product whose hidden background is green, in ComfyUI's input folder."""
    pixels = np.zeros((120, 80, 4), np.uint8)
    pixels[:] = (0, 255, 0, 0)
    pixels[30:90, 20:60] = (255, 0, 0, 255)
    path = Path(folder_paths.get_input_directory()) / "cut out.png"
    Image.fromarray(pixels).save(path)
    yield path.name
    path.unlink()


@pytest.fixture
def opaque(host):
    path = Path(folder_paths.get_input_directory()) / "opaque.png"
    Image.new("RGB", (80, 120), (255, 0, 0)).save(path)
    yield path.name
    path.unlink()


def workflow_of(name, **wired):
    loader = {"class_type": "LoadImage", "inputs": {"image": name}}
    return {"1": {"class_type": "any", "inputs": {"image": ["8", 0], **wired}}, "8": loader}


SETTINGS = {"fit": "pad", "padding": 1.25, "background": "black", "scale": 1.0}


def product(image, prompt=None, **masks):
    return run(references.ProductReference, prompt, person=PERSON, image=image, vae=None, **SETTINGS, **masks)


def person(image, prompt=None, **masks):
    size = {"size": "custom", "width": 64, "height": 96, "fit": "crop"}
    return run(references.PersonReference, prompt, image=image, vae=None, **size, **masks)


class TestTransparency:
    @pytest.mark.parametrize("way", ["transparency", "mask of Load Image", "the file alone"])
    def test_the_hidden_background_stays_hidden(self, shown, cut_out, way):
        image, mask = load_image(cut_out)
        if way == "transparency":
            result, said = product(image, transparency=mask)
        elif way == "mask of Load Image":
            result, said = product(image, workflow_of(cut_out, mask=["8", 1]), mask=mask)
        else:
            result, said = product(image, workflow_of(cut_out))
        seen = result.args[1][0]
        assert seen[..., 1].max() < 0.02
        assert seen[48, 32].tolist() == pytest.approx([1, 0, 0], abs=0.02)
        assert said == "25% of the picture is opaque and stays: transparent is white in it."

    @pytest.mark.parametrize("way", ["transparency", "the file alone"])
    def test_a_persons_too(self, shown, cut_out, way):
        image, mask = load_image(cut_out)
        wired = {"transparency": mask} if way == "transparency" else {}
        seen = person(image, workflow_of(cut_out), **wired)[0].args[1][0]
        assert seen[2, 2].min() > 0.98  # white, as in training
        assert seen[48, 32].tolist() == pytest.approx([1, 0, 0], abs=0.02)

    @pytest.mark.parametrize("inverted", [False, True])
    @pytest.mark.parametrize("into", ["mask", "transparency"])
    def test_the_empty_mask_of_an_opaque_picture_is_none(self, shown, opaque, inverted, into):
        image, mask = load_image(opaque)
        assert tuple(mask.shape[-2:]) == (64, 64)
        result, said = product(image, **{into: 1 - mask if inverted else mask})
        assert torch.equal(result.args[1], product(image)[0].args[1])
        assert said == "The mask is the empty one of an opaque picture: the whole picture stays."

    def test_an_opaque_file_changes_nothing(self, shown, opaque):
        image, _ = load_image(opaque)
        assert product(image, workflow_of(opaque))[1] == ""

    def test_a_mask_made_for_the_product_keeps_its_sense(self, shown, opaque):
        image, _ = load_image(opaque)
        mask = torch.zeros(1, 120, 80)
        mask[:, 30:90, 20:60] = 1
        result, said = product(image, mask=mask)
        assert said == "mask keeps 25% of the picture: the product is white in it."
        assert result.args[1][0, 20, 12].max() < 0.02
        assert result.args[1][0, 48, 32, 0] > 0.98

    def test_what_was_painted_in_the_mask_editor_is_no_transparency(self, host):
        painted = workflow_of("clipspace/clipspace-mask-1.png [input]", mask=["8", 1])
        assert workflow.loaded_transparency(painted, "1") is None
        assert not workflow.is_transparency(painted, "1")

    def test_another_node_between(self, host):
        prompt = workflow_of("a.png")
        prompt["8"]["class_type"] = "ImageScale"
        assert workflow.loaded_transparency(prompt, "1") is None
        assert workflow.loaded_transparency(None, None) is None

    def test_several_masks_are_said(self, shown, opaque):
        mask = torch.zeros(2, 120, 80)
        mask[:, 30:90, 20:60] = 1
        said = product(load_image(opaque)[0], mask=mask)[1]
        assert said.startswith("mask holds 2 masks: the first is used; mask keeps 25%")

    def test_several_pictures_are_said(self, shown, opaque):
        image = load_image(opaque)[0].repeat(3, 1, 1, 1)
        assert product(image)[1] == "image holds 3 pictures: the first is used."
        assert "image holds 3 pictures: the first is used." in person(image)[1]

    def test_the_published_prompt(self, shown, faults):
        """Its picture alone is wired, as in the workflows that come with the pack."""
        target = Path(folder_paths.get_input_directory()) / "bug_alpha.png"
        target.write_bytes((faults / "transparent_product" / "bug_alpha.png").read_bytes())
        try:
            result, said = product(load_image(target.name)[0], workflow_of(target.name))
            with Image.open(target) as file:
                alpha = np.asarray(file.convert("RGBA"))
        finally:
            target.unlink()
        assert "of the picture is opaque and stays" in said
        hidden = alpha[alpha[..., 3] == 0][:, :3].mean(axis=0) / 255
        seen = result.args[1][0].reshape(-1, 3).numpy()
        if hidden.max() > 0.1:
            assert (np.abs(seen - hidden).max(axis=1) > 0.04).all()
