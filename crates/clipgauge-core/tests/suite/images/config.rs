//! `preprocessor_config.json` as the hub has it, old and new, and as it had better not be.

use clipgauge_core::spec::{Filter, ImageSpec, Resize};

use super::golden::{clip, siglip};

fn read(json: &str) -> Result<ImageSpec, String> {
    ImageSpec::from_preprocessor_config(json.as_bytes(), "preprocessor_config.json").map_err(|error| error.to_string())
}

#[test]
fn every_spelling_is_read() {
    let naflex = |patch_size, max_patches| ImageSpec {
        resize: Resize::Patches { patch_size, max_patches },
        filter: Filter::Bilinear,
        ..siglip(1)
    };
    for (name, json, expected) in [
        (
            "openai/clip-vit-base-patch32",
            r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
                "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}"#,
            clip(224),
        ),
        (
            "saved by a newer release",
            r#"{"image_processor_type": "CLIPImageProcessorFast", "crop_size": {"height": 336, "width": 336},
                "do_convert_rgb": true, "do_pad": null, "rescale_factor": 0.00392156862745098, "return_tensors": null,
                "size": {"shortest_edge": 336, "longest_edge": null}}"#,
            clip(336),
        ),
        ("nothing but the class", r#"{"image_processor_type": "CLIPImageProcessor"}"#, clip(224)),
        ("nothing at all", "{}", clip(224)),
        (
            "under image_processor",
            r#"{"processor_class": "CLIPProcessor", "image_processor": {"image_processor_type": "CLIPImageProcessorPil"}}"#,
            clip(224),
        ),
        (
            "OFA-Sys/chinese-clip-vit-base-patch16",
            r#"{"do_center_crop": false, "do_normalize": true, "do_resize": true, "resample": 3,
                "feature_extractor_type": "ChineseCLIPFeatureExtractor", "size": {"height": 224, "width": 224},
                "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}"#,
            ImageSpec { resize: Resize::Exact([224, 224]), crop: None, ..clip(224) },
        ),
        (
            "google/siglip-base-patch16-224",
            r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
                "image_processor_type": "SiglipImageProcessor", "image_std": [0.5, 0.5, 0.5],
                "processor_class": "SiglipProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
                "size": {"height": 384, "width": 384}}"#,
            siglip(384),
        ),
        ("SigLIP by its processor's class", r#"{"processor_class": "SiglipProcessor", "size": 256}"#, siglip(256)),
        (
            "google/siglip2-base-patch16-naflex",
            r#"{"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 1024, "patch_size": 14, "resample": 2}"#,
            naflex(14, 1024),
        ),
        ("NaFlex by default", r#"{"image_processor_type": "Siglip2ImageProcessorFast"}"#, naflex(16, 256)),
        (
            "no class, an exact size, no crop",
            r#"{"size": [48, 64], "image_mean": 0.5, "image_std": 0.25, "resample": 1}"#,
            ImageSpec {
                resize: Resize::Exact([48, 64]),
                crop: None,
                filter: Filter::Lanczos,
                mean: [0.5; 3],
                std: [0.25; 3],
                ..clip(1)
            },
        ),
        (
            "everything off but the crop",
            r#"{"do_resize": false, "do_rescale": false, "do_normalize": false, "crop_size": [30, 40.0]}"#,
            ImageSpec {
                resize: Resize::Keep,
                crop: Some([30, 40]),
                rescale_factor: 1.0,
                mean: [0.0; 3],
                std: [1.0; 3],
                ..clip(1)
            },
        ),
    ] {
        assert_eq!(read(json), Ok(expected), "{name}");
    }
}

#[test]
fn values_that_make_no_sense_are_named() {
    for (json, expected) in [
        ("[]", "preprocessor_config.json is not valid: it is not a JSON object"),
        ("{", "preprocessor_config.json is not valid: EOF while parsing an object at line 1 column 1"),
        (r#"{"size": 0}"#, "preprocessor_config.json: `size` is 0, not a whole number from 1 to 4096"),
        (r#"{"size": -224}"#, "preprocessor_config.json: `size` is -224, not a whole number from 1 to 4096"),
        (
            r#"{"size": {"height": 224, "width": 1e9}}"#,
            "preprocessor_config.json: `size` is 1000000000.0, not a whole number from 1 to 4096",
        ),
        (
            r#"{"size": {"longest_edge": 224}}"#,
            "preprocessor_config.json: `size` is `{\"longest_edge\":224}`, which is not supported; supported: a number, `shortest_edge`, or `height` and `width`",
        ),
        (
            r#"{"size": 224, "do_center_crop": false}"#,
            "preprocessor_config.json: `size` has only `shortest_edge`, but nothing is cropped",
        ),
        (
            r#"{"do_resize": false, "do_center_crop": false}"#,
            "preprocessor_config.json: `do_resize` is false, but nothing is cropped",
        ),
        (
            r#"{"crop_size": "224"}"#,
            "preprocessor_config.json: `crop_size` is \"224\", not a whole number from 1 to 4096",
        ),
        (
            r#"{"crop_size": [224, 224, 224]}"#,
            "preprocessor_config.json: `crop_size` is [224,224,224], not a whole number from 1 to 4096",
        ),
        (r#"{"resample": 6}"#, "preprocessor_config.json: `resample` is 6, not the number of a filter, 0 to 5"),
        (r#"{"do_resize": "yes"}"#, "preprocessor_config.json: `do_resize` is neither true nor false"),
        (r#"{"image_mean": [0.5, 0.5]}"#, "preprocessor_config.json: `image_mean` is not a number, or three"),
        (r#"{"image_mean": [0.5, "NaN", 0.5]}"#, "preprocessor_config.json: `image_mean` is not a number, or three"),
        (
            r#"{"image_std": [0.5, 0.0, 0.5]}"#,
            "preprocessor_config.json: `image_std` is not a number above 0, or three",
        ),
        (r#"{"image_std": 1e300}"#, "preprocessor_config.json: `image_std` is not a number above 0, or three"),
        (r#"{"rescale_factor": 0}"#, "preprocessor_config.json: `rescale_factor` is 0, not a number above 0"),
        (
            r#"{"image_processor_type": "Siglip2ImageProcessor", "patch_size": 0}"#,
            "preprocessor_config.json: `patch_size` is 0, not a whole number from 1 to 256",
        ),
        (
            r#"{"image_processor_type": "ViTImageProcessor"}"#,
            "preprocessor_config.json: `image_processor_type` is `ViTImageProcessor`, which is not supported; supported: CLIPImageProcessor, ChineseCLIPImageProcessor, SiglipImageProcessor, Siglip2ImageProcessor",
        ),
        (
            r#"{"do_pad": true}"#,
            "preprocessor_config.json: `do_pad` is `true`, which is not supported; supported: false",
        ),
    ] {
        assert_eq!(read(json), Err(expected.to_owned()), "{json}");
    }
}
