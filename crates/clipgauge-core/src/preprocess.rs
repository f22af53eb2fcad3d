//! [`Pixels`] to what the image tower takes, as Hugging Face's Pillow-backed image processors do.
//!
//! The rules are those of transformers' `image_transforms.py` (`resize`, `center_crop`, `rescale`, `normalize`) and,
//! for patches, of `models/siglip2/image_processing_pil_siglip2.py`. Rescaling and normalising a byte is a table of
//! 256 numbers for each channel.

mod patches;

use crate::pixels::{PixelBatch, Pixels};
use crate::resize::{Window, resize_window};
use crate::spec::{ImageSpec, Resize};

/// Preprocesses pictures into one batch, in their order.
///
/// What one picture becomes does not depend on the others.
///
/// # Panics
/// When the pictures come out at different sizes. That takes a spec which neither crops nor resizes to an exact size;
/// [`ImageSpec::from_preprocessor_config`] makes none.
pub fn preprocess<'a>(pictures: impl IntoIterator<Item = &'a Pixels>, spec: &ImageSpec) -> PixelBatch {
    let table = Table::new(spec);
    if let Resize::Patches { patch_size, max_patches } = spec.resize {
        return patches::cut(pictures, spec.filter, &table, patch_size, max_patches);
    }
    let mut values = Vec::new();
    let mut size: Option<[usize; 2]> = None;
    for picture in pictures {
        let fitted = fit(picture, spec);
        assert_eq!(*size.get_or_insert(fitted.size), fitted.size, "pictures of one batch come out at different sizes");
        fitted.append(&table, &mut values);
    }
    let [height, width] = size.or(spec.crop.map(|side| side.map(|side| side as usize))).unwrap_or([1, 1]);
    PixelBatch::Pictures { values, height, width }
}

/// The number that each byte of each channel becomes.
struct Table([[f32; 256]; 3]);

impl Table {
    fn new(spec: &ImageSpec) -> Self {
        Self(std::array::from_fn(|channel| {
            std::array::from_fn(|byte| {
                // transformers multiplies in 64 bits, and subtracts and divides in 32.
                let rescaled = (byte as f64 * f64::from(spec.rescale_factor)) as f32;
                (rescaled - spec.mean[channel]) / spec.std[channel]
            })
        }))
    }
}

/// A picture resized and cropped, and where it lies on the canvas that it is to fill.
struct Fitted {
    picture: Pixels,
    /// Rows and columns of the canvas.
    size: [usize; 2],
    /// Rows and columns of the canvas before the picture's first.
    offset: [usize; 2],
}

/// Resizes and crops; of the resized picture only what the crop keeps is ever computed.
fn fit(picture: &Pixels, spec: &ImageSpec) -> Fitted {
    let [height, width] = resized(picture, spec.resize);
    let crop = spec.crop.map_or([height, width], |crop| crop.map(u64::from));
    let [(top, above, rows), (left, before, columns)] = [kept(height, crop[0]), kept(width, crop[1])];
    let window = Window { left, top, width: columns as u32, height: rows as u32 };
    Fitted {
        picture: resize_window(picture, [width, height], window, spec.filter),
        size: crop.map(|side| side as usize),
        offset: [above as usize, before as usize],
    }
}

/// Rows and columns after resizing. With 64 bits, as a long thin picture grows a great deal before it is cropped.
fn resized(picture: &Pixels, resize: Resize) -> [u64; 2] {
    let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
    match resize {
        Resize::ShortestEdge(edge) => {
            let edge = u64::from(edge);
            // As Python does it: the quotient as a float, cut off.
            let longer = |long: u64, short: u64| ((edge * long) as f64 / short as f64) as u64;
            if width <= height { [longer(height, width), edge] } else { [edge, longer(width, height)] }
        }
        Resize::Exact(size) => size.map(u64::from),
        Resize::Patches { .. } | Resize::Keep => [height, width],
    }
}

/// Along one side: the first pixel that a centre crop keeps, how many zeros come before it, and how many pixels are
/// kept. Halves are rounded down where something is cut off, and up where zeros are put.
fn kept(side: u64, crop: u64) -> (u64, u64, u64) {
    if side >= crop { ((side - crop) / 2, 0, crop) } else { (0, (crop - side).div_ceil(2), side) }
}

impl Fitted {
    /// Appends `[3, height, width]` numbers.
    fn append(&self, table: &Table, values: &mut Vec<f32>) {
        let [height, width] = self.size;
        let [above, before] = self.offset;
        let columns = self.picture.width() as usize;
        for (channel, table) in table.0.iter().enumerate() {
            let start = values.len();
            // Zeros are put round the bytes, so that they are normalised too.
            values.resize(start + height * width, table[0]);
            let rows = self.picture.rgb().chunks_exact(columns * 3);
            for (canvas, row) in values[start..].chunks_exact_mut(width).skip(above).zip(rows) {
                for (value, pixel) in canvas[before..before + columns].iter_mut().zip(row.chunks_exact(3)) {
                    *value = table[usize::from(pixel[channel])];
                }
            }
        }
    }
}
