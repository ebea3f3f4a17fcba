"""Files for other libraries: weights for PyTorch in ``.safetensors``, the whole network in ``.onnx``.

Both are written from one description, `modules`: the network as a ``torch.nn.Sequential``, with PyTorch's names and
layouts. An image is (channels, height, width) in PyTorch, but a row of pixels with the channels last in fastae. So the
units of a dense layer before or after a convolution are in another order.
"""

import json
import os
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastae import __version__, storage
from fastae.activations import ACTIVATIONS
from fastae.errors import CheckpointError, InputError, MissingPackage, OutputError
from fastae.layers import Layer, Shape

if TYPE_CHECKING:
    from fastae.model import Autoencoder

SUFFIXES = (".npz", ".safetensors", ".onnx")
OPERATORS = {"Linear": "Gemm", "Conv2d": "Conv", "ConvTranspose2d": "ConvTranspose"}  # of ONNX, by PyTorch's modules
OPERATORS |= {activation.module: activation.operator for activation in ACTIVATIONS.values()}
OPSET, IR_VERSION = 17, 8  # of ONNX: from 2022, so that every later runtime supports them
LARGEST = 2**31 - 2**16  # bytes of weights: a protobuf message holds 2 GiB, and names need some of it


@dataclass(frozen=True)
class Module:
    """One module of a ``torch.nn.Sequential``.

    Attributes
    ----------
    kind : str
        The name of its class in ``torch.nn``.
    arguments : tuple
        The positional arguments of the class.
    options : dict
        Its keyword arguments.
    weight, bias : ndarray, optional
        In PyTorch's layout.
    """

    kind: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None

    def __str__(self) -> str:
        named = [f"{name}={value}" for name, value in self.options.items()]
        return f"torch.nn.{self.kind}({', '.join([*map(str, self.arguments), *named])})"


class Side(NamedTuple):
    """The shapes of a layer's input and output images; None at a side where a dense layer has no convolution."""

    before: Shape | None
    after: Shape | None


def sides(layers: list[Layer]) -> list[Side]:
    """Return the shapes of each layer's input and output images."""
    own = [_own(layer) for layer in layers]
    found = []
    for number, side in enumerate(own):
        if layers[number].kind == "dense":
            before = own[number - 1].after if number else None
            after = own[number + 1].before if number + 1 < len(own) else None
            side = Side(before, after)
        found.append(side)
    return found


