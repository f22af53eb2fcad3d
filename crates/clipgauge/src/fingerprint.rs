//! What decides the output of a run, as named values: two runs with the same ones give the same table, so that one may go
//! on where the other was ended.
//!
//! What only decides how long a run takes (threads, batches, time-outs, concurrency) is not among them. Neither are the
//! headers of requests, since an authorisation may have run out meanwhile.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clipgauge_core::model_files::ModelFiles;
use serde::{Deserialize, Serialize};

use crate::atomic::is_special;
use crate::file_identity::FileIdentity;
use crate::hub::{HubFile, ResolvedModel};
#[cfg(feature = "object-store")]
use crate::objects::ObjectTable;
use crate::objects::ObjectUrl;
use crate::options::{Input, ScoreOptions};
use crate::source::FetchOptions;
use crate::table::on_disk;

/// What begins the names of the fields that are about the input's file.
const INPUT: &str = "the input";

/// What begins values that say nothing to a person.
const HASH: &str = "blake3:";

/// The same for what a store calls the content of an object.
const VERSION: &str = "version:";

/// One of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What it is, as a person would call it: a flag, or "the input's size".
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What decides the output of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint {
    fields: Vec<Field>,
}

impl Fingerprint {
    /// All that is known before a model is looked for.
    ///
    /// # Errors
    ///
    /// The input cannot be looked at.
    pub(crate) fn of(options: &ScoreOptions) -> io::Result<Self> {
        let mut all = Self::default();
        all.add("clipgauge", env!("CARGO_PKG_VERSION"));
        match &options.input {
            Input::Several(parts) => {
                all.add(&format!("{INPUT}s' number"), parts.len());
                for (number, part) in parts.iter().enumerate() {
                    all.add_input(&part.input, &format!("{INPUT} {}", number + 1), &options.fetch)?;
                }
            }
            one => all.add_input(one, INPUT, &options.fetch)?,
        }
        let flag = |is_given: bool| if is_given { "given" } else { "not given" };
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "not given".to_owned());
        all.add("--format", or_none(options.format.map(|format| format.to_string())));
        all.add("--delimiter", or_none(options.delimiter.map(|byte| char::from(byte).escape_default().to_string())));
        all.add("--image-column", &options.image_column);
        all.add("--caption-column", &options.caption_column);
        all.add("--column", &options.column);
        all.add("--error-column", or_none(options.error_column.clone()));
        all.add("--overwrite", flag(options.overwrite));
        all.add("--model", options.models.join(", "));
        all.add("--metric", options.metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", "));
        all.add("--canonicalize-captions", flag(options.canonicalize_captions));
        all.add("--precision", options.precision.name());
        all.add("--max-bytes", options.fetch.max_bytes);
        all.add("--ignore-opt-outs", flag(options.fetch.ignore_opt_outs));
        all.add("--max-pixels", options.decode.max_pixels);
        all.add("--ignore-exif", flag(!options.decode.apply_orientation));
        let colour = |[red, green, blue]: [u8; 3]| format!("#{red:02x}{green:02x}{blue:02x}");
        all.add("--background", or_none(options.decode.background.map(colour)));
        if let Some(shard) = options.shard {
            all.add("--shard", shard);
        }
        options.filters.given().for_each(|(flag, value)| all.add(flag, value));
        all.add("--diagnostics", flag(options.diagnostics));
        Ok(all)
    }

    /// Adds an input, which is called `name`. Of a folder of pictures, what is in it is known row by row.
    fn add_input(&mut self, input: &Input, name: &str, fetch: &FetchOptions) -> io::Result<()> {
        match input {
            Input::File(path) if !is_special(path) => match ObjectUrl::of_path(path) {
                Some(Ok(url)) => self.add_object(&url, name, fetch),
                // What is wrong with it is told when it is opened.
                Some(Err(_)) => {
                    self.add(name, path.display());
                    Ok(())
                }
                None if HubFile::of_path(path).is_some() => self.add_hub_file(path, name),
                None => self.add_file(path, name),
            },
            Input::Pictures(folder) => {
                self.add(name, fs::canonicalize(folder)?.display());
                Ok(())
            }
            pipe => {
                self.add(name, pipe);
                Ok(())
            }
        }
    }

    /// Adds an object, of which nothing is read.
    #[cfg(feature = "object-store")]
    fn add_object(&mut self, url: &ObjectUrl, name: &str, fetch: &FetchOptions) -> io::Result<()> {
        let table = ObjectTable::find(url, fetch)?;
        self.add(name, url);
        self.add(&format!("{name}'s size"), format!("{} bytes", table.size()));
        self.add(&format!("{name}'s content"), format!("{VERSION}{}", table.version()));
        Ok(())
    }

    /// Adds an object. That it cannot be read is told when it is opened.
    #[cfg(not(feature = "object-store"))]
    fn add_object(&mut self, url: &ObjectUrl, name: &str, _: &FetchOptions) -> io::Result<()> {
        self.add(name, url);
        Ok(())
    }

    /// Adds a file of the hub by its address: where the cache is and when it came there tells nothing.
    fn add_hub_file(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let FileIdentity { size, sample } = FileIdentity::at(&on_disk(path))?;
        self.add(name, path.display());
        self.add(&format!("{name}'s size"), format!("{size} bytes"));
        self.add(&format!("{name}'s content"), format!("{HASH}{sample}"));
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        self.add(name, fs::canonicalize(path)?.display());
        if metadata.is_file() {
            let identity = FileIdentity::of(&file)?;
            self.add(&format!("{name}'s size"), format!("{} bytes", identity.size));
            self.add(&format!("{name}'s content"), format!("{HASH}{}", identity.sample));
            self.add(&format!("{name}'s time"), time(metadata.modified()?));
        }
        Ok(())
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.fields.push(Field { name: name.to_owned(), value: value.to_string() });
    }

    /// Adds which models the names stand for, now that they are loaded.
    pub(crate) fn add_models(&mut self, names: &[String], identities: &[String]) {
        for (name, identity) in names.iter().zip(identities) {
            self.add(&format!("the model `{name}`"), identity);
        }
    }

    /// The same without the input's file, for a run whose output has taken its place.
    pub(crate) fn without_input(&self) -> Self {
        let is_kept = |field: &&Field| !field.name.starts_with(INPUT);
        Self { fields: self.fields.iter().filter(is_kept).cloned().collect() }
    }

    /// The same without where the input lay and when it was changed, which differ between the machines of a job array.
    pub(crate) fn anywhere(&self) -> Self {
        let is_kept = |field: &&Field| field.name != INPUT && field.name != format!("{INPUT}'s time");
        Self { fields: self.fields.iter().filter(is_kept).cloned().collect() }
    }

    /// The same without a field.
    pub(crate) fn without(&self, name: &str) -> Self {
        Self { fields: self.fields.iter().filter(|field| field.name != name).cloned().collect() }
    }

    /// The fields, in their order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// In what an earlier run differs. What only the earlier one has counts unless `is_whole` is not so, because the
    /// models of this one are not known yet.
    pub(crate) fn differences(&self, earlier: &Self, is_whole: bool) -> Vec<Difference> {
        let value = |all: &Self, name: &str| {
            all.fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
        };
        let changed = self.fields.iter().filter_map(|field| {
            let before = value(earlier, &field.name);
            let is_changed = before.as_ref() != Some(&field.value);
            is_changed.then(|| Difference { name: field.name.clone(), before, now: Some(field.value.clone()) })
        });
        let is_gone =
            |field: &&Field| value(self, &field.name).is_none() && (is_whole || !field.name.starts_with("the model `"));
        let gone = earlier.fields.iter().filter(is_gone);
        let gone =
            gone.map(|field| Difference { name: field.name.clone(), before: Some(field.value.clone()), now: None });
        changed.chain(gone).collect()
    }
}

