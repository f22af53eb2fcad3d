"""Small WebDataset shards as Python's tarfile writes them, one in each of its formats.

    python tests/golden/make/tars.py tests/golden/tars
"""

import io
import json
import sys
import tarfile
from pathlib import Path

LONG = "a folder with a long name/" * 3
SAMPLES = [
    # The third name is as long as ustar's header takes it only in two parts.
    ("000", "a caption", {"width": 4}),
    ("été/猫", "ein Fuchs, ü", None),
    (LONG + "002", "the third\n", {"caption": "not this one", "nested": {"a": [1, 2]}}),
]


def add(tar, name, data, **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode, info.uname = len(data), 1700000000.25, 0o644, "nobody"
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def main(folder):
    folder.mkdir(exist_ok=True)
    for name, form in [("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)]:
        notes = {"comment": "notes of the whole"} if form == tarfile.PAX_FORMAT else None
        with tarfile.open(folder / f"{name}.tar", "w", format=form, pax_headers=notes) as tar:
            add(tar, "été", b"", type=tarfile.DIRTYPE)
            for number, (key, caption, fields) in enumerate(SAMPLES):
                add(tar, key + ".jpg", bytes(range(256)) * (number + 1))
                if number == 0:
                    add(tar, "link", b"", type=tarfile.SYMTYPE, linkname="000.jpg")
                add(tar, key + ".txt", caption.encode())
                if fields is not None:
                    add(tar, key + ".json", json.dumps(fields).encode())
                add(tar, key + ".npy", b"\x93NUMPY")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
