"""Makes the seeds in fuzz/corpus: the smallest files of each kind, from which the fuzzer goes on. Run it in fuzz/."""

import io
import json
import pathlib
import struct
import tarfile

GOLDEN = pathlib.Path("../tests/golden")


def write(target, **seeds):
    folder = pathlib.Path("corpus") / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)


def compact(path):
    return json.dumps(json.loads(path.read_text()), separators=(",", ":")).encode()


write(
    "csv",
    rows=b"\x00\na.png,a cat\nb.png,\"a \"\"dog\"\",\nbarking\"\n",
    tabs=b"\x01\r\na\tb\tc\r\n\r\nd\r\n",
    whole=b"\x04\xef\xbb\xbfid,url,caption\n1,a,\"open\n",
    quotes=b"\x02;x\n\"a\"b;c\"d\";\"\"\n;;;;\n",
    blank=b"\x05\n\nurl\tcaption\n\n\"\"\n",
)
write(
    "json_lines",
    rows=b'{"url": "a", "caption": "b"}\n{"url":"\\ud83d","caption":null,"x":[1,{"y":2}]}\n\n{}\n',
    broken=b'\xef\xbb\xbf{"url":1,"caption":2}\r\n[1]\n{"url":"a"\nnull\n',
)


def tar(kind, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    # Without what fills up the last record.
    return out.getvalue().rstrip(b"\0") + bytes(512)


SAMPLE = [("a.jpg", b"jpeg"), ("a.txt", b"a cat"), ("a.json", b'{"x": 1}'), ("b.jpg", b""), ("b.txt", b"")]
write(
    "tar",
    ustar=tar(tarfile.USTAR_FORMAT, SAMPLE),
    gnu_long=tar(tarfile.GNU_FORMAT, [("n" * 120 + ".jpg", b"x"), ("n" * 120 + ".txt", b"y")]),
    pax_long=tar(tarfile.PAX_FORMAT, [("é" * 90 + ".jpg", b"x"), ("é" * 90 + ".txt", b"y")]),
    no_sample=tar(tarfile.USTAR_FORMAT, [("README", b"hello"), ("d/.hidden", b"")]),
)


def safetensors(header, data=b""):
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


write(
    "safetensors",
    one=safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    two=safetensors(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F16", "shape": [1, 2], "data_offsets": [0, 4]},
            "logit_scale": {"dtype": "BF16", "shape": [], "data_offsets": [4, 6]},
        },
        bytes(6),
    ),
    none=safetensors({}),
)
configs = {}
for folder in sorted((GOLDEN / "models").iterdir()) + sorted((GOLDEN / "families").iterdir()):
    for number, name in enumerate(["config.json", "open_clip_config.json"]):
        if (folder / name).is_file():
            preprocessor = folder / "preprocessor_config.json"
            second = compact(preprocessor) if preprocessor.is_file() else b""
            configs[folder.name] = bytes([number]) + compact(folder / name) + b"\0" + second
# Of those that differ only in their weights, one.
for name in ["clip-bf16", "clip-f16", "clip-sharded", "clip-pytorch-bin"]:
    configs.pop(name, None)
write("config", **configs)


def tokenizer(model, **parts):
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    whole |= {"pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model} | parts
    return json.dumps(whole, separators=(",", ":")).encode() + b"\0a b"


SPECIAL = [{"id": 3, "content": "</s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]
write(
    "tokenizer",
    bpe=tokenizer(
        {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "</s>": 3}, "merges": ["a b"], "unk_token": "</s>"},
        added_tokens=SPECIAL,
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "[a-z]+| "}, "behavior": "Removed", "invert": True},
    ),
    word_piece=tokenizer(
        {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={"type": "BertProcessing", "sep": ["a", 1], "cls": ["##b", 2]},
    ),
    unigram=tokenizer(
        {"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1.5], ["b", -2.0]], "unk_id": 0},
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        padding={"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0, "pad_token": "a"},
        truncation={"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
    ),
)
write(
    "address",
    url=b"https://user@Example.com:8080/a%20b.jpg?x=1#y",
    path=b"images/a b.png",
    inline=b"data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    file=b"file:///a/b.png",
)
