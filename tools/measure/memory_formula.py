"""How much memory a training step of a decoder takes, worked out from its shape alone.

Weights, AdamW's two moments, gradients and what the forward pass keeps for the backward pass. The
last is read off the operations of a Llama layer in `transformers` (numbers per token, of 4 bytes;
w = width, k = width of all keys, f = feed-forward width, h = heads; attention never keeps its
seq × seq scores, since PyTorch's fused kernel works them out again):

    normalisation, twice   w + 1, its input; w more where its own weight is trained
    query, key, value      w, their common input, where one of them is trained or has LoRA
    attention              2 w + 2 k + h: rotated query and key, value, result, log of the sums
    gate, up               w, their common input, where one of them is trained or has LoRA
    SiLU and product       3 f
    down                   f, its input, where it is trained or has LoRA
    LoRA                   its rank, for each layer that has it; and once, whatever the tokens are,
                           its second matrix times its scale
    adapter                w + its own width, twice

Nothing is kept below the lowest trained weight. Nothing here is fitted;
`tests/unit/lessons/test_break_even.py` holds the formula to 5 % of what `costs.TensorMemory`
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.lessons.language_models.counting import MOMENTS
from helpers.lessons.language_models.decoder import TOP, Shape
from helpers.vocabulary import ADAPTER, FULL_FINE_TUNING, LORA, PARTIAL_FINE_TUNING

FLOAT = 4  # bytes
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Method:
    """An approach with its settings.

    rank, targets: of LoRA; no targets: every linear layer. reduction: of an adapter.
    """

    approach: str
    rank: int = 8
    targets: tuple[str, ...] = ()
    reduction: int = 8

    @property
    def setting(self) -> str:
        """The settings in words, as the records have them."""
        if self.approach == LORA:
            return f"rank={self.rank}" + f" targets={'+'.join(self.targets)}" * bool(self.targets)
        return f"reduction={self.reduction}" if self.approach == ADAPTER else ""

    def has_lora(self, *names: str) -> bool:
        """Tell whether LoRA sits on one of these layers."""
        return self.approach == LORA and any(n in (self.targets or LINEAR) for n in names)

    @property
    def settings(self) -> dict[str, object]:
        """Arguments of `decoder.plug`."""
        return {"rank": self.rank, "targets": self.targets, "reduction": self.reduction}


@dataclass(frozen=True)
class MemoryParts:
    """Bytes of a step at its worst moment. passing: gradients and activations there, together,

    since the backward pass frees activations while gradients fill up. gradients, activations:
    each when there is most of it; they are not there in full at once.
    """

    weights: int
    moments: int
    passing: int
    gradients: int
    activations: int

    @property
    def peak(self) -> int:
        """All that is there at the worst moment."""
        return self.weights + self.moments + self.passing


def linear_sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each linear layer of one decoder layer."""
    w, f = shape.width, shape.feed_forward
    keys = w * (shape.key_value_heads or shape.heads) // shape.heads
    return {"q_proj": (w, w), "k_proj": (w, keys), "v_proj": (w, keys), "o_proj": (w, w),
            "gate_proj": (w, f), "up_proj": (w, f), "down_proj": (f, w)}  # fmt: skip


def base_params(shape: Shape) -> int:
    """Parameters of the decoder itself."""
    words = shape.vocabulary * shape.width * (1 if shape.tied else 2)
    return words + shape.layers * _layer_params(shape) + shape.width


def added_params(shape: Shape, method: Method) -> int:
    """Parameters that LoRA or adapters add; 0 for other approaches."""
    if method.approach == LORA:
        sites = [ends for name, ends in linear_sizes(shape).items() if method.has_lora(name)]
        return shape.layers * sum(method.rank * (into + out) for into, out in sites)
    if method.approach == ADAPTER:
        hidden = _hidden(shape, method)
        return shape.layers * 2 * (2 * shape.width * hidden + hidden + shape.width)
    return 0


