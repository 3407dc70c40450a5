"""How a matrix product is put into eight bits with the least harm.

Weights get a scale for each output. Inputs get one fixed scale, found by running
sample texts through the exact model: fixed, so that a text has the same vector alone
and in any batch, which a scale taken from the batch at hand cannot give. Two things
make a single scale good enough, since a few inputs are far larger than the rest:

- inputs are divided by the root of their peak and the weights multiplied by it
  (Source: Xiao et al. 2023, SmoothQuant, with the activations' half of its rule);
- the handful of inner units with extreme peaks keep their full precision in a product
  of their own (Source: Dettmers et al. 2022, LLM.int8()).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from staffroom.embedding.encoder import Array, Encoder, Product

_EXCEPTIONAL = 10.0
"""A unit that matters this many times more than the median unit keeps full precision."""

_MOST_EXCEPTIONS = 8
_SMALLEST_PEAK = 1e-3
_POSITIONS = 6
_WORDS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value that each input took on the samples."""

    low: Array
    high: Array

    @property
    def peak(self) -> Array:
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def divided(self, scales: Array) -> "Range":
        return Range(self.low / scales, self.high / scales)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedProduct:
    """`(x_q - input_zero) * input_scale @ (weight * weight_scales) + bias`."""

    weight: NDArray[np.int8]
    weight_scales: NDArray[np.float32]
    bias: NDArray[np.float32]
    input_scale: np.float32
    input_zero: np.uint8


def first_inputs(encoder: Encoder, epsilon: float) -> Range:
    """The range of what the first layer reads: every word, at positions near and far.

    No samples are needed here, and none would do: one punctuation mark can reach twice as
    far as a thousand words, and a line of dots would then have a wrong vector.
    """
    low, high = np.full_like(encoder.gain, np.inf), np.full_like(encoder.gain, -np.inf)
    positions = np.linspace(0, len(encoder.positions) - 1, _POSITIONS).astype(int)
    for start in range(0, len(encoder.words), _WORDS_AT_ONCE):
        for position in encoder.positions[positions]:
            inputs = encoder.words[start : start + _WORDS_AT_ONCE] + position
            inputs -= inputs.mean(axis=1, keepdims=True)
            inputs /= np.sqrt((inputs**2).mean(axis=1, keepdims=True) + epsilon)
            outputs = inputs * encoder.gain
            low = np.minimum(low, outputs.min(axis=0))
            high = np.maximum(high, outputs.max(axis=0))
    return Range(low, high)


def smoothing(inputs: Range) -> Array:
    """By what each input is best divided before it shares a scale with the others."""
    scales = np.sqrt(np.maximum(inputs.peak, _SMALLEST_PEAK))
    smoothed: Array = scales / np.exp(np.log(scales).mean())
    return smoothed


def exceptions(product: Product, inputs: Range) -> NDArray[np.int64]:
    """The inputs, at most a handful, whose size would cost all others their precision."""
    weights = inputs.peak * np.abs(product.weight).max(axis=1)
    chosen = np.argsort(-weights)[:_MOST_EXCEPTIONS]
    return np.sort(chosen[weights[chosen] > _EXCEPTIONAL * np.median(weights)])


def without(product: Product, inputs: Range, removed: NDArray[np.int64]) -> tuple[Product, Range]:
    """The product and the range of its inputs when some inputs are computed elsewhere."""
    weight, low, high = product.weight.copy(), inputs.low.copy(), inputs.high.copy()
    weight[removed], low[removed], high[removed] = 0, 0, 0
    return Product(weight, product.bias), Range(low, high)


def scaled(product: Product, scales: Array) -> Product:
    """The product for inputs that were divided by the scales."""
    return Product(product.weight * scales[:, np.newaxis], product.bias)


def quantise(product: Product, inputs: Range) -> QuantisedProduct:
    """The product in eight bits: weights symmetric by output, inputs with one zero and scale."""
    weight_scales = np.abs(product.weight).max(axis=0) / 127
    weight_scales[weight_scales == 0] = 1
    low = min(float(inputs.low.min()), 0.0)
    high = max(float(inputs.high.max()), _SMALLEST_PEAK)
    input_scale = (high - low) / 255
    return QuantisedProduct(
        weight=np.rint(product.weight / weight_scales).astype(np.int8),
        weight_scales=weight_scales.astype(np.float32),
        bias=product.bias.astype(np.float32),
        input_scale=np.float32(input_scale),
        input_zero=np.uint8(round(-low / input_scale)),
    )
