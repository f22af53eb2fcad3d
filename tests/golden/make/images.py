"""A small set of golden pictures for the tests: files of every kind, with what the reference makes of them.

`python images.py OUT SOURCE…` takes files from folders that hold `files/`, `bad/`, `expected.json` and
`expected.safetensors` (numbers after normalising, from transformers' Pillow-backed processors: CLIPImageProcessorPil,
SiglipImageProcessorPil, Siglip2ImageProcessorPil), and writes the same with the numbers as bytes before normalising,
which is what they were made from. A file is left out where another has everything that it has.
(numpy, safetensors.)
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
# Large, and of a kind that a smaller one shows too. Some of them are in `files/` as pictures of `families/` alone.
LEFT_OUT = {
    "webp-animated.webp", "png-rgb-16.png", "large-downscale.jpg", "bmp-24.bmp", "tiff-lzw.tif", "png-rgba.png", "png-rgb.png",
    "webp-alpha.webp", "webp-lossless.webp", "png-gamma.png", "png-trns-rgb.png", "size-63x99.png", "size-65x64.png", "jpeg-444.jpg",
    "jpeg-exif-1.jpg", "avif.avif", "png-gray.png",
}


def levels(values, mean, std, axis):
    shape = [1] * values.ndim
    shape[axis] = 3
    exact = (values.astype(np.float64) * np.reshape(std, shape) + np.reshape(mean, shape)) * 255
    rounded = exact.round()
    assert np.abs(exact - rounded).max() < 0.01
    return rounded.astype(np.uint8)


def main(out, sources):
    good, bad, tensors, facts = {}, {}, {}, {}
    for source in map(Path, sources):
        facts = facts | json.loads((source / "expected.json").read_text())
        stored = load_file(source / "expected.safetensors")
        for name, fact in facts["good"].items():
            if name in LEFT_OUT or not (source / "files" / name).exists():
                continue
            good[name] = dict(upright_size=fact["upright_size"])
            shutil.copy(source / "files" / name, out / "files" / name)
            tensors[f"clip/{name}"] = levels(stored[f"clip/{name}"], CLIP_MEAN, CLIP_STD, 0)
            if "exif" not in name:
                tensors[f"siglip/{name}"] = levels(stored[f"siglip/{name}"], [0.5] * 3, [0.5] * 3, 0)
            if f"naflex/{name}" in stored:
                rows, columns = shape = stored[f"naflex-shape/{name}"]
                patches = stored[f"naflex/{name}"][: rows * columns]
                tensors[f"naflex/{name}"] = levels(patches.reshape(-1, 3), [0.5] * 3, [0.5] * 3, 1).reshape(patches.shape)
                tensors[f"naflex-shape/{name}"] = shape
        for name, kind in facts.get("bad", {}).items():
            if (source / "bad" / name).exists():
                bad[name] = kind
                shutil.copy(source / "bad" / name, out / "bad" / name)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, out / "expected.safetensors")
    facts = {field: facts[field] for field in ("size", "patch_size", "max_num_patches")} | dict(good=good, bad=bad)
    (out / "expected.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
