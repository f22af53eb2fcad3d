"""ONNX Runtime over the exported towers, in f32 or with dynamically quantised linear layers."""

import argparse
from pathlib import Path

import numpy
import onnxruntime
from numpy.typing import NDArray

import plain_clip
from harness import arguments, cosines, run


class OnnxRuntime:
    def __init__(self, options: argparse.Namespace) -> None:
        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = options.threads
        session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        suffix = "-int8" if options.int8 else ""
        load = lambda tower: onnxruntime.InferenceSession(
            options.exported / f"{tower}{suffix}.onnx", session, providers=["CPUExecutionProvider"]
        )
        self.vision, self.text = load("vision"), load("text")
        self.tokenizer = plain_clip.tokenizer(options.exported)

    def preprocess(self, path: Path) -> NDArray[numpy.float32]:
        return plain_clip.picture(path)

    def scores(self, pictures: list[NDArray[numpy.float32]], captions: list[str]) -> NDArray[numpy.float32]:
        (images,) = self.vision.run(None, {"pixel_values": numpy.stack(pictures)})
        (texts,) = self.text.run(None, {"input_ids": plain_clip.ids(self.tokenizer, captions)})
        return cosines(images, texts)


def main() -> None:
    parser = arguments(__doc__, batch=16)
    parser.add_argument("--int8", action="store_true")
    options = parser.parse_args()
    run(OnnxRuntime(options), options)


if __name__ == "__main__":
    main()
