"""The weights of a checkpoint, rewritten so that they compute the same with cheaper operators.

Layer normalisation is by far the slowest operator beside the matrix products, while
its relative without a mean (RMS normalisation) is six times faster. Two identities
lead from one to the other, both exact:

- the shift of a normalisation is moved into the biases of what reads its output, so
  that an output is `gain * z` and carries no constant;
- the products that write to the residual stream are centred over their outputs, so that
  the stream has mean zero once the residual itself is centred.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from staffroom.embedding.checkpoint import WEIGHTS, Checkpoint
from staffroom.errors import ModelCorrupt, ModelMissing

Array = NDArray[np.float64]
Tensors = Mapping[str, NDArray[np.float32]]

_WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Product:
    """`x @ weight + bias`. Shape: weight (inputs, outputs), bias (outputs,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose input and output are `gain * z`, without a shift."""

    attention: Product
    mix: Product
    mix_gain: Array
    expand: Product
    contract: Product
    contract_gain: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A whole model. Shape: words (vocabulary, dimensions), positions (max_tokens, dimensions).

    `shift` is what the last normalisation would have added to every token.
    """

    words: NDArray[np.float32]
    positions: NDArray[np.float32]
    gain: Array
    layers: tuple[Layer, ...]
    shift: Array


def read_encoder(checkpoint: Checkpoint) -> Encoder:
    """The checkpoint's weights in the rewritten form.

    Raises: ModelMissing or ModelCorrupt if the file is not there or is not that model.
    """
    path = checkpoint.folder / WEIGHTS
    try:
        tensors = load_file(path)
        prefix = next(name for name in tensors if name.endswith(_WORDS)).removesuffix(_WORDS)
        return _rewrite(checkpoint, _Weights(tensors, prefix))
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is missing. Fetch the model again.") from error
    except (SafetensorError, StopIteration, KeyError, ValueError, OSError) as error:
        raise ModelCorrupt(
            f"{path} does not hold the weights that {checkpoint.folder.name} announces: {error!r}. "
            "Fetch the model again."
        ) from error


@dataclass(frozen=True, slots=True)
class _Weights:
    """Named tensors in full precision; a checkpoint may put a prefix before every name."""

    tensors: Tensors
    prefix: str

    def tensor(self, name: str) -> Array:
        return self.tensors[self.prefix + name].astype(np.float64)

    def table(self, name: str) -> NDArray[np.float32]:
        """A table of embeddings, which is too large for more precision than is used."""
        return self.tensors[f"{self.prefix}embeddings.{name}_embeddings.weight"].astype(np.float32)

    def product(self, name: str) -> Product:
        return Product(self.tensor(f"{name}.weight").T, self.tensor(f"{name}.bias"))


def _rewrite(checkpoint: Checkpoint, weights: _Weights) -> Encoder:
    first = checkpoint.first_position
    positions = weights.table("position")[first : first + checkpoint.max_tokens]
    shift = weights.tensor("embeddings.LayerNorm.bias")
    layers = []
    for number in range(checkpoint.layers):
        layer, shift = _rewrite_layer(weights, f"encoder.layer.{number}", shift)
        layers.append(layer)
    return Encoder(
        words=weights.table("word") + weights.table("token_type")[0],
        positions=positions,
        gain=weights.tensor("embeddings.LayerNorm.weight"),
        layers=tuple(layers),
        shift=shift,
    )


def _rewrite_layer(weights: _Weights, name: str, shift: Array) -> tuple[Layer, Array]:
    """The layer, and the shift that its output lost."""
    parts = [
        _shifted(weights.product(f"{name}.attention.self.{part}"), shift)
        for part in ("query", "key", "value")
    ]
    inner_shift = weights.tensor(f"{name}.attention.output.LayerNorm.bias")
    layer = Layer(
        attention=Product(
            np.concatenate([part.weight for part in parts], axis=1),
            np.concatenate([part.bias for part in parts]),
        ),
        mix=_centred(weights.product(f"{name}.attention.output.dense"), shift),
        mix_gain=weights.tensor(f"{name}.attention.output.LayerNorm.weight"),
        expand=_shifted(weights.product(f"{name}.intermediate.dense"), inner_shift),
        contract=_centred(weights.product(f"{name}.output.dense"), inner_shift),
        contract_gain=weights.tensor(f"{name}.output.LayerNorm.weight"),
    )
    return layer, weights.tensor(f"{name}.output.LayerNorm.bias")


def _shifted(product: Product, shift: Array) -> Product:
    """The product for an input that lost its shift."""
    return Product(product.weight, product.bias + shift @ product.weight)


def _centred(product: Product, shift: Array) -> Product:
    """The product with outputs of mean zero, and with the shift that the residual lost."""
    bias = product.bias + shift
    return Product(product.weight - product.weight.mean(axis=1, keepdims=True), bias - bias.mean())
