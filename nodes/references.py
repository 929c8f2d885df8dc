"""Person Reference and Product Reference."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ..cointeract_core.clips import parts
from ..cointeract_core.conditioning.cut_out import cut_out_note
from ..cointeract_core.conditioning.images import batch_note
from ..cointeract_core.constants import PRODUCT_PADDING
from ..cointeract_core.host.files.workflow import is_transparency, loaded_transparency
from ..cointeract_core.host.objects import Vae
from ..cointeract_core.host.page.progress import show_text
from ..cointeract_core.host.video.make_parts import make_person, make_product
from .inputs import chosen_size, size_inputs, transparency_input
from .types import CATEGORY, Person, Product, advanced, node_schema


class PersonReference(io.ComfyNode):
    """Who speaks, and how large the video is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractPersonReference",
            display_name="Person Reference",
            category=CATEGORY,
            description="Fits the picture of the person to the size of the video and encodes it.",
            search_aliases=["cointeract person", "reference image", "avatar"],
            has_intermediate_output=True,
            inputs=[
                io.Image.Input("image", tooltip="The person, as they should look in the video."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE (wan_2.1_vae.safetensors)."),
                *size_inputs("Size of the video."),
                io.Combo.Input(
                    "fit",
                    options=["crop", "stretch", "pad"],
                    default="crop",
                    tooltip="How a picture of another shape is fitted: crop fills the frame, pad adds a border, "
                    "stretch distorts (as the authors' program does).",
                ),
                transparency_input(),
            ],
            outputs=[
                Person.Output(display_name="person"),
                io.Image.Output(display_name="image", tooltip="The picture as the model sees it."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls, image: Tensor, vae: Vae, size: str, width: int, height: int, fit: str, transparency: Tensor | None = None
    ) -> io.NodeOutput:
        """Encode the person."""
        video_size, note = chosen_size(size, width, height)
        if transparency is None:
            transparency = loaded_transparency(cls.hidden.prompt, cls.hidden.unique_id)
        person, picture = make_person(vae, image, video_size, fit, transparency)
        _say(cls, note, batch_note(image, "image"), cut_out_note(None, transparency))
        return io.NodeOutput(person, picture, ui=ui.PreviewImage(picture, cls=cls))


class ProductReference(io.ComfyNode):
    """What the person holds and shows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractProductReference",
            display_name="Product Reference",
            category=CATEGORY,
            description="Cuts out, pads and encodes the picture of the product.",
            search_aliases=["cointeract product", "object reference"],
            has_intermediate_output=True,
            inputs=[
                Person.Input("person", tooltip="The person reference; the product follows its size."),
                io.Image.Input("image", tooltip="The product, best on a plain background."),
                io.Vae.Input("vae", tooltip="The same VAE as for the person."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask made for the product: white where the product is, black where the background "
                    "goes. For the MASK of Load Image, which is the opposite, take the input transparency.",
                ),
                io.Combo.Input(
                    "fit",
                    options=["pad", "crop", "stretch"],
                    default="pad",
                    tooltip="pad shows the whole product with a border on black, as the authors' program does.",
                ),
                io.Float.Input(
                    "padding",
                    default=PRODUCT_PADDING,
                    min=1.0,
                    max=4.0,
                    step=0.05,
                    tooltip="How much smaller than the frame the product is drawn; 1 touches the border.",
                ),
                io.Combo.Input(
                    "background",
                    options=["black", "white", "grey"],
                    default="black",
                    tooltip="Colour around the product and under its transparent parts.",
                ),
                advanced(
                    io.Float.Input(
                        "scale",
                        default=1.0,
                        min=0.1,
                        max=4.0,
                        step=0.05,
                        tooltip="Position scale of the product's tokens: below 1 suggests a smaller product.",
                    )
                ),
                transparency_input(),
            ],
            outputs=[
                Product.Output(display_name="product"),
                io.Image.Output(display_name="image", tooltip="The picture as the model sees it."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls,
        person: parts.PersonReference,
        image: Tensor,
        vae: Vae,
        fit: str,
        padding: float,
        background: str,
        scale: float,
        mask: Tensor | None = None,
        transparency: Tensor | None = None,
    ) -> io.NodeOutput:
        """Encode the product."""
        workflow = cls.hidden.prompt, cls.hidden.unique_id
        if mask is not None and transparency is None and is_transparency(*workflow):
            mask, transparency = None, mask
        elif mask is None and transparency is None:
            transparency = loaded_transparency(*workflow)
        product, picture = make_product(
            vae,
            image,
            mask,
            person.size,
            fit=fit,
            padding=padding,
            background=background,
            scale=scale,
            transparency=transparency,
        )
        _say(cls, batch_note(image, "image"), cut_out_note(mask, transparency))
        return io.NodeOutput(product, picture, ui=ui.PreviewImage(picture, cls=cls))


def _say(node: type[io.ComfyNode], *notes: str | None) -> None:
    """Show on a node what was decided."""
    said = [note for note in notes if note]
    if said:
        show_text(node.hidden.unique_id, "\n".join(said))
