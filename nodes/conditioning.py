"""Speech Encoder, Pose Encoder and Prompts."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ..cointeract_core.clips.parts import PersonReference, Speech
from ..cointeract_core.clips.timeline import draw_timeline
from ..cointeract_core.conditioning.prompts import split_prompts
from ..cointeract_core.constants import VIDEO_FPS
from ..cointeract_core.errors import InputError
from ..cointeract_core.host.files.workflow import audio_encoder_file
from ..cointeract_core.host.objects import Audio, AudioEncoder, TextEncoder, Vae, Video
from ..cointeract_core.host.page.progress import show_text
from ..cointeract_core.host.video.make_parts import make_pose, make_pose_of_video, make_prompts, make_speech
from .types import CATEGORY, Person, PoseClips, PromptSet, SpeechFeatures, advanced, node_schema

DEFAULT_NEGATIVE = (
    "blurry, low quality, overexposed, distorted hands, extra fingers, deformed face, warped product, "
    "frozen picture, cartoon, subtitles, watermark"
)


class SpeechEncoder(io.ComfyNode):
    """The speech that drives the video and decides its length."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractSpeechEncoder",
            display_name="Speech Encoder",
            category=CATEGORY,
            description="Encodes the whole speech and plans the clips: the video is as long as the speech.",
            search_aliases=["cointeract audio", "wav2vec", "lip sync"],
            has_intermediate_output=True,
            inputs=[
                io.Audio.Input("audio", tooltip="The speech; any sample rate, any number of channels."),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    tooltip="Load Audio Encoder with wav2vec2-large-xlsr-53-chinese-zh-cn (it serves every language).",
                ),
                io.Int.Input(
                    "max_clips",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Make at most this many clips of 3.2 s, for a quick look; 0 covers the whole speech.",
                ),
                advanced(
                    io.Boolean.Input(
                        "reference_behaviour",
                        default=False,
                        tooltip="Repeat the authors' program to the letter: 81-frame audio windows (lips drift 40 ms "
                        "per clip), seed = number of the clip, 8-bit frames handed from clip to clip.",
                    )
                ),
            ],
            outputs=[
                SpeechFeatures.Output(display_name="speech"),
                io.Image.Output(display_name="timeline", tooltip="The speech with the borders of the clips."),
                io.Int.Output(display_name="frames", tooltip="Frames of the video, at 25 a second."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls, audio: Audio, audio_encoder: AudioEncoder, max_clips: int, reference_behaviour: bool
    ) -> io.NodeOutput:
        """Encode the speech."""
        encoder_file = audio_encoder_file(cls.hidden.prompt, cls.hidden.unique_id)
        speech, notes = make_speech(audio_encoder, audio, max_clips, reference_behaviour, encoder_file=encoder_file)
        show_text(cls.hidden.unique_id, "\n".join(notes))
        timeline = draw_timeline(speech)
        return io.NodeOutput(speech, timeline, speech.plan.frames, ui=ui.PreviewImage(timeline, cls=cls))


class PoseEncoder(io.ComfyNode):
    """A pose video that leads the person's movement."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractPoseEncoder",
            display_name="Pose Encoder",
            category=CATEGORY,
            description="Encodes a pose video for every clip of the speech. Use it with checkpoint_pose.safetensors.",
            search_aliases=["cointeract pose", "skeleton", "control video"],
            inputs=[
                Person.Input("person", tooltip="The person reference; the pose follows its size."),
                SpeechFeatures.Input("speech", tooltip="The speech; the pose is cut into the same clips."),
                io.Vae.Input("vae", tooltip="The same VAE as for the person."),
                io.Video.Input(
                    "video", optional=True, tooltip="The pose video; frames are taken by their time stamps."
                ),
                io.Image.Input("frames", optional=True, tooltip="Or its frames, with the rate given below."),
                io.Float.Input(
                    "fps",
                    default=float(VIDEO_FPS),
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="Frame rate of the frames input; a video brings its own.",
                ),
            ],
            outputs=[PoseClips.Output(display_name="pose")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        person: PersonReference,
        speech: Speech,
        vae: Vae,
        fps: float,
        video: Video | None = None,
        frames: Tensor | None = None,
    ) -> io.NodeOutput:
        """Encode the pose."""
        if video is not None and frames is None:
            pose, notes = make_pose_of_video(vae, video, speech, person.size)
        elif frames is not None and video is None:
            pose, notes = make_pose(vae, frames, fps, speech, person.size)
        else:
            arrived = "neither video nor frames" if video is None else "both video and frames"
            raise InputError(f"The Pose Encoder got {arrived}, but needs exactly one of them; wire one input.")
        show_text(cls.hidden.unique_id, "\n".join(notes))
        return io.NodeOutput(pose)


class PromptEncoder(io.ComfyNode):
    """What happens in the video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractPrompts",
            display_name="Prompts",
            category=CATEGORY,
            description="Encodes one prompt per clip; the last one serves all clips that follow.",
            search_aliases=["cointeract prompt"],
            inputs=[
                io.Clip.Input("clip", tooltip="Load CLIP with umt5_xxl and type wan."),
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="A woman looks into the camera, speaks and shows the bottle in her right hand.",
                    tooltip="What is seen. A line with --- starts the prompt of the next clip.",
                ),
                io.String.Input(
                    "negative", multiline=True, default=DEFAULT_NEGATIVE, tooltip="What should not be seen."
                ),
            ],
            outputs=[PromptSet.Output(display_name="prompts")],
        )

    @classmethod
    def execute(cls, clip: TextEncoder, prompts: str, negative: str) -> io.NodeOutput:
        """Encode the prompts."""
        return io.NodeOutput(make_prompts(clip, split_prompts(prompts), negative))