impl FromIterator<Field> for Fingerprint {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

/// A value that is another one now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub name: String,
    /// What it was; `None` where there was none.
    pub before: Option<String>,
    /// What it is now; `None` where there is none.
    pub now: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, before, now } = self;
        match (before, now) {
            (Some(before), Some(now)) if [before, now].iter().all(|value| is_opaque(value)) => {
                write!(f, "{name} is another")
            }
            (Some(before), Some(now)) => write!(f, "{name} was {before} and is now {now}"),
            (None, Some(now)) => write!(f, "{name} was not given and is now {now}"),
            (Some(before), None) => write!(f, "{name} was {before} and is now not given"),
            (None, None) => f.write_str(name),
        }
    }
}

/// Whether a value says nothing to a person.
fn is_opaque(value: &str) -> bool {
    [HASH, VERSION].iter().any(|beginning| value.starts_with(beginning))
}

/// The differences in one sentence.
pub(crate) fn listed(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ")
}

/// Which model it is that was found: its commit, or a hash over the files of its folder.
pub(crate) fn of_model(model: &ResolvedModel) -> io::Result<String> {
    let folder = match (&model.files, &model.id, &model.revision) {
        (_, Some(id), Some(revision)) => return Ok(format!("{id}@{revision}")),
        (ModelFiles::Bundled(_), ..) => return Ok(model.name.clone()),
        (ModelFiles::Folder(folder), ..) => folder,
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.extend(Some(entry?.path()).filter(|path| path.is_file()));
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let FileIdentity { size, sample } = FileIdentity::at(&path)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        hasher.update(format!("{name}\n{size}\n{sample}\n").as_bytes());
    }
    Ok(format!("{HASH}{}", hasher.finalize().to_hex()))
}

