"""The ONNX graph of a checkpoint: fused operators, pooling and unit length inside.

Inputs: `ids` int32 (texts, tokens), padded on the right with anything, and `lengths`
int64 (texts,). Output: `vectors` float32 (texts, dimensions). Only building needs the
onnx package, so this module is imported when there is no graph yet.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from staffroom.embedding.checkpoint import Checkpoint
from staffroom.embedding.encoder import Array, Encoder, Product
from staffroom.embedding.quantisation import (
    Range,
    exceptions,
    quantise,
    scaled,
    smoothing,
    without,
)

_MICROSOFT = "com.microsoft"
_OPSETS = {"": 24, _MICROSOFT: 1}
_IR_VERSION = 11


def build_graph(
    checkpoint: Checkpoint,
    encoder: Encoder,
    *,
    ranges: Mapping[str, Range] | None = None,
    probed: bool = False,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """The serialised graph: in eight bits given the range of each product's inputs, else exact.

    A probed graph also puts out those inputs, as `inputs_of` names them. The notes are
    found again in the metadata of the model.
    """
    writer = _Writer(checkpoint, ranges, probed=probed)
    writer.write(encoder)
    return writer.serialised(notes or {})


def inputs_of(product: str) -> str:
    """The name under which a probed graph puts out the inputs of a product."""
    return f"{product}.inputs"


def product_names(checkpoint: Checkpoint) -> list[str]:
    """The names by which ranges are given."""
    return [
        f"{number}.{product}"
        for number in range(checkpoint.layers)
        for product in ("attention", "mix", "expand", "contract")
    ]


class _Writer:
    """Writes nodes one after another; values are known by name."""

    def __init__(
        self, checkpoint: Checkpoint, ranges: Mapping[str, Range] | None, *, probed: bool
    ) -> None:
        self._checkpoint = checkpoint
        self._ranges = ranges
        self._probed = probed
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._probes: list[str] = []

    def write(self, encoder: Encoder) -> None:
        stream = self._embed(encoder)
        for number, layer in enumerate(encoder.layers):
            residual = self._centred(stream)
            mixed = self._attend(number, stream, layer.attention, layer.mix)
            stream = self._normalise(mixed, residual, layer.mix_gain)
            residual = self._centred(stream)
            contracted = self._feed_forward(number, stream, layer.expand, layer.contract)
            stream = self._normalise(contracted, residual, layer.contract_gain)
        self._pool(stream, encoder.shift)

    def serialised(self, notes: Mapping[str, str]) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT32, ["texts", "tokens"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT64, ["texts"]),
            ],
            [
                helper.make_tensor_value_info(
                    "vectors", TensorProto.FLOAT, ["texts", self._checkpoint.dimensions]
                ),
                *map(helper.make_empty_tensor_value_info, self._probes),
            ],
            self._constants,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION
        )
        helper.set_model_props(model, dict(notes))
        serialised: bytes = model.SerializeToString()
        return serialised

    def _embed(self, encoder: Encoder) -> str:
        """The sum of word and position, normalised, without the shift."""
        stream, _ = self._node_with(
            "EmbedLayerNormalization",
            "ids",
            "",
            self._floats(encoder.words),
            self._floats(encoder.positions),
            "",
            self._floats(encoder.gain),
            self._floats(np.zeros_like(encoder.gain)),
            outputs=2,
            domain=_MICROSOFT,
            epsilon=self._checkpoint.epsilon,
        )
        return stream

    def _attend(self, number: int, stream: str, attention: Product, mix: Product) -> str:
        heads = self._checkpoint.heads
        joined = self._product(f"{number}.attention", stream, attention, smooth=True)
        parts = self._node_with("Split", joined, outputs=3, axis=-1, num_outputs=3)
        attended = self._node(
            "Attention", *parts, "", "", "", "lengths", q_num_heads=heads, kv_num_heads=heads
        )
        return self._product(f"{number}.mix", attended, mix)

    def _feed_forward(self, number: int, stream: str, expand: Product, contract: Product) -> str:
        inner = self._product(f"{number}.expand", stream, expand, smooth=True)
        if self._checkpoint.activation == "gelu":
            active = self._node("Gelu", inner, domain=_MICROSOFT)
        else:
            active = self._node("Gelu", inner, approximate="tanh")
        return self._product(f"{number}.contract", active, contract, except_few=True)

    def _product(
        self,
        name: str,
        inputs: str,
        product: Product,
        *,
        smooth: bool = False,
        except_few: bool = False,
    ) -> str:
        if self._probed:
            self._probes.append(self._node("Identity", inputs, name=inputs_of(name)))
        if self._ranges is None:
            return self._exact(inputs, product)
        if smooth:
            scales = smoothing(self._ranges[name])
            inputs = self._node("Mul", inputs, self._floats(1 / scales))
            ranges = self._ranges[name].divided(scales)
            return self._quantised(inputs, scaled(product, scales), ranges)
        ranges = self._ranges[name]
        few = exceptions(product, ranges)
        if not except_few or not few.size:
            return self._quantised(inputs, product, ranges)
        many = self._quantised(inputs, *without(product, ranges, few))
        chosen = self._node("Gather", inputs, self._constant(few), axis=2)
        return self._node(
            "Add", many, self._node("MatMul", chosen, self._floats(product.weight[few]))
        )

    def _exact(self, inputs: str, product: Product) -> str:
        outputs = self._node("MatMul", inputs, self._floats(product.weight))
        return self._node("Add", outputs, self._floats(product.bias))

    def _quantised(self, inputs: str, product: Product, ranges: Range) -> str:
        result = quantise(product, ranges)
        scale, zero = self._constant(result.input_scale), self._constant(result.input_zero)
        return self._node(
            "MatMulIntegerToFloat",
            self._node("QuantizeLinear", inputs, scale, zero),
            self._constant(result.weight),
            scale,
            self._constant(result.weight_scales),
            zero,
            "",
            self._constant(result.bias),
            domain=_MICROSOFT,
        )

    def _normalise(self, outputs: str, residual: str, gain: Array) -> str:
        return self._node(
            "SkipSimplifiedLayerNormalization",
            outputs,
            residual,
            self._floats(gain),
            domain=_MICROSOFT,
            epsilon=self._checkpoint.epsilon,
        )

    def _centred(self, stream: str) -> str:
        last = self._constant(np.array([-1]))
        return self._node("Sub", stream, self._node("ReduceMean", stream, last, keepdims=1))

    def _pool(self, stream: str, shift: Array) -> None:
        if self._checkpoint.pooling == "cls":
            pooled = self._node("Gather", stream, self._constant(np.int64(0)), axis=1)
        else:
            pooled = self._mean(stream)
        shifted = self._node("Add", pooled, self._floats(shift))
        self._node("LpNormalization", shifted, name="vectors", axis=-1, p=2)

    def _mean(self, stream: str) -> str:
        """The mean over the tokens of each text, as a product with their shares."""
        lengths = self._node("Unsqueeze", "lengths", self._constant(np.array([1, 2])))
        width = self._node("Squeeze", self._node("Shape", "ids", start=1, end=2))
        zero, one = self._constant(np.int64(0)), self._constant(np.int64(1))
        within = self._node("Less", self._node("Range", zero, width, one), lengths)
        shares = self._node(
            "Div",
            self._node("Cast", within, to=TensorProto.FLOAT),
            self._node("Cast", lengths, to=TensorProto.FLOAT),
        )
        return self._node(
            "Squeeze", self._node("MatMul", shares, stream), self._constant(np.array([1]))
        )

    def _node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        (output,) = self._node_with(operator, *inputs, name=name, **attributes)
        return output

    def _node_with(
        self, operator: str, *inputs: str, outputs: int = 1, name: str = "", **attributes: Any
    ) -> list[str]:
        stem = name or f"{operator}{len(self._nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}.{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, name=stem, **attributes))
        return names

    def _floats(self, values: Array | NDArray[np.float32]) -> str:
        return self._constant(values.astype(np.float32, copy=False))

    def _constant(self, values: ArrayLike | NDArray[Any]) -> str:
        name = f"constant{len(self._constants)}"
        array = np.ascontiguousarray(values).reshape(np.shape(values))
        self._constants.append(numpy_helper.from_array(array, name))
        return name
