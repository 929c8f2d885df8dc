"""Numbers of the released CoInteract model, each with its source.

Sources: the paper (arXiv 2604.19636) and the authors' code, `luoxyhappy/CoInteract` at commit fbd744ee
(DIT = diffsynth/models/wan_video_dit_s2v.py, PIPE = diffsynth/pipelines/wan_video_new.py, MOE = moe_ffn.py,
BI = batch_infer.py, TR = examples/wanvideo/model_training/train.py).
"""

from __future__ import annotations

# -- video and latents ------------------------------------------------------------------------------------
VIDEO_FPS = 25  # BI, README of the reference: audio features are made for 25 frames a second
SPATIAL_STRIDE = 8  # the Wan 2.1 VAE: pixels per latent cell
TEMPORAL_STRIDE = 4  # the Wan 2.1 VAE: frames per latent after the first
PATCH = 2  # DIT: patch (1, 2, 2), latent cells per token and axis
PIXELS_PER_TOKEN = SPATIAL_STRIDE * PATCH  # 16: sizes snap to it
LATENT_CHANNELS = 16

CLIP_FRAMES = 80  # BI:152 frames kept of each clip, and the step from clip to clip
CLIP_TARGET_LATENTS = 20  # 80 frames / 4
MOTION_FRAMES = 73  # PIPE:1619 frames handed from one clip to the next
MOTION_LATENTS = 19  # (73 - 1) / 4 + 1

# -- positions (DIT:126-131, 1048-1050, 1183-1191) --------------------------------------------------------
ROPE_THETA = 10000.0
ROPE_TABLE_ROWS = 1024  # rows of the reference's table; negative HOI widths index it from its end
PERSON_TIME = 30
PRODUCT_TIME = 31
MOTION_TIMES_1X = (-1,)
MOTION_TIMES_2X = (-3,)  # two latents packed into one token row
MOTION_TIMES_4X = (-19, -14, -9, -4)  # sixteen latents packed four by four
MOTION_1X_LATENTS, MOTION_2X_LATENTS, MOTION_4X_LATENTS = 1, 2, 16

# -- token types (PIPE:2291-2308) -------------------------------------------------------------------------
TYPE_TARGET, TYPE_REFERENCE, TYPE_MOTION = 0, 1, 2

# -- router and experts (MOE:253, DIT:658-710) ------------------------------------------------------------
ROUTER_BASE, ROUTER_HAND, ROUTER_FACE = 0, 1, 2  # order of the router's outputs
ROUTER_CLASSES = 3
EXPERT_HIDDEN = 256  # 14B release
EXPERTS_OFF_FROM = 900.0  # experts contribute only below this timestep (of 1000)
TIMESTEPS = 1000

# -- audio (DIT:1137) -------------------------------------------------------------------------------------
AUDIO_SAMPLE_RATE = 16000  # wav2vec2
AUDIO_FEATURE_RATE = 50  # hidden states a second
AUDIO_STRIDE_SAMPLES = 320  # wav2vec2: samples from one hidden state to the next
AUDIO_FIELD_SAMPLES = 400  # wav2vec2: samples one hidden state hears
AUDIO_LAYERS = 25
AUDIO_DIM = 1024
REFERENCE_AUDIO_WINDOW = 81  # PIPE:1602 the reference steps its audio by 81 frames, not 80
ADALN_EPS = 1e-5

# -- sampling defaults (BI) -------------------------------------------------------------------------------
DEFAULT_STEPS = 40
DEFAULT_CFG = 7.0
DEFAULT_SHIFT = 7.0
PRODUCT_PADDING = 1.25  # BI:79 the product is shrunk by this before padding

# -- training (BB=diffsynth/utils/bbox_utils.py, TR) --------------------------------------------------------
BOX_FIRST_FRAME = 2  # BB: a box of frame n belongs to latent floor((n - 2) / 4)
ROUTER_WEIGHTS = (1.0, 10.0, 10.0)  # BB, paper section 3: of base, hand and face in the router's loss
TRAINING_SHIFT = 5.0  # train.sh: of the noise levels
ROUTER_LOSS_SHARE, HOI_LOSS_SHARE = 0.05, 0.5  # TR: of the router's and the HOI stream's loss in the whole
# PIPE:1187 what stands in front of the prompt for the HOI stream; the released weights know this text
HOI_PROMPT_PREFIX = (
    "a rendered video on a black background showing a 3D human body mesh interacting with an object. The scene "
    "features the human body represented as a polygonal mesh with visible surface geometry, alongside a 3D object. "
    "Following is the RGB description:"
)

# -- the 14B backbone -------------------------------------------------------------------------------------
AUDIO_INJECT_LAYERS = (0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39)
TEXT_TOKENS = 512  # the prompt is padded to so many (Wan2.2, text_len)
LORA_RANK = 128
