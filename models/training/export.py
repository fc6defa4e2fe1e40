"""Writes a trained network as ONNX, with L* as input and ab as output: the network itself computes ab from its bins.

    python export.py RUN/last.pt ../colorizer.onnx [--alpha 0.5] [--temperature 0.5]

Subtracting `alpha` times the logarithm of the class weights from the logits undoes that share of the rebalancing. Then
the annealed mean is taken. Next to the model, a `.check.json` is written for the program's own test: a picture and its
colour by onnxruntime. Weights are stored as 16-bit floats, each followed by a cast, which runtimes fold at load time.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from network import Colouriser

OPSET = 17
SMALL = 64
"""Constants with fewer values than this, such as sizes, stay at 32 bits, because 16 bits would save nothing."""


class Exported(nn.Module):
    """The network, with ab computed from the logits of its bins."""

    def __init__(self, network: Colouriser, centres: Tensor, weights: Tensor, alpha: float, temperature: float):
        super().__init__()
        self.network = network
        # Both corrections are linear in the logits, so they go into the last convolution.
        network.head.bias.data -= alpha * weights.log()
        network.head.bias.data /= temperature
        network.head.weight.data /= temperature
        self.mean = nn.Conv2d(len(centres), 2, 1, bias=False)
        self.mean.weight.data = centres.T[:, :, None, None].float().clone()

    def forward(self, lightness: Tensor) -> Tensor:
        return self.mean(torch.softmax(self.network(lightness), 1))


def load(checkpoint: Path, alpha: float, temperature: float) -> Exported:
    """The running average of a checkpoint, ready to export."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = Colouriser(len(state["q"]))
    network.load(state["sd"])
    return Exported(network, state["q"], state["w"], alpha, temperature).eval()


def to_onnx(module: nn.Module, example: Tensor) -> onnx.ModelProto:
    """The module as an ONNX model whose input and output have any height and width."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        axes = {"L": {2: "h", 3: "w"}, "ab": {2: "h4", 3: "w4"}}
        torch.onnx.export(
            module,
            (example,),
            file.name,
            input_names=["L"],
            output_names=["ab"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return onnx.load(file.name)


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its constant expressions computed."""
    options = onnxruntime.SessionOptions()
    # At this level only standard operators are used, none that is specific to a machine or to onnxruntime.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        options.optimized_model_filepath = file.name
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        simple = onnx.load(file.name)
    # onnxruntime also lists its own operator domains, none of which is used.
    simple.ClearField("opset_import")
    simple.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    return simple


def merge_padding(model: onnx.ModelProto) -> None:
    """Moves each padding into the convolution that follows it, which saves a pass over the feature map."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for conv in [node for node in graph.node if node.op_type == "Conv" and node.input[0] in pads]:
        pad = pads[conv.input[0]]
        # [before, after] of N, C, H, W; a convolution expects [top, left, bottom, right].
        amounts = constants[pad.input[1]].tolist()
        own = next(attribute for attribute in conv.attribute if attribute.name == "pads")
        own.ints[:] = [a + b for a, b in zip(own.ints, amounts[2:4] + amounts[6:8], strict=True)]
        conv.input[0] = pad.input[0]
        graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def halve(model: onnx.ModelProto) -> None:
    """Stores the weights as 16-bit floats, each followed by a cast to 32 bits."""
    graph = model.graph
    casts = []
    for index, weight in enumerate(graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)


def run(model: onnx.ModelProto, lightness: np.ndarray) -> np.ndarray:
    """The model's output in onnxruntime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (ab,) = session.run(None, {"L": lightness})
    return ab


def check(model: onnx.ModelProto, height: int = 64, width: int = 96) -> dict:
    """A picture of waves and its colour by onnxruntime. The program's own runtime must compute the same."""
    y, x = np.mgrid[0:height, 0:width]
    lightness = np.round(50 + 30 * np.sin(x / 5) * np.cos(y / 9) + 15 * y / height).astype(np.float32)
    ab = run(model, lightness[None, None])[0]
    values = [round(float(value), 4) for value in ab.flatten()]
    return {"lightness": lightness.astype(int).tolist(), "ab": values}


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a trained colouriser as ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path, help="the ONNX file to write")
    parser.add_argument("--alpha", type=float, default=0.5, help="share of the rebalancing that is undone")
    parser.add_argument("--temperature", type=float, default=0.5, help="temperature of the annealed mean")
    options = parser.parse_args()
    module = load(options.checkpoint, options.alpha, options.temperature)
    model = simplify(to_onnx(module, torch.rand(1, 1, 256, 256) * 100))
    merge_padding(model)
    halve(model)
    onnx.checker.check_model(model)
    options.model.write_bytes(model.SerializeToString())
    options.model.with_suffix(".check.json").write_text(json.dumps(check(model)))


if __name__ == "__main__":
    main()
