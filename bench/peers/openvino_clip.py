"""OpenVINO over the exported towers, held to f32 (it takes bf16 by itself where the processor has it)."""

import argparse
import threading

import numpy
import openvino
from numpy.typing import NDArray

from harness import arguments, run
from plain_clip import PlainClip


class OpenVino(PlainClip):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.exported)
        self.requests = threading.local()
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT" if options.streams else "LATENCY",
            "NUM_STREAMS": options.threads if options.streams else 1,
        }
        self.vision, self.text = (
            core.compile_model(options.exported / f"{tower}.onnx", "CPU", settings) for tower in ("vision", "text")
        )

    def images(self, pictures: list[NDArray[numpy.float32]]) -> NDArray[numpy.float32]:
        return self.infer(self.vision, {"pixel_values": numpy.stack(pictures)})

    def texts(self, tokens: NDArray[numpy.int64]) -> NDArray[numpy.float32]:
        return self.infer(self.text, {"input_ids": tokens})

    def infer(self, model: openvino.CompiledModel, inputs: dict[str, NDArray]) -> NDArray[numpy.float32]:
        """In a request of the thread's own: one is busy while it works."""
        requests = self.requests.__dict__
        if model not in requests:
            requests[model] = model.create_infer_request()
        return requests[model].infer(inputs)[0]


def parser() -> argparse.ArgumentParser:
    return arguments(__doc__)


def load(options: argparse.Namespace) -> OpenVino:
    return OpenVino(options)


if __name__ == "__main__":
    options = parser().parse_args()
    run(load(options), options)
