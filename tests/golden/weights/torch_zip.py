"""What is in a pytorch_model.bin, by Python's own unpickler: shape, first, last and sum of each tensor.

`python torch_zip.py ../models/clip-pytorch-bin/pytorch_model.bin > clip-pytorch-bin.json` (numpy).
"""
import collections
import json
import pickle
import sys
import zipfile

import numpy as np

STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "LongStorage": "<i8"}


def rebuild(storage, offset, shape, strides, *_):
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, [s * storage.itemsize for s in strides])


class Unpickler(pickle.Unpickler):
    def __init__(self, archive):
        self.archive = archive
        (name,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        self.folder = name.removesuffix("data.pkl")
        super().__init__(archive.open(name))

    def find_class(self, module, name):
        return {"OrderedDict": collections.OrderedDict, "_rebuild_tensor_v2": rebuild, **STORAGES}[name]

    def persistent_load(self, reference):
        _, kind, key, _, count = reference
        return np.frombuffer(self.archive.read(f"{self.folder}data/{key}"), kind)[:count]


tensors = Unpickler(zipfile.ZipFile(sys.argv[1])).load()
print(json.dumps({name: dict(shape=t.shape, first=float(t.flat[0]), last=float(t.flat[-1]), sum=float(t.sum(dtype="f8")))
                  for name, t in tensors.items()}, indent=0))
