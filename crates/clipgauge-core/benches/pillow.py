"""The work of `benches/images.rs` in Pillow and transformers, on one thread: `python pillow.py` (Pillow, transformers)."""
import io
import statistics
import time
from pathlib import Path

import PIL
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil


def milliseconds(work, repeats=60):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return f"{statistics.median(times):.2f} ms (fastest {min(times):.2f})"


def main():
    data = (Path(__file__).parent / "scene-768.jpg").read_bytes()
    processor = CLIPImageProcessorPil()
    decode = lambda: Image.open(io.BytesIO(data)).convert("RGB")
    picture = decode()
    print("Pillow", PIL.__version__, "transformers", transformers.__version__)
    print("decode_jpeg           ", milliseconds(decode))
    print("resize_to_224 Bicubic ", milliseconds(lambda: picture.resize((224, 224), Image.Resampling.BICUBIC)))
    print("preprocess_for_clip   ", milliseconds(lambda: processor(picture, return_tensors="np")))
    print("decode_and_preprocess ", milliseconds(lambda: processor(decode(), return_tensors="np")))


if __name__ == "__main__":
    main()
