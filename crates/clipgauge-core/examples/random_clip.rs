//! Makes a model folder of ViT-B/32's shape with seeded random weights (605 MB in f32), for benchmarks: what a model
//! costs does not depend on what it has learnt.
//!
//! `cargo run --release --example random_clip -- FOLDER`; the tokenizer is CLIP's own.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use clipgauge_core::tokenize::{CLIP_MERGES, clip_vocabulary};
use safetensors::tensor::{Dtype, TensorView};

const CONFIG: &str = r#"{
  "architectures": ["CLIPModel"],
  "model_type": "clip",
  "projection_dim": 512,
  "logit_scale_init_value": 2.6592,
  "torch_dtype": "float32",
  "text_config": {"model_type": "clip_text_model", "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407},
  "vision_config": {"model_type": "clip_vision_model"}
}
"#;

const PREPROCESSOR_CONFIG: &str = r#"{
  "image_processor_type": "CLIPImageProcessor",
  "do_resize": true, "size": {"shortest_edge": 224}, "resample": 3,
  "do_center_crop": true, "crop_size": {"height": 224, "width": 224},
  "do_rescale": true, "rescale_factor": 0.00392156862745098,
  "do_normalize": true, "do_convert_rgb": true,
  "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]
}
"#;

const TOKENIZER_CONFIG: &str = r#"{
  "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
  "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"
}
"#;

/// Uniform numbers of unit variance, the same for each seed (SplitMix64).
struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0) * 3f32.sqrt()
    }
}

/// The tensors under way: shape and little-endian f32.
struct Model {
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    random: Random,
}

impl Model {
    fn tensor(&mut self, name: &str, shape: &[usize], mean: f32, deviation: f32) {
        let count: usize = shape.iter().product();
        let bytes = (0..count).flat_map(|_| (mean + deviation * self.random.number()).to_le_bytes()).collect();
        self.tensors.insert(name.to_owned(), (shape.to_vec(), bytes));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.tensor(&format!("{name}.weight"), &[outputs, inputs], 0.0, 1.0 / (inputs as f32).sqrt());
        self.tensor(&format!("{name}.bias"), &[outputs], 0.0, 0.02);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.tensor(&format!("{name}.weight"), &[width], 1.0, 0.1);
        self.tensor(&format!("{name}.bias"), &[width], 0.0, 0.1);
    }

    fn blocks(&mut self, tower: &str, width: usize) {
        for layer in 0..12 {
            let name = |part: &str| format!("{tower}.encoder.layers.{layer}.{part}");
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                self.linear(&name(&format!("self_attn.{part}")), width, width);
            }
            self.linear(&name("mlp.fc1"), 4 * width, width);
            self.linear(&name("mlp.fc2"), width, 4 * width);
            self.norm(&name("layer_norm1"), width);
            self.norm(&name("layer_norm2"), width);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: random_clip FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let mut model = Model { tensors: BTreeMap::new(), random: Random(1) };
    model.tensor("logit_scale", &[], 100f32.ln(), 0.0);
    model.tensor("vision_model.embeddings.class_embedding", &[768], 0.0, 1.0);
    model.tensor("vision_model.embeddings.patch_embedding.weight", &[768, 3, 32, 32], 0.0, 1.0 / 3072f32.sqrt());
    model.tensor("vision_model.embeddings.position_embedding.weight", &[50, 768], 0.0, 0.1);
    model.norm("vision_model.pre_layrnorm", 768);
    model.blocks("vision_model", 768);
    model.norm("vision_model.post_layernorm", 768);
    model.tensor("visual_projection.weight", &[512, 768], 0.0, 1.0 / 768f32.sqrt());
    model.tensor("text_model.embeddings.token_embedding.weight", &[49_408, 512], 0.0, 0.5);
    model.tensor("text_model.embeddings.position_embedding.weight", &[77, 512], 0.0, 0.1);
    model.blocks("text_model", 512);
    model.norm("text_model.final_layer_norm", 512);
    model.tensor("text_projection.weight", &[512, 512], 0.0, 1.0 / 512f32.sqrt());

    let view = |(shape, bytes)| TensorView::new(Dtype::F32, shape, bytes);
    let views = model.tensors.iter().map(|(name, (shape, bytes))| Ok((name, view((shape.clone(), bytes.as_slice()))?)));
    let views = views.collect::<Result<BTreeMap<_, _>, safetensors::SafeTensorError>>()?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize_to_file(views, Some(metadata), &folder.join("model.safetensors"))?;
    std::fs::write(folder.join("config.json"), CONFIG)?;
    std::fs::write(folder.join("preprocessor_config.json"), PREPROCESSOR_CONFIG)?;
    std::fs::write(folder.join("tokenizer_config.json"), TOKENIZER_CONFIG)?;
    std::fs::write(folder.join("vocab.json"), serde_json::to_vec(&clip_vocabulary())?)?;
    std::fs::write(folder.join("merges.txt"), CLIP_MERGES)?;
    Ok(())
}
