"""OpenVINO over the exported towers, held to f32 (it takes bf16 by itself where the processor has it)."""

import argparse

import numpy
import openvino
from numpy.typing import NDArray

from harness import arguments, run
from plain_clip import PlainClip


class OpenVino(PlainClip):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.exported)
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.vision, self.text = (
            core.compile_model(options.exported / f"{tower}.onnx", "CPU", settings) for tower in ("vision", "text")
        )

    def images(self, pictures: list[NDArray[numpy.float32]]) -> NDArray[numpy.float32]:
        return self.vision({"pixel_values": numpy.stack(pictures)})[0]

    def texts(self, tokens: NDArray[numpy.int64]) -> NDArray[numpy.float32]:
        return self.text({"input_ids": tokens})[0]


def parser() -> argparse.ArgumentParser:
    return arguments(__doc__)


def load(options: argparse.Namespace) -> OpenVino:
    return OpenVino(options)


if __name__ == "__main__":
    options = parser().parse_args()
    run(load(options), options)
