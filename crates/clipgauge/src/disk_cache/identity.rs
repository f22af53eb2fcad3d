//! What decides the vectors of a model besides an image or a text: the model's files, how it is computed and how images
//! are decoded.

use std::fs::{self, File};
use std::io;

use clipgauge_core::decode::DecodeOptions;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::precision::Precision;

use super::Key;

/// Endings of the files that a model can be made of. Others in its folder (pictures, checkpoints of an optimiser in their
/// own formats) decide nothing.
const PARTS: [&str; 5] = ["json", "txt", "model", "safetensors", "bin"];

/// The hash of all that decides a model's vectors besides what they are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity([u8; 32]);

impl Identity {
    /// Reads the files of a model.
    pub(crate) fn of(files: &ModelFiles, precision: Precision, decode: &DecodeOptions) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &str| {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        };
        // Another version may compute with other roundings.
        for part in ["clipgauge", env!("CARGO_PKG_VERSION"), &processor(), precision.name()] {
            add(part);
        }
        let DecodeOptions { max_pixels, apply_orientation, background } = decode;
        add(&format!("{max_pixels} {apply_orientation} {background:?}"));
        for (name, hash) in hashes(files)? {
            add(&name);
            add(hash.to_hex().as_str());
        }
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// The key of a picture's vector, by the hash of its file.
    pub(crate) fn image(&self, content: &[u8; 32]) -> Key {
        self.key(b"image", content)
    }

    /// The key of a text's vector, by the hash of its tokens.
    pub(crate) fn text(&self, content: &[u8; 32]) -> Key {
        self.key(b"text", content)
    }

    fn key(&self, kind: &[u8], content: &[u8; 32]) -> Key {
        Key::new(*blake3::Hasher::new().update(&self.0).update(content).update(kind).finalize().as_bytes())
    }
}

/// The files of a model with the hashes of their contents, by name.
fn hashes(files: &ModelFiles) -> io::Result<Vec<(String, blake3::Hash)>> {
    let mut hashes = match files {
        ModelFiles::Bundled(files) => {
            files.iter().map(|(name, bytes)| ((*name).to_owned(), blake3::hash(bytes))).collect()
        }
        ModelFiles::Folder(folder) => {
            let mut hashes = Vec::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let is_part = path.extension().is_some_and(|ending| PARTS.iter().any(|part| ending == *part));
                // The files of the hub's cache are links.
                if is_part && path.is_file() {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update_reader(File::open(&path)?)?;
                    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                    hashes.push((name.unwrap_or_default(), hasher.finalize()));
                }
            }
            hashes
        }
    };
    hashes.sort_by(|(first, _), (second, _)| first.cmp(second));
    Ok(hashes)
}

/// What of the processor decides which kernels compute: others add up in another order.
fn processor() -> String {
    let mut features = vec![std::env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! add {
            ($($feature:tt)*) => { $(if is_x86_feature_detected!($feature) { features.push($feature); })* };
        }
        add!("avx" "avx2" "fma" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni" "avxvnni");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! add {
            ($($feature:tt)*) => { $(if std::arch::is_aarch64_feature_detected!($feature) { features.push($feature); })* };
        }
        add!("dotprod" "i8mm");
    }
    features.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_decides_a_vector_decides_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writable");
        write("config.json", "{}");
        write("model.safetensors", "weights");
        let files = ModelFiles::Folder(folder.path().to_owned());
        let defaults = DecodeOptions::default();
        let identity = |precision, decode: &DecodeOptions| Identity::of(&files, precision, decode).expect("readable");
        let first = identity(Precision::F32, &defaults);
        assert_eq!(first, identity(Precision::F32, &defaults));
        write("notes.md", "no part of it");
        assert_eq!(first, identity(Precision::F32, &defaults));

        let mut others = vec![
            identity(Precision::Int8, &defaults),
            identity(Precision::F32, &DecodeOptions { apply_orientation: false, ..defaults.clone() }),
            identity(Precision::F32, &DecodeOptions { background: Some([0; 3]), ..defaults.clone() }),
            identity(Precision::F32, &DecodeOptions { max_pixels: 5, ..defaults.clone() }),
        ];
        write("model.safetensors", "Weights");
        others.push(identity(Precision::F32, &defaults));
        write("model.safetensors", "weights");
        write("preprocessor_config.json", "");
        others.push(identity(Precision::F32, &defaults));
        for (index, other) in others.iter().enumerate() {
            assert!(*other != first && !others[index + 1..].contains(other), "{index}");
        }
        let content = [7; 32];
        assert_ne!(first.image(&content), first.text(&content));
        assert_ne!(first.image(&content), others[0].image(&content));
    }
}
