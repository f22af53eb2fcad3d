//! The folder that clip-retrieval's `clip inference` writes and its index reads: `img_emb/img_emb_0.npy`,
//! `text_emb/text_emb_0.npy`, `metadata/metadata_0.parquet`, and so on by parts.
//!
//! The rules are those of its `clip_inference/writer.py` and `mapper.py`: row `n` of the three files of a part belongs
//! together, rows without vectors are left out, vectors are normalised, the numbers of parts have as many digits as
//! their count. A part is written as its rows come.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use super::npy::{NpyFile, NpyType};
use super::parquet::{Column, ParquetFile, Value};
use super::{PairVectors, normalized};
use crate::atomic::AtomicError;
use crate::atomic::folder::AtomicFolder;

/// The rows of a part where nothing else is said, as clip-retrieval's `write_batch_size`.
pub const DEFAULT_PART_ROWS: NonZeroU64 = NonZeroU64::new(1_000_000).expect("is not zero");

/// What the folder looks like.
#[derive(Debug, Clone)]
pub struct FolderOptions {
    /// How a number is stored.
    pub element: NpyType,
    /// The most rows of a part.
    pub part_rows: NonZeroU64,
    /// How many numbers a vector has.
    pub width: usize,
    /// The names of the table's columns.
    pub columns: Vec<String>,
    /// Which of them has the image's address; it is `image_path` in the metadata.
    pub image: usize,
    /// Which of them has the caption; it is `caption` in the metadata.
    pub caption: usize,
    /// Names and values in the footer of the metadata.
    pub notes: Vec<(&'static str, String)>,
}

/// A kind of file in the folder.
struct Kind {
    folder: &'static str,
    extension: &'static str,
}

const IMAGES: Kind = Kind { folder: "img_emb", extension: "npy" };
const TEXTS: Kind = Kind { folder: "text_emb", extension: "npy" };
const METADATA: Kind = Kind { folder: "metadata", extension: "parquet" };

impl Kind {
    fn path(&self, root: &Path, part: &str) -> PathBuf {
        root.join(self.folder).join(format!("{}_{part}.{}", self.folder, self.extension))
    }
}

/// A folder under way.
pub struct VectorFolder {
    folder: AtomicFolder,
    options: FolderOptions,
    /// The columns that are kept beside `image_path` and `caption`, as indices.
    others: Vec<usize>,
    part: Part,
    parts: u64,
}

impl VectorFolder {
    /// Begins to fill a folder.
    ///
    /// # Errors
    ///
    /// It cannot be written to.
    pub fn new(folder: AtomicFolder, options: FolderOptions) -> Result<Self, AtomicError> {
        // Those two stand for the table's own image and caption; others of their names would be there twice.
        let others = (0..options.columns.len())
            .filter(|&column| !["image_path", "caption"].contains(&options.columns[column].as_str()))
            .collect::<Vec<_>>();
        let begin = || {
            for kind in [IMAGES, TEXTS, METADATA] {
                fs::create_dir(folder.path().join(kind.folder))?;
            }
            Part::begin(folder.path(), 0, &options, &others)
        };
        let part = begin().map_err(|source| AtomicError::Write { path: folder.target().to_owned(), source })?;
        Ok(Self { folder, options, others, part, parts: 1 })
    }

    /// Writes a row that has vectors: its cells, one for each column, and the vectors as the model gave them.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub fn write(&mut self, cells: &[Option<&str>], vectors: &PairVectors) -> io::Result<()> {
        if self.part.images.rows() >= self.options.part_rows.get() {
            let next = Part::begin(self.folder.path(), self.parts, &self.options, &self.others)?;
            self.parts += 1;
            std::mem::replace(&mut self.part, next).finish()?;
        }
        self.part.images.write(&normalized(&vectors.image))?;
        self.part.texts.write(&normalized(&vectors.text))?;
        let named = [self.options.image, self.options.caption];
        let values: Vec<_> =
            named.iter().chain(&self.others).map(|&column| Value::Text(cells.get(column).copied().flatten())).collect();
        self.part.metadata.write(&values)
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    ///
    /// The disk is full, or something stands there by now.
    pub fn commit(self) -> Result<(), AtomicError> {
        self.finish()?.commit()
    }

    /// Puts the rows so far beside the folder's place, and returns where.
    ///
    /// # Errors
    ///
    /// As [`VectorFolder::commit`].
    pub fn keep_partial(self) -> Result<PathBuf, AtomicError> {
        self.finish()?.keep_partial()
    }

