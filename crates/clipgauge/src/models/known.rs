//! The models that are known by name: ids of the hub with what is known of them, and the names that other tools have
//! for them.
//!
//! The table is `data/models.json`. Sizes follow from the architectures that open_clip's `model_configs` and the models'
//! own configurations give; `open_clip` holds its architectures and pretrained tags (`pretrained.py`, 3.3) of which the
//! hub has a repository that can be read. `ViT-B/32` and the like are the names of OpenAI's `clip` package, `open_clip:`
//! and `hf_clip:` those of clip-retrieval, `hf-hub:` open_clip's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The prefix of open_clip's architectures and tags.
const OPEN_CLIP: &str = "open_clip:";

/// Prefixes behind which an id of the hub stands.
const HUB_PREFIXES: &[&str] = &["hf_clip:", "hf-hub:"];

/// The least likeness of a name that is told as near.
const MIN_LIKENESS: f64 = 0.5;

/// How many near names are told.
const NEAR: usize = 3;

/// A model of the hub that is well known.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct KnownModel {
    /// Its id.
    pub id: String,
    /// The name of its family.
    pub family: String,
    /// What languages its captions may have.
    pub languages: String,
    /// Rows and columns of a picture, in pixels; `None` where a picture keeps its aspect ratio.
    pub image_size: Option<u32>,
    /// Rows and columns of a patch, in pixels.
    pub patch_size: u32,
    /// Numbers in an embedding.
    pub embedding_width: usize,
    /// The most tokens of a text, where that is known.
    pub context_length: Option<usize>,
    /// How many numbers were learnt.
    pub parameters: u64,
    /// Other names for it.
    pub aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    models: Vec<KnownModel>,
    /// Architecture, then tag, then id.
    open_clip: BTreeMap<String, BTreeMap<String, String>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // Part of the program, and read by a test.
    serde_json::from_str(include_str!("../../data/models.json")).expect("the table of models is valid")
});

/// The well-known models, by family.
///
/// ```
/// let mut models = clipgauge::models::known().iter();
/// let model = models.find(|model| model.id == "openai/clip-vit-base-patch32").expect("is well known");
/// assert_eq!((model.embedding_width, model.context_length), (512, Some(77)));
/// ```
pub fn known() -> &'static [KnownModel] {
    &TABLE.models
}

/// What a name stands for that another tool has for a model: an id of the hub, perhaps with a revision.
pub(crate) fn alias(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix(OPEN_CLIP) {
        return pretrained(rest).or_else(|| behind_hub_prefix(rest));
    }
    let model = TABLE.models.iter().find(|model| model.aliases.iter().any(|alias| alias == name));
    model.map(|model| model.id.as_str()).or_else(|| behind_hub_prefix(name))
}

/// The names that are most like one of open_clip's that is not known; `None` for a name that is not meant as one.
pub(crate) fn near_open_clip(name: &str) -> Option<Vec<String>> {
    let wanted = name.strip_prefix(OPEN_CLIP)?;
    let tags = |(architecture, tags): (&String, &BTreeMap<String, String>)| {
        tags.keys().map(|tag| format!("{architecture}/{tag}")).collect::<Vec<_>>()
    };
    // A name without a tag is like those of its architecture, however long their tags are.
    let likeness = |pair: &str| match wanted.contains('/') {
        true => strsim::normalized_damerau_levenshtein(pair, wanted),
        false => strsim::normalized_damerau_levenshtein(pair.split('/').next().unwrap_or(pair), wanted),
    };
    let mut near: Vec<(f64, String)> =
        TABLE.open_clip.iter().flat_map(tags).map(|pair| (likeness(&pair), pair)).collect();
    near.retain(|(likeness, _)| *likeness >= MIN_LIKENESS);
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Some(near.into_iter().take(NEAR).map(|(_, pair)| format!("{OPEN_CLIP}{pair}")).collect())
}

fn pretrained(pair: &str) -> Option<&'static str> {
    let (architecture, tag) = pair.split_once('/')?;
    TABLE.open_clip.get(architecture)?.get(tag).map(String::as_str)
}

fn behind_hub_prefix(name: &str) -> Option<&str> {
    HUB_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clipgauge_core::family::ModelFamily;

    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let mut names = HashSet::new();
        for model in known() {
            let KnownModel { id, aliases, .. } = model;
            assert!(ModelFamily::ALL.iter().any(|family| family.name() == model.family), "{id}: {}", model.family);
            assert!(
                model.parameters > 50_000_000 && model.embedding_width >= 512 && !model.languages.is_empty(),
                "{id}"
            );
            for name in aliases.iter().chain([id]) {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
        let tags: usize = TABLE.open_clip.values().map(BTreeMap::len).sum();
        assert!(known().len() > 30 && tags > 30, "{} models, {tags} tags", known().len());
        // What OpenAI's model has, by its own weights.
        assert_eq!(known()[0].parameters, 151_277_313);
    }

    #[test]
    fn names_of_other_tools() {
        for (name, expected) in [
            ("ViT-B/32", Some("openai/clip-vit-base-patch32")),
            ("ViT-B/16", Some("openai/clip-vit-base-patch16")),
            ("ViT-L/14", Some("openai/clip-vit-large-patch14")),
            ("ViT-L/14@336px", Some("openai/clip-vit-large-patch14-336")),
            ("open_clip:ViT-B-32/laion2b_s34b_b79k", Some("laion/CLIP-ViT-B-32-laion2B-s34B-b79K")),
            ("open_clip:ViT-H-14/laion2b_s32b_b79k", Some("laion/CLIP-ViT-H-14-laion2B-s32B-b79K")),
            ("open_clip:ViT-L-14/openai", Some("openai/clip-vit-large-patch14")),
            ("open_clip:hf-hub:org/name", Some("org/name")),
            ("hf-hub:org/name@v1", Some("org/name@v1")),
            ("hf_clip:org/name", Some("org/name")),
            ("open_clip:ViT-B-32/nothing", None),
            ("open_clip:ViT-B-32", None),
            ("ViT-B/33", None),
            ("org/name", None),
        ] {
            assert_eq!(alias(name), expected, "{name}");
        }
    }

    #[test]
    fn near_names() {
        let near = near_open_clip("open_clip:ViT-B-32/laion2b_s34b_b79").unwrap();
        assert_eq!(near[0], "open_clip:ViT-B-32/laion2b_s34b_b79k");
        let near = near_open_clip("open_clip:ViT-H-14").unwrap();
        assert_eq!(near[0], "open_clip:ViT-H-14/laion2b_s32b_b79k");
        assert_eq!(near_open_clip("open_clip:xyzzy"), Some(vec![]));
        assert_eq!(near_open_clip("ViT-B/33"), None);
    }
}