def _own(layer: Layer) -> Side:
    if layer.kind == "dense":
        return Side(None, None)
    g = layer.geometry
    image = Shape(g.height, g.width, layer.shape[0] // g.kernel**2)
    patched = Shape(g.rows, g.columns, layer.shape[1])
    return Side(image, patched) if layer.kind == "conv" else Side(patched, image)


def _places(shape: Shape | None, size: int) -> np.ndarray:
    """Return, for each element of an image (channels, height, width), its index in a row of pixels."""
    places = np.arange(size)
    return places if shape is None else places.reshape(shape).transpose(2, 0, 1).ravel()


def to_torch(layer: Layer, side: Side, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's weights and biases in PyTorch's layout."""
    if layer.kind == "dense":
        outputs, inputs = _places(side.after, layer.outputs), _places(side.before, layer.inputs)
        return np.ascontiguousarray(W.T[np.ix_(outputs, inputs)]), b[outputs]
    k = layer.geometry.kernel
    return np.ascontiguousarray(W.reshape(k, k, -1, W.shape[1]).transpose(3, 2, 0, 1)), b.copy()


def from_torch(layer: Layer, side: Side, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's weights and biases in fastae's layout, from PyTorch's: the inverse of `to_torch`."""
    if layer.kind == "dense":
        outputs, inputs = _places(side.after, layer.outputs), _places(side.before, layer.inputs)
        W, b = np.empty(layer.shape, weight.dtype), np.empty_like(bias)
        W[np.ix_(inputs, outputs)] = weight.T
        b[outputs] = bias
        return W, b
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(layer.shape), bias.copy()


def modules(model: "Autoencoder") -> list[Module]:
    """Return the modules of the ``torch.nn.Sequential`` that computes the same as the model's ``reconstruct``.

    If the network begins with a convolution, its inputs and outputs are images (n, channels, height, width); otherwise
    they are rows (n, pixels).

    Raises
    ------
    InputError
        The network has a layer of another kind than dense, conv and transposed.
    """
    made: list[Module] = []
    if unknown := {layer.kind for layer in model.layers} - {"dense", "conv", "transposed"}:
        raise InputError(f"layers of the kind {min(unknown)!r} cannot be written for other libraries; save an .npz")
    for number, (layer, side) in enumerate(zip(model.layers, sides(model.layers))):
        weight, bias = to_torch(layer, side, model.weights[number], model.biases[number])
        if layer.kind == "dense":
            made += [Module("Flatten")] if side.before else []
            made.append(Module("Linear", (layer.inputs, layer.outputs), {}, weight, bias))
        else:
            made.append(_convolution(layer, side, weight, bias))
        activation = "sigmoid" if number + 1 == len(model.layers) else model.activation
        made.append(Module(ACTIVATIONS[activation].module))
        if layer.kind == "dense" and side.after:
            height, width, channels = side.after
            made.append(Module("Unflatten", (1, (channels, height, width))))
    return made


def _convolution(layer: Layer, side: Side, weight: np.ndarray, bias: np.ndarray) -> Module:
    g = layer.geometry
    assert side.before is not None
    assert side.after is not None
    channels = side.before.channels, side.after.channels, g.kernel
    options: dict[str, Any] = {"stride": g.stride, "padding": g.padding}
    if layer.kind == "conv":
        return Module("Conv2d", channels, options, weight, bias)
    # The rows and columns at the end that are in no patch of the mirrored convolution.
    options["output_padding"] = tuple(
        length - ((patches - 1) * g.stride - 2 * g.padding + g.kernel)
        for length, patches in ((g.height, g.rows), (g.width, g.columns))
    )
    return Module("ConvTranspose2d", channels, options, weight, bias)


def expression(model: "Autoencoder") -> str:
    """Return the Python expression for the ``torch.nn.Sequential`` whose ``load_state_dict`` takes the weights."""
    return "torch.nn.Sequential(\n" + "".join(f"    {module},\n" for module in modules(model)) + ")"


def save(model: "Autoencoder", path: str | os.PathLike[str], config: dict[str, Any]) -> None:
    """Write a model as ``.safetensors`` or ``.onnx``, depending on the path's suffix.

    Raises
    ------
    MissingPackage
        The package for the format is not installed.
    OutputError
        The file cannot be written, or the network is too large for ``.onnx``.
    """
    text = json.dumps({"kind": "model", **config})
    content = _safetensors(model, text) if suffix_of(path) == ".safetensors" else _onnx(model, text, path)
    with storage.replacing(path) as file:
        file.write(content)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a path, ``.npz`` if it has none; raises `InputError` if it is none of `SUFFIXES`."""
    suffix = os.path.splitext(os.fspath(path))[1].lower() or SUFFIXES[0]
    if suffix not in SUFFIXES:
        raise InputError(f"a model is saved as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; got {os.fspath(path)!r}")
    return suffix


def _import(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingPackage(
            f"{what} needs the package {package}, which does not import ({error}); pip install 'fastae[interchange]'"
        ) from error


def _safetensors(model: "Autoencoder", config: str) -> bytes:
    numpy = _import("safetensors.numpy", "a .safetensors file")
    tensors: dict[str, np.ndarray] = {}
    for number, module in enumerate(modules(model)):
        if module.weight is not None and module.bias is not None:
            tensors |= {f"{number}.weight": module.weight, f"{number}.bias": module.bias}
    metadata = {"format": "pt", "fastae": __version__, "config": config, "sequential": expression(model)}
    return numpy.save(tensors, metadata)


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the configuration and the tensors that `save` wrote; raises `CheckpointError` and `MissingPackage`."""
    safe_open = _import("safetensors", "a .safetensors file").safe_open
    if not os.path.exists(path):
        raise CheckpointError(f"{path} does not exist")
    if not os.path.isfile(path):  # opening a pipe would wait for its writer
        raise CheckpointError(f"{path} is not a regular file; give a fastae model")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        if "config" not in metadata:
            raise CheckpointError(
                f"{path} was not written by fastae: its metadata has no config, which says what the network is"
            )
        config = json.loads(metadata["config"])
        found = config.pop("kind")
    except CheckpointError:
        raise
    except Exception as error:  # safetensors and json raise several types for damaged files
        raise CheckpointError(f"{path} is damaged or not a fastae model: {storage.brief(error)}") from error
    if found != "model":
        raise CheckpointError(f"{path} holds a {storage.brief(found)}, not a model")
    return config, tensors


def load_tensors(model: "Autoencoder", path: Any, tensors: dict[str, np.ndarray]) -> None:
    """Set a model's parameters from tensors in PyTorch's layout; raises `CheckpointError` unless they fit the model."""
    model.weights, model.biases, number = [], [], 0
    for layer, side in zip(model.layers, sides(model.layers)):
        number += layer.kind == "dense" and side.before is not None  # Flatten
        k, (inputs, outputs) = layer.geometry.kernel, layer.shape
        shape = (outputs, inputs) if layer.kind == "dense" else (outputs, inputs // k**2, k, k)
        parts = []
        for name, expected in ((f"{number}.weight", shape), (f"{number}.bias", (layer.channels,))):
            array = tensors.get(name)
            if array is None or array.shape != expected or array.dtype != model.dtype:
                found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise CheckpointError(f"{path}: {name} should be {model.dtype} {expected}, but is {found}")
            parts.append(array)
        W, b = from_torch(layer, side, *parts)
        model.weights.append(W)
        model.biases.append(b)
        number += 2 + (layer.kind == "dense" and side.after is not None)  # an activation, and Unflatten


class _Graph:
    """A chain of ONNX nodes."""

    def __init__(self, onnx: Any) -> None:
        self.onnx, self.last = onnx, "images"
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *arrays: tuple[str, np.ndarray], output: str | None = None, **attributes: Any) -> str:
        """Append a node whose inputs are the last node's output and named constants; return its output's name."""
        for name, array in arrays:
            self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        inputs, output = [self.last, *(name for name, _ in arrays)], output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        self.last = output
        return output

    def reshape(self, *shape: int) -> None:
        """Append a node that reshapes each image."""
        self.add("Reshape", (f"shape_{len(self.nodes)}", np.array([0, *shape])))  # 0 keeps the number of images

    def rows(self, shape: Shape | None, output: str) -> None:
        """Add a named output of the graph: the last node's output, converted to rows of pixels if it is an image."""
        before = self.last
        if shape is not None:
            self.add("Transpose", perm=[0, 2, 3, 1])
            self.add("Flatten", output=output)
        else:
            self.add("Identity", output=output)
        self.last = before


def _onnx(model: "Autoencoder", config: str, path: Any) -> bytes:
    onnx = _import("onnx", "an .onnx file")
    size = sum(p.nbytes for p in (*model.weights, *model.biases))
    if size > LARGEST:
        raise OutputError(f"cannot write {path}: an .onnx file holds 2 GiB, and this network has {size:,} bytes")
    graph, beside, layers = _Graph(onnx), sides(model.layers), 0
    if (first := beside[0].before) is not None:
        graph.reshape(*first)
        graph.add("Transpose", perm=[0, 3, 1, 2])
    for number, module in enumerate(modules(model)):
        if module.weight is not None and module.bias is not None:
            arrays = (f"{number}.weight", module.weight), (f"{number}.bias", module.bias)
            graph.add(OPERATORS[module.kind], *arrays, **_attributes(module))
        elif module.kind == "Flatten":
            graph.add("Flatten")
        elif module.kind == "Unflatten":
            graph.reshape(*module.arguments[1])
        else:
            graph.add(OPERATORS[module.kind])
            layers += 1
            if layers == len(beside) // 2:
                graph.rows(beside[layers - 1].after, "code")
    graph.rows(beside[-1].after, "reconstruction")
    real = onnx.helper.np_dtype_to_tensor_dtype(model.dtype)
    taken, code, given = (
        onnx.helper.make_tensor_value_info(name, real, ["n", width])
        for name, width in (("images", model.sizes[0]), ("code", model.sizes[-1]), ("reconstruction", model.sizes[0]))
    )
    made = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "autoencoder", [taken], [code, given], graph.constants),
        producer_name="fastae",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(made, {"config": config})
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def _attributes(module: Module) -> dict[str, Any]:
    if module.kind == "Linear":
        return {"transB": 1}
    kernel, o = module.arguments[2], module.options
    found = {"kernel_shape": [kernel] * 2, "strides": [o["stride"]] * 2, "pads": [o["padding"]] * 4}
    return found | ({"output_padding": o["output_padding"]} if module.kind == "ConvTranspose2d" else {})
