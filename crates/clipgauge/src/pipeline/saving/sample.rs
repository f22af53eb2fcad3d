//! A sample as WebDataset has it: the picture, its caption as text, and what is known of the row as JSON.
//!
//! The members and the first fields of the JSON are those of img2dataset.

use std::num::NonZeroU32;

use clipgauge_core::decode::{DecodeOptions, extension};
use clipgauge_core::resize::resize;
use clipgauge_core::spec::Filter;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use tar::Header;

use crate::address::is_base64;
use crate::diagnostics::Diagnostics;
use crate::options::ScoreOptions;
use crate::picture::decode_guarded;
use crate::row::{Row, RowImage};
use crate::save_images::SaveImages;
use crate::table::Cell;
use crate::table::webdataset::new_member;

/// The quality of pictures that are made smaller, as in img2dataset.
const QUALITY: u8 = 95;

/// How many digits keys have at least, as in img2dataset.
const KEY_DIGITS: usize = 9;

/// Where a picture came from, as img2dataset calls it.
const URL: &str = "url";

/// What img2dataset calls the picture that it was before it was made smaller.
const ORIGINAL: [&str; 2] = ["original_width", "original_height"];

/// Makes the samples of one run.
pub(super) struct Samples {
    /// The names of the columns of a table that is one.
    columns: Vec<String>,
    /// Those of them that go into the JSON; `None` for all.
    kept: Option<Vec<String>>,
    /// The image's and the caption's column, which have fields of their own.
    pair: [String; 2],
    /// The columns of scores.
    scores: Vec<String>,
    /// Whether rows are counted through, as there are several tables.
    is_several: bool,
    size: Option<NonZeroU32>,
    decode: DecodeOptions,
}

impl Samples {
    pub(super) fn new(options: &ScoreOptions, saved: &SaveImages, columns: Vec<String>) -> Self {
        Self {
            columns,
            kept: options.filters.keep_columns.clone(),
            pair: [options.image_column.clone(), options.caption_column.clone()],
            scores: options.score_columns().into_iter().map(|column| column.name).collect(),
            is_several: options.input.is_several(),
            size: saved.size,
            decode: options.decode.clone(),
        }
    }

    /// The members of the row `index` (from 0) of the run, as they stand in a tar.
    pub(super) fn sample(&self, row: &Row, index: u64, picture: &[u8], scores: &[f32], known: &Diagnostics) -> Vec<u8> {
        let key = format!("{:0KEY_DIGITS$}", if self.is_several { index + 1 } else { row.number });
        let size = known.width.zip(known.height);
        let smaller = size.and_then(|size| smaller(picture, size, self.size?, &self.decode));
        let saved_size = smaller.as_ref().map_or(size, |(_, size)| Some(*size));
        let saved = smaller.as_ref().map_or(picture, |(saved, _)| saved);

        let columns = row.origin.as_ref().map_or(&self.columns, |origin| &origin.columns);
        let mut others: Vec<(String, String)> = Vec::new();
        row.record.fields(columns, &mut |name, value| others.push((name.to_owned(), value.to_owned())));
        // A sample's picture is a member of it; where that came from, its own JSON knows.
        let url = others.iter().find(|(name, _)| row.record.is_sample() && name == URL);

        let mut fields = Fields::default();
        fields.add("key", &json(&key));
        fields.add("caption", &row.caption.as_deref().map_or_else(null, json));
        fields.add(URL, &url.map_or_else(|| address(row).map_or_else(null, json), |(_, value)| value.clone()));
        for (name, score) in self.scores.iter().zip(scores) {
            fields.add(name, &json_of(Cell::Score(Some(*score))));
        }
        let edges = |size: Option<(u32, u32)>| [size.map(|size| size.0), size.map(|size| size.1)];
        let mut add_size = |names: [&str; 2], size| {
            for (name, edge) in names.into_iter().zip(edges(size)) {
                fields.add(name, &json_of(Cell::Count(edge.map(u64::from))));
            }
        };
        add_size(["width", "height"], saved_size);
        if self.size.is_some() {
            add_size(ORIGINAL, size);
        }
        fields.add("content_hash", &json_of(Cell::Hash(known.content_hash)));
        let is_kept = |name: &String| self.kept.as_ref().is_none_or(|kept| kept.contains(name));
        for (name, value) in others.iter().filter(|(name, _)| is_kept(name) && !self.pair.contains(name)) {
            fields.add(name, value);
        }

        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        // The same rows give the same bytes, whenever that is.
        header.set_mtime(0);
        let member = |extension: &str, data: &[u8]| {
            let name = format!("{key}.{extension}");
            new_member(&header, name.as_bytes(), data)
        };
        // Whatever was scored has been decoded.
        let mut sample = member(extension(saved).unwrap_or("bin"), saved);
        sample.extend(member("txt", row.caption.as_deref().unwrap_or_default().as_bytes()));
        sample.extend(member("json", &fields.end()));
        sample
    }
}

/// Where the picture came from; `None` for one that is in its cell.
fn address(row: &Row) -> Option<&str> {
    let is_inline = |address: &str| {
        let start = address.trim_start().get(..5);
        start.is_some_and(|start| start.eq_ignore_ascii_case("data:")) || is_base64(address.trim())
    };
    match &row.image {
        Some(RowImage::Address(address)) if is_inline(address) => None,
        image => image.as_ref().and_then(RowImage::name),
    }
}

/// The picture with a shorter edge of `most` pixels as JPEG, and its size; `None` for one that has no more already, or
/// would be longer than JPEG can say.
fn smaller(
    picture: &[u8],
    (width, height): (u32, u32),
    most: NonZeroU32,
    decode: &DecodeOptions,
) -> Option<(Vec<u8>, (u32, u32))> {
    let (most, shorter) = (u64::from(most.get()), u64::from(width.min(height)));
    if shorter <= most {
        return None;
    }
    // Rounded to the nearest; the shorter edge has just so many.
    let scaled = |edge: u32| u32::try_from((u64::from(edge) * most + shorter / 2) / shorter).ok();
    let (new_width, new_height) = (scaled(width)?, scaled(height)?);
    let pixels = resize(&decode_guarded(picture, decode).ok()?, new_width, new_height, Filter::Bicubic);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(pixels.rgb(), new_width, new_height, ExtendedColorType::Rgb8)
        .ok()?;
    Some((jpeg, (new_width, new_height)))
}

/// An object of JSON under way, whose first field of a name counts.
#[derive(Default)]
struct Fields {
    names: Vec<String>,
    json: String,
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        if self.names.iter().any(|known| known == name) {
            return;
        }
        self.json += if self.names.is_empty() { "{" } else { ", " };
        self.json += &json(name);
        self.json += ": ";
        self.json += value;
        self.names.push(name.to_owned());
    }

    fn end(mut self) -> Vec<u8> {
        self.json += "}";
        self.json.into_bytes()
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_of(cell: Cell) -> String {
    let mut json = Vec::new();
    cell.write_json(&mut json);
    String::from_utf8_lossy(&json).into_owned()
}

fn null() -> String {
    "null".to_owned()
}
