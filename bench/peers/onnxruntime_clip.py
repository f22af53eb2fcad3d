"""ONNX Runtime over the exported towers, in f32 or with dynamically quantised linear layers."""

import argparse

import numpy
import onnxruntime
from numpy.typing import NDArray

from harness import arguments, engine_threads, run
from plain_clip import PlainClip


class OnnxRuntime(PlainClip):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.exported)
        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = engine_threads(options)
        # Threads that wait without sleeping would take the processor from those that decode.
        session.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        suffix = "-int8" if options.int8 else ""
        self.vision, self.text = (
            onnxruntime.InferenceSession(
                options.exported / f"{tower}{suffix}.onnx", session, providers=["CPUExecutionProvider"]
            )
            for tower in ("vision", "text")
        )

    def images(self, pictures: list[NDArray[numpy.float32]]) -> NDArray[numpy.float32]:
        return self.vision.run(None, {"pixel_values": numpy.stack(pictures)})[0]

    def texts(self, tokens: NDArray[numpy.int64]) -> NDArray[numpy.float32]:
        return self.text.run(None, {"input_ids": tokens})[0]


def parser() -> argparse.ArgumentParser:
    parser = arguments(__doc__)
    parser.add_argument("--int8", action="store_true")
    return parser


def load(options: argparse.Namespace) -> OnnxRuntime:
    return OnnxRuntime(options)


if __name__ == "__main__":
    options = parser().parse_args()
    run(load(options), options)