/// A point in time, to the nanosecond.
fn time(time: SystemTime) -> String {
    let nanoseconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    match time.duration_since(UNIX_EPOCH) {
        Ok(_) => format!("{} (and {nanoseconds} ns)", httpdate::fmt_http_date(time)),
        Err(before) => format!("{:?} before 1970", before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ScoreOptions {
        ScoreOptions::new(Input::Stdin)
    }

    #[test]
    fn what_decides_nothing_is_no_difference() {
        let before = Fingerprint::of(&options()).expect("no file");
        let mut other = options();
        other.threads = std::num::NonZeroUsize::new(7);
        other.batch_size = std::num::NonZeroUsize::MIN;
        other.fetch.retries = 0;
        other.fetch.concurrency = 1;
        other.fetch.headers.push(("Authorization".to_owned(), "new".to_owned()));
        assert_eq!(Fingerprint::of(&other).expect("no file").differences(&before, true), []);
    }

    #[test]
    fn differences_are_named() {
        let before = Fingerprint::of(&options()).expect("no file");
        let mut other = options();
        other.metrics = vec![clipgauge_core::metric::Metric::ClipScore];
        other.decode.background = Some([255; 3]);
        other.error_column = Some("why".to_owned());
        let now = Fingerprint::of(&other).expect("no file");
        assert_eq!(
            listed(&now.differences(&before, true)),
            "--error-column was not given and is now why; --metric was cosine and is now clipscore; \
             --background was not given and is now #ffffff"
        );
    }

    #[test]
    fn a_changed_input_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in.csv");
        let of = |text: &str| {
            fs::write(&path, text).expect("writable");
            Fingerprint::of(&ScoreOptions::new(Input::File(path.clone()))).expect("readable")
        };
        let before = of("url,caption\na,b\n");
        let said = listed(&of("url,caption\na,c\n").differences(&before, true));
        assert!(said.contains("the input's content is another"), "{said}");
        assert!(said.contains("the input's time was "), "{said}");
        let said = listed(&of("url,caption\n").differences(&before, true));
        assert!(said.contains("the input's size was 16 bytes and is now 12 bytes"), "{said}");
    }

    #[test]
    fn models_count_once_they_are_known() {
        let mut before = Fingerprint::of(&options()).expect("no file");
        let now = before.clone();
        before.add_models(&["m".to_owned()], &["blake3:1".to_owned()]);
        assert_eq!(now.differences(&before, false), []);
        assert_eq!(now.differences(&before, true).len(), 1);
        let mut other = now.clone();
        other.add_models(&["m".to_owned()], &["blake3:2".to_owned()]);
        assert_eq!(listed(&other.differences(&before, true)), "the model `m` is another");
    }
}
