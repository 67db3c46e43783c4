"""`timm:NAME`, `torchvision:NAME` and `hf:NAME`: thousands of models for readers who are online."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.backbones.base import BACKBONES, PREFIXES, Backbone, GlobalAveragePool, Recipe, Stage
from helpers.backbones.minilm import encoder_backbone
from helpers.errors import UserError, first_line
from helpers.registry import unknown_name

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _download(what: str, load: Callable[[], nn.Module]) -> nn.Module:
    """Run a loader that may need the network; its many errors become one sentence."""
    try:
        return load()
    except Exception as error:  # hubs raise dozens of types, offline or for a missing file
        raise UserError(
            f"{what}: weights could not be loaded ({first_line(error)[:120]}); go online once so "
            f"that they are cached, or use a shipped backbone ({', '.join(BACKBONES)})"
        ) from error


def _check_split(backbone: Backbone, whole: Callable[[Tensor], Tensor]) -> Backbone:
    """Raise unless the stages compute what `whole` computes (activations or pooled features)."""
    side = backbone.recipe.size
    x = torch.randn(2, backbone.recipe.channels, side, side)
    with torch.inference_mode():
        try:
            ours, theirs = backbone.eval()(x), whole(x)
            ours = backbone.pool(ours) if theirs.ndim == 2 else ours
            equal = ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-4)
        except (RuntimeError, TypeError, ValueError, AttributeError):
            equal = False
    if not equal:
        raise UserError(
            f"{backbone.name} can't be cut into stages: its layers do not run one after another"
        )
    return backbone


def _entering_classifier(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function x → what reaches the model's classifier: its first linear layer's input."""
    head = next(getattr(model, key) for key in ("fc", "classifier", "head") if hasattr(model, key))
    linear = next(part for part in head.modules() if isinstance(part, nn.Linear))

    def features(x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        hook = linear.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        try:
            model(x)
        finally:
            hook.remove()
        return seen[0]

    return features


def _grouped(blocks: list[nn.Module], groups: int) -> list[nn.Module]:
    """Blocks in order, bundled into at most `groups` stages of near-equal length."""
    groups = min(groups, len(blocks))
    bounds = [round(i * len(blocks) / groups) for i in range(groups + 1)]
    return [nn.Sequential(*blocks[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]


def _chain(children: list[nn.Module]) -> list[nn.Module]:
    """Children as stages: containers are stages, lone layers join the stage before them.

    Where one container holds the whole body (`blocks`, `stages`), its parts are the stages.
    """
    bodies = [
        child
        for child in children
        if isinstance(child, nn.Sequential) and any(any(part.children()) for part in child)
    ]
    stages: list[list[nn.Module]] = []
    for child in children:
        if child not in bodies:
            stages[-1:] = [[*(stages[-1] if stages else []), child]]
        elif len(bodies) == 1:
            stages += [[part] for part in child]
        else:
            stages.append([child])
    return [nn.Sequential(*parts) for parts in stages]


def build_timm(name: str, pretrained: bool, size: int | None) -> Backbone:
    """Any timm model whose layers run one after another, or a timm vision transformer."""
    import timm

    if name.split(".")[0] not in timm.list_models():
        raise unknown_name("timm model", name, timm.list_models())
    extra = {"img_size": size} if size and name.startswith(("vit_", "deit")) else {}
    model = _download(
        f"timm:{name}",
        lambda: timm.create_model(name, pretrained=pretrained, num_classes=0, **extra),
    ).eval()
    info = timm.data.resolve_data_config({}, model=model)
    recipe = Recipe(
        size or info["input_size"][-1], info["input_size"][0], info["mean"], info["std"]
    )
    if hasattr(model, "blocks") and hasattr(model, "_pos_embed"):
        stages = [Stage(_embed_patches, module=model), *_grouped(list(model.blocks), 6)]
        stages[-1] = nn.Sequential(*stages[-1], model.norm)
        # The blocks are stages of their own; inside `embed` they would be counted twice.
        model.blocks, model.norm = nn.Identity(), nn.Identity()
        has_class_token = model.cls_token is not None

        def pool(tokens: Tensor) -> Tensor:  # (N, tokens, width) → (N, width)
            return tokens[:, 0] if has_class_token else tokens.mean(1)

        return Backbone(f"timm:{name}", "image", stages, pool, model.num_features, recipe)
    skipped = {"global_pool", "classifier", "fc", "head", "head_drop"}
    stages = _chain([child for key, child in model.named_children() if key not in skipped])
    backbone = Backbone(
        f"timm:{name}", "image", stages, GlobalAveragePool(), model.num_features, recipe
    )
    return _check_split(backbone, model.forward_features)


def _embed_patches(x: Tensor, module: nn.Module) -> Tensor:
    tokens = module.patch_drop(module._pos_embed(module.patch_embed(x)))
    return module.norm_pre(tokens)


def build_torchvision(name: str, pretrained: bool, size: int | None) -> Backbone:
    """A torchvision classifier with `features` (EfficientNet, MobileNet …) or ResNet's layers."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise unknown_name("torchvision model", name, models.list_models(module=models))
    weights = "DEFAULT" if pretrained else None
    model = _download(f"torchvision:{name}", lambda: models.get_model(name, weights=weights)).eval()
    if hasattr(model, "features"):
        stages = _grouped(list(model.features), 7)
    else:
        skipped = {"avgpool", "fc", "classifier", "head"}
        stages = _chain([child for key, child in model.named_children() if key not in skipped])
    side = size or 224
    recipe = Recipe(side, 3, IMAGENET_MEAN, IMAGENET_STD)
    backbone = Backbone(f"torchvision:{name}", "image", stages, GlobalAveragePool(), 0, recipe)
    try:
        whole = _entering_classifier(model)
        with torch.inference_mode():
            backbone.feature_size = whole(torch.zeros(1, 3, side, side)).shape[1]
    except (StopIteration, IndexError, AssertionError) as error:
        raise UserError(f"torchvision:{name} has no linear classifier to replace") from error
    return _check_split(backbone, whole)


def build_hf(name: str, pretrained: bool, size: int | None) -> Backbone:
    """A BERT-like text encoder from the Hugging Face hub, or from a folder on disk."""
    from transformers import AutoConfig, AutoModel

    def load() -> nn.Module:
        if pretrained:
            return AutoModel.from_pretrained(name)
        return AutoModel.from_config(AutoConfig.from_pretrained(name))

    model = _download(f"hf:{name}", load).float()
    backbone = encoder_backbone(f"hf:{name}", model, name, size)
    backbone.pretrained_on = f"see the model card of {name}"
    return backbone


PREFIXES.update({"timm": build_timm, "torchvision": build_torchvision, "hf": build_hf})
