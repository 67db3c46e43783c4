"""`pocket`: a residual network of our own for 28×28 grey images, small enough to tune live."""

import torch
from safetensors import safe_open
from torch import Tensor, nn

from helpers.backbones import base
from helpers.errors import UserError
from helpers.paths import weights_dir

WIDTHS = (24, 48, 80, 80)
SOURCE_TASK = "products_source"
PRETRAINED_ON = "Fashion-MNIST, five classes × four rotations (tools/assets/pretrain_pocket.py)"
# Mean and standard deviation of the source pixels on a 0..1 scale.
RECIPE = base.Recipe(size=28, channels=1, mean=(0.286,), std=(0.353,))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm and a shortcut (He et al. 2016, arXiv 1512.03385)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


def _stages() -> list[nn.Module]:
    stem = nn.Sequential(
        nn.Conv2d(1, WIDTHS[0], 5, 2, 2, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()
    )
    blocks = [ResidualBlock(WIDTHS[0], WIDTHS[0], 1)]
    for width_in, width in zip(WIDTHS, WIDTHS[1:], strict=False):
        blocks.append(ResidualBlock(width_in, width, 2 if width_in != width else 1))
    return [stem, *blocks]


def build_pocket(pretrained: bool, size: int | None = None) -> base.Backbone:
    """The pocket network; `pretrained` reads data/weights/pocket.safetensors."""
    if size not in (None, 28):
        raise UserError(f"pocket reads 28-pixel images; image size {size} was asked for")
    path = weights_dir() / "pocket.safetensors"
    head = None
    if pretrained:
        if not path.is_file():
            raise UserError(
                f"{path} is missing: run `python -m tools.assets.pretrain_pocket` to make it"
            )
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        head = nn.Linear(WIDTHS[-1], weights["source_head.weight"].shape[0])
        head.weight.data = weights.pop("source_head.weight")
        head.bias.data = weights.pop("source_head.bias")
    backbone = base.Backbone(
        "pocket",
        "image",
        _stages(),
        base.GlobalAveragePool(),
        WIDTHS[-1],
        RECIPE,
        source_head=head,
    )
    if pretrained:
        backbone.load_state_dict(weights)
    return backbone


base.register_backbone(
    base.BackboneInfo(
        name="pocket",
        modality="image",
        build=build_pocket,
        pretrained_on=PRETRAINED_ON,
        licence="MIT",
        default_size=28,
        overlaps=("products", SOURCE_TASK),
        source_task=SOURCE_TASK,
        relative_cost=1.0,
    )
)
