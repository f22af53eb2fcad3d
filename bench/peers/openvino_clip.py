"""OpenVINO over the exported towers, held to f32 (it takes bf16 by itself where the processor has it)."""

import argparse
from pathlib import Path

import numpy
import openvino
from numpy.typing import NDArray

import plain_clip
from harness import arguments, cosines, run


class OpenVino:
    def __init__(self, options: argparse.Namespace) -> None:
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        load = lambda tower: core.compile_model(options.exported / f"{tower}.onnx", "CPU", settings)
        self.vision, self.text = load("vision"), load("text")
        self.tokenizer = plain_clip.tokenizer(options.exported)

    def preprocess(self, path: Path) -> NDArray[numpy.float32]:
        return plain_clip.picture(path)

    def scores(self, pictures: list[NDArray[numpy.float32]], captions: list[str]) -> NDArray[numpy.float32]:
        images = self.vision({"pixel_values": numpy.stack(pictures)})[0]
        texts = self.text({"input_ids": plain_clip.ids(self.tokenizer, captions)})[0]
        return cosines(images, texts)


def main() -> None:
    options = arguments(__doc__, batch=16).parse_args()
    run(OpenVino(options), options)


if __name__ == "__main__":
    main()
