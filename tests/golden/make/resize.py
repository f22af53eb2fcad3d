"""What Pillow makes of made-up pictures: sizes, filter, and a hash of the bytes.

`python resize.py > ../images/resize.json` (numpy, Pillow 13: older ones never do the vertical pass first).
Byte `i` of a picture is the high byte of `i · 2654435761` in 32 bits; hashes are 64-bit FNV-1a.
"""
import json

import numpy as np
import PIL
from PIL import Image

SIZES = [
    # columns and rows from, columns and rows to
    (64, 48, 32, 24), (61, 47, 30, 29), (33, 21, 70, 90), (100, 75, 85, 64), (75, 101, 64, 86),
    (40, 30, 40, 17), (40, 30, 23, 30), (40, 30, 40, 30), (40, 30, 40, 55), (40, 30, 77, 30),
    (9, 300, 64, 64), (300, 9, 64, 64), (90, 200, 60, 50), (1, 1, 5, 4), (2, 3, 7, 5), (5, 1, 3, 9), (1, 700, 4, 3), (700, 1, 3, 4),
    (350, 260, 7, 5), (16, 16, 15, 1),
]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def main():
    cases = []
    for columns, rows, to_columns, to_rows in SIZES:
        count = np.arange(columns * rows * 3, dtype=np.uint64)
        picture = (count * 2654435761 % 2**32 >> 24).astype(np.uint8).reshape(rows, columns, 3)
        for number in range(6):
            resized = Image.fromarray(picture).resize((to_columns, to_rows), number)
            cases.append({"from": [columns, rows], "to": [to_columns, to_rows], "filter": number, "fnv": fnv(resized.tobytes())})
    lines = ",\n".join(json.dumps(case) for case in cases)
    print(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
