"""Makes of the model in Hugging Face's form what a peer needs: `python bench/export.py MODEL FOLDER`.

- `tokenizer.json`
- `vision.onnx` and `text.onnx`, any batch and any length, and the same with dynamically quantised linear layers
- `open_clip.safetensors`, the weights under open_clip's names
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, CLIPModel


class Vision(torch.nn.Module):
    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.clip.get_image_features(pixel_values=pixel_values).pooler_output


class Text(torch.nn.Module):
    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.clip.get_text_features(input_ids=input_ids).pooler_output


def export_onnx(clip: CLIPModel, folder: Path) -> None:
    batch, length = torch.export.Dim("batch", min=1, max=256), torch.export.Dim("length", min=2, max=77)
    towers = {
        "vision": (Vision(clip), "pixel_values", torch.zeros(2, 3, 224, 224), {0: batch}),
        "text": (Text(clip), "input_ids", torch.full((2, 7), 49407), {0: batch, 1: length}),
    }
    for name, (tower, argument, example, shape) in towers.items():
        path = folder / f"{name}.onnx"
        program = torch.onnx.export(
            tower.eval(), (example,), dynamo=True, input_names=[argument], dynamic_shapes=(shape,), external_data=False
        )
        program.save(path)
        prepared = folder / f"{name}-prepared.onnx"
        # It leaves files of its own where it runs.
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
            quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_dynamic(
            prepared,
            folder / f"{name}-int8.onnx",
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        prepared.unlink()


def export_open_clip(model: Path, folder: Path) -> None:
    weights = load_file(model / "model.safetensors")
    made = {
        "logit_scale": weights["logit_scale"],
        "text_projection": weights["text_projection.weight"].T,
        "positional_embedding": weights["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": weights["text_model.embeddings.token_embedding.weight"],
        "visual.proj": weights["visual_projection.weight"].T,
        "visual.class_embedding": weights["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": weights["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": weights["vision_model.embeddings.patch_embedding.weight"],
    }
    norms = {
        "ln_final": "text_model.final_layer_norm",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
    }
    parts = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    for kind in ("weight", "bias"):
        made |= {f"{ours}.{kind}": weights[f"{theirs}.{kind}"] for ours, theirs in norms.items()}
        for ours, theirs in (("transformer", "text_model"), ("visual.transformer", "vision_model")):
            for layer in range(12):
                block, source = f"{ours}.resblocks.{layer}", f"{theirs}.encoder.layers.{layer}"
                qkv = [weights[f"{source}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
                made[f"{block}.attn.in_proj_{kind}"] = torch.cat(qkv)
                made |= {f"{block}.{part}.{kind}": weights[f"{source}.{name}.{kind}"] for part, name in parts.items()}
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / "open_clip.safetensors")


def main() -> None:
    model, folder = (Path(argument).absolute() for argument in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    export_open_clip(model, folder)
    export_onnx(CLIPModel.from_pretrained(model, dtype=torch.float32).eval(), folder)
    (folder / "done").touch()


if __name__ == "__main__":
    main()