    fn finish(self) -> Result<AtomicFolder, AtomicError> {
        let fails = |source| AtomicError::Write { path: self.folder.target().to_owned(), source };
        self.part.finish().map_err(fails)?;
        let digits = self.parts.to_string().len();
        if digits > 1 {
            for part in 0..self.parts {
                for kind in [IMAGES, TEXTS, METADATA] {
                    let path = |part: &str| kind.path(self.folder.path(), part);
                    let padded = format!("{part:0digits$}");
                    fs::rename(path(&part.to_string()), path(&padded)).map_err(fails)?;
                }
            }
        }
        Ok(self.folder)
    }
}

/// The three files of a part.
struct Part {
    images: NpyFile<BufWriter<File>>,
    texts: NpyFile<BufWriter<File>>,
    metadata: ParquetFile<BufWriter<File>>,
}

impl Part {
    fn begin(root: &Path, part: u64, options: &FolderOptions, others: &[usize]) -> io::Result<Self> {
        let part = part.to_string();
        let file = |kind: Kind| File::create_new(kind.path(root, &part)).map(BufWriter::new);
        let named = ["image_path", "caption"].map(str::to_owned);
        let others = others.iter().map(|&column| options.columns[column].clone());
        let columns = named.into_iter().chain(others).map(|name| Column::Text { name }).collect();
        Ok(Self {
            images: NpyFile::new(file(IMAGES)?, options.element, options.width)?,
            texts: NpyFile::new(file(TEXTS)?, options.element, options.width)?,
            metadata: ParquetFile::new(file(METADATA)?, columns, &options.notes)?,
        })
    }

    /// Ends the files, the metadata last: where it is whole, its arrays are.
    fn finish(self) -> io::Result<()> {
        for out in [self.images.finish()?, self.texts.finish()?, self.metadata.finish()?] {
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use half::f16;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn options(part_rows: u64) -> FolderOptions {
        FolderOptions {
            element: NpyType::F16,
            part_rows: NonZeroU64::new(part_rows).expect("not zero"),
            width: 2,
            columns: ["url", "text", "caption", "id"].map(str::to_owned).to_vec(),
            image: 0,
            caption: 1,
            notes: vec![("clipgauge.model", "m".to_owned())],
        }
    }

    fn written(bench: &Path, rows: usize, part_rows: u64) -> PathBuf {
        let target = bench.join("out");
        let mut folder =
            VectorFolder::new(AtomicFolder::create(&target).expect("creatable"), options(part_rows)).expect("writable");
        for row in 0..rows {
            let cells = [format!("{row}.png"), format!("text {row}"), "other".to_owned(), row.to_string()];
            let vectors = PairVectors { image: vec![0.0, row as f32 + 1.0], text: vec![3.0, -4.0] };
            folder.write(&cells.each_ref().map(|cell| Some(cell.as_str())), &vectors).expect("written");
        }
        folder.commit().expect("committed");
        target
    }

    fn array(path: &Path) -> Vec<[f32; 2]> {
        let bytes = fs::read(path).expect("readable");
        let number = |bytes: &[u8]| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        bytes[128..].chunks_exact(4).map(|row| [number(&row[..2]), number(&row[2..])]).collect()
    }

    fn metadata(path: &Path) -> Vec<Vec<String>> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("there")).expect("Parquet");
        let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut table = vec![names];
        for batch in reader.build().expect("a reader") {
            let batch = batch.expect("a batch");
            let column = |at: usize, row| batch.column(at).as_string::<i32>().value(row).to_owned();
            table.extend((0..batch.num_rows()).map(|row| (0..batch.num_columns()).map(|at| column(at, row)).collect()));
        }
        table
    }

    #[test]
    fn a_part_has_three_files_that_go_together() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = written(bench.path(), 2, 10);
        assert_eq!(array(&target.join("img_emb/img_emb_0.npy")), [[0.0, 1.0]; 2]);
        let text = [0.6, -0.8].map(|number: f32| f16::from_f32(number).to_f32());
        assert_eq!(array(&target.join("text_emb/text_emb_0.npy")), [text; 2]);
        assert_eq!(
            metadata(&target.join("metadata/metadata_0.parquet")),
            [
                ["image_path", "caption", "url", "text", "id"],
                ["0.png", "text 0", "0.png", "text 0", "0"],
                ["1.png", "text 1", "1.png", "text 1", "1"],
            ]
        );
    }

    #[test]
    fn parts_follow_each_other_in_the_order_of_their_names() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = written(bench.path(), 21, 2);
        for (folder, extension) in [("img_emb", "npy"), ("text_emb", "npy"), ("metadata", "parquet")] {
            let mut names: Vec<_> = fs::read_dir(target.join(folder))
                .expect("there")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            let expected: Vec<_> = (0..11).map(|part| format!("{folder}_{part:02}.{extension}")).collect();
            assert_eq!(names, expected);
        }
        assert_eq!(array(&target.join("img_emb/img_emb_10.npy")).len(), 1);
        assert_eq!(metadata(&target.join("metadata/metadata_10.parquet"))[1][0], "20.png");
    }

    #[test]
    fn without_rows_there_is_an_empty_part() {
        let bench = tempfile::tempdir().expect("a folder");
        let target = written(bench.path(), 0, 2);
        assert!(array(&target.join("img_emb/img_emb_0.npy")).is_empty());
        assert_eq!(metadata(&target.join("metadata/metadata_0.parquet")).len(), 1);
    }
}