def trainable_params(shape: Shape, method: Method) -> int:
    """Parameters that move."""
    if method.approach == FULL_FINE_TUNING:
        return base_params(shape)
    if method.approach == PARTIAL_FINE_TUNING:
        return _moving_layers(shape, method) * _layer_params(shape) + shape.width
    return added_params(shape, method)


def step_memory(shape: Shape, method: Method, batch: int, seq: int) -> MemoryParts:
    """Memory of one AdamW step on `batch` texts of `seq` tokens, in float32.

    The backward pass is walked through: at each layer what is still kept, the gradients made so
    far, and what its feed-forward part needs for the moment.
    """
    tokens, words = batch * seq, shape.vocabulary * shape.width
    full = method.approach == FULL_FINE_TUNING
    moving, layers = trainable_params(shape, method), _moving_layers(shape, method)
    scaled = sum(method.rank * out for name, (_, out) in linear_sizes(shape).items()
                 if method.has_lora(name))  # fmt: skip
    kept = [
        _kept(shape, method, lowest=not full and i == 0) * tokens + scaled for i in range(layers)
    ]
    trained_norm = method.approach in (FULL_FINE_TUNING, PARTIAL_FINE_TUNING)
    top = (shape.width * (1 + trained_norm + full) + 1) * tokens
    scores, held = shape.vocabulary * tokens, sum(kept) + top
    made = words if full else 0
    worst = [held + 3 * scores, held + scores + shape.width * tokens + made]
    made += shape.width * trained_norm
    each = (moving - made - (words if full and not shape.tied else 0)) // max(1, layers)
    down = shape.feed_forward * shape.width if trained_norm else 0
    for i in reversed(range(layers)):
        worst.append(sum(kept[: i + 1]) + made + down + _moment(shape, method) * tokens)
        made += each
    # Shared word vectors get two gradients, and their sum is a third while it is made.
    worst.append(made + full * words * (2 if shape.tied else 1) + 2 * shape.width * tokens)
    table = 2 * seq * shape.width // shape.heads  # cosines and sines of the positions
    return MemoryParts(
        weights=FLOAT * (base_params(shape) + added_params(shape, method)),
        moments=FLOAT * MOMENTS * moving,
        passing=FLOAT * (max(worst) + table),
        gradients=FLOAT * moving,
        activations=FLOAT * (held + scores + table),
    )


def _layer_params(shape: Shape) -> int:
    return sum(into * out for into, out in linear_sizes(shape).values()) + 2 * shape.width


def _hidden(shape: Shape, method: Method) -> int:
    return max(4, shape.width // method.reduction)


def _moving_layers(shape: Shape, method: Method) -> int:
    """Layers that the backward pass goes through."""
    if method.approach == PARTIAL_FINE_TUNING:
        return max(1, shape.layers // TOP)
    return shape.layers


def _kept(shape: Shape, method: Method, *, lowest: bool) -> int:
    """Numbers per token that one layer keeps; `lowest`: no gradient is asked for its input."""
    w, f = shape.width, shape.feed_forward
    base = method.approach in (FULL_FINE_TUNING, PARTIAL_FINE_TUNING)
    before_attention = (not lowest) * (w + 1) + base * w
    attends = not lowest or base or method.has_lora("q_proj", "k_proj", "v_proj")
    keys = linear_sizes(shape)["k_proj"][1]
    attention = attends * (2 * w + 2 * keys + shape.heads)
    attention += (base or method.has_lora("q_proj", "k_proj", "v_proj")) * w
    after = (w + 1) + base * w + (base or method.has_lora("gate_proj", "up_proj")) * w
    product = 3 * f + (base or method.has_lora("down_proj")) * f
    inserted = method.rank * sum(method.has_lora(name) for name in LINEAR)
    if method.approach == ADAPTER:
        inserted = 2 * (w + _hidden(shape, method))
    return before_attention + attention + after + product + inserted


def _moment(shape: Shape, method: Method) -> int:
    """Numbers per token that the backward pass of a feed-forward part holds for a moment."""
    gone = method.approach in (FULL_FINE_TUNING, PARTIAL_FINE_TUNING)
    return shape.width + (2 if gone else 3) * shape.feed_forward
