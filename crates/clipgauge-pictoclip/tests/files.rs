//! The files are whole, and all that a loader asks for.

use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::spec::TextSpec;
use clipgauge_core::tokenize::Tokenizer;
use clipgauge_core::weights::Weights;
use clipgauge_pictoclip::FILES;

const BUNDLED: ModelFiles = ModelFiles::Bundled(FILES);

#[test]
fn the_weights_can_be_read() {
    let weights = Weights::open(&BUNDLED).unwrap();
    // The logarithm of a temperature that training keeps below 100.
    let scale = weights.f32("logit_scale", &[]).unwrap()[0].exp();
    assert!((1.0..=100.0).contains(&scale), "{scale}");
    let projection = weights.f32("text_projection.weight", &[128, 160]).unwrap();
    assert!(projection.iter().all(|weight| weight.is_finite()));
    assert!(projection.iter().any(|weight| *weight != 0.0));
}

#[test]
fn a_caption_can_be_tokenized() {
    let spec = TextSpec { context_length: 32, pad_token: None };
    let tokenizer = Tokenizer::read(&BUNDLED, &spec).unwrap().unwrap();
    // As transformers does it.
    let ids = [6142, 320, 6054, 606, 528, 320, 1518, 6143];
    assert_eq!(tokenizer.tokenize("a photo of a cat").unwrap().ids, ids);
}

#[test]
fn the_configurations_are_json() {
    for name in ["config.json", "preprocessor_config.json"] {
        let bytes = BUNDLED.require(name).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap().is_object(), "{name}");
    }
}
