//! The tensors of a model by name, whatever files they lie in.
//!
//! Opening reads headers only; a tensor's bytes are read when it is asked for. The formats are in the files of this
//! module: [safetensors](https://huggingface.co/docs/safetensors) alone or in shards, and what `torch.save` writes.

mod data_file;
mod pickle;
mod safetensors;
mod shards;
mod tensor;
mod torch_zip;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::error::LoadError;
use crate::family::{NumberTypeCount, StoredWeights};
use crate::model_files::ModelFiles;
use data_file::DataFile;
use tensor::Stored;

/// The most tensors a model may have, all its files together: the largest known has about 2,000.
const MAX_TENSORS: usize = 65_536;

/// What the files of one kind of release are called. In shards, `.index.json` comes after the name.
struct FileNames {
    safetensors: &'static str,
    torch: &'static str,
}

impl FileNames {
    /// Whether one of them, or an index, is there.
    fn are_in(&self, files: &ModelFiles) -> bool {
        let has = |name: &str| files.contains(name) || files.contains(&format!("{name}.index.json"));
        has(self.safetensors) || has(self.torch)
    }
}

/// As `save_pretrained` of transformers names them.
const TRANSFORMERS: FileNames = FileNames { safetensors: "model.safetensors", torch: "pytorch_model.bin" };

/// As open_clip names them.
const OPEN_CLIP: FileNames =
    FileNames { safetensors: "open_clip_model.safetensors", torch: "open_clip_pytorch_model.bin" };

/// The tensors of one model.
///
/// The files stay mapped into memory while this lives. Whoever shortens one of them meanwhile can make the process
/// stop with a bus error when a tensor is read, as with every mapped file; replacing a file by renaming is harmless.
#[derive(Debug)]
pub struct Weights {
    /// What errors about tensors that are not there name.
    described_by: String,
    files: Vec<DataFile>,
    /// Where each tensor is: an index into `files`, and what is there.
    tensors: HashMap<String, (usize, Stored)>,
}

impl Weights {
    /// Opens a model's weights: `model.safetensors` or its shards, else `pytorch_model.bin` or its shards. Reads headers
    /// only.
    ///
    /// # Errors
    /// When no such file is there, or one is malformed, shortened or hostile. Nothing is executed or allocated on the
    /// word of a file.
    pub fn open(files: &ModelFiles) -> Result<Self, LoadError> {
        Self::open_named(files, &TRANSFORMERS)
    }

    /// Opens the weights of a model in open_clip's form, as [`open`](Self::open) does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_clip(files: &ModelFiles) -> Result<Self, LoadError> {
        Self::open_named(files, &OPEN_CLIP)
    }

    /// Whether a folder has weights in open_clip's form and none in that of transformers.
    pub(crate) fn is_open_clip_only(files: &ModelFiles) -> bool {
        OPEN_CLIP.are_in(files) && !TRANSFORMERS.are_in(files)
    }

    fn open_named(files: &ModelFiles, names: &FileNames) -> Result<Self, LoadError> {
        let formats: [(&str, ReadTensors); 2] =
            [(names.safetensors, safetensors::read), (names.torch, torch_zip::read)];
        for (name, read) in formats {
            if files.contains(name) {
                let mut weights = Self::empty(files.display(name));
                weights.add(files, name, read)?;
                return Ok(weights);
            }
            let index = format!("{name}.index.json");
            if files.contains(&index) {
                return shards::open(files, &index, read);
            }
        }
        Err(LoadError::MissingFile {
            file: format!("{} or {}", names.safetensors, names.torch).into(),
            place: files.place(),
        })
    }

    fn empty(described_by: String) -> Self {
        Self { described_by, files: Vec::new(), tensors: HashMap::new() }
    }

    /// Adds the tensors of one more file. A name must be in one file only.
    fn add(&mut self, files: &ModelFiles, name: &str, read: ReadTensors) -> Result<(), LoadError> {
        let (file, mut reader) = DataFile::open(files, name)?;
        let tensors = read(&file, &mut reader)?;
        if self.tensors.len() + tensors.len() > MAX_TENSORS {
            return Err(file.malformed(format!("more than {MAX_TENSORS} tensors")));
        }
        for (tensor, stored) in tensors {
            if let Some((earlier, _)) = self.tensors.get(&tensor) {
                let problem = format!("is in {} too", self.files[*earlier].display_name());
                return Err(file.field(&tensor, problem));
            }
            self.tensors.insert(tensor, (self.files.len(), stored));
        }
        self.files.push(file);
        Ok(())
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// How much there is, and how it is stored.
    pub(crate) fn summary(&self) -> StoredWeights {
        let mut counts = BTreeMap::<&'static str, u64>::new();
        for (_, stored) in self.tensors.values() {
            if let Some(name) = stored.numbers.float_name() {
                *counts.entry(name).or_default() += stored.shape.iter().product::<usize>() as u64;
            }
        }
        let mut number_types: Vec<_> =
            counts.into_iter().map(|(name, count)| NumberTypeCount { name, count }).collect();
        number_types.sort_by_key(|kind| Reverse(kind.count));
        StoredWeights {
            parameters: number_types.iter().map(|kind| kind.count).sum(),
            number_types,
            bytes: self.files.iter().map(|file| file.len() as u64).sum(),
        }
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, stored)| stored.shape.as_slice())
    }

    /// A tensor of exactly this shape as f32 (f16 and bf16 are widened), row-major. The pages of the mapped file it
    /// was read from are let go.
    ///
    /// # Errors
    /// When there is no such tensor, or it has another shape, or holds no floating-point numbers.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let Some((file, stored)) = self.tensors.get(name) else {
            return Err(LoadError::Field {
                file: self.described_by.clone(),
                field: name.to_owned(),
                problem: "is missing".into(),
            });
        };
        let file = &self.files[*file];
        if stored.shape != shape {
            return Err(file.field(name, format!("has the shape {:?}, not {shape:?}", stored.shape)));
        }
        stored.read_f32(name, file)
    }
}

/// Reads what tensors a file has, with everything about them checked against the file's size.
type ReadTensors = fn(&DataFile, &mut data_file::Reader) -> Result<Vec<(String, Stored)>, LoadError>;
