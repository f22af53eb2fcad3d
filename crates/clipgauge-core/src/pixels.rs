//! Pictures on their way to the encoder: [`Pixels`] as decoded, [`PixelBatch`] as the model wants them.

/// A decoded picture: upright, RGB, 8 bits a channel, rows from top to bottom with nothing between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Pixels {
    /// Takes `rgb` as `height` rows of `width` pixels of three bytes.
    ///
    /// # Panics
    /// When a side is zero or `rgb` is not `width * height * 3` long.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "a picture of {width}×{height}");
        assert_eq!(rgb.len(), width as usize * height as usize * 3, "a picture of {width}×{height} in RGB");
        Self { width, height, rgb }
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes: red, green, blue, pixel by pixel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// Pictures preprocessed for one model, ready to be encoded together.
#[derive(Debug, Clone, PartialEq)]
pub enum PixelBatch {
    /// Pictures of one size.
    Pictures {
        /// `[count, 3, height, width]`, normalised.
        values: Vec<f32>,
        /// Rows of each picture.
        height: usize,
        /// Columns of each picture.
        width: usize,
    },
    /// Pictures cut into patches that keep the aspect ratio (SigLIP 2 NaFlex), each filled up to `max_patches`.
    Patches {
        /// `[count, max_patches, patch_width]`, normalised; zero beyond the patches that are there.
        values: Vec<f32>,
        /// Patches per picture, those that only fill up included.
        max_patches: usize,
        /// Numbers per patch: `patch_size² · 3`, row by row, channels innermost.
        patch_width: usize,
        /// Rows and columns of patches that each picture really has; its first `rows · columns` patches are real.
        grids: Vec<[u32; 2]>,
    },
}

impl PixelBatch {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Pictures { values, height, width } => values.len() / (3 * height * width),
            Self::Patches { grids, .. } => grids.len(),
        }
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the pictures of another batch behind these.
    ///
    /// # Panics
    /// When they are not of the same shape: batches of one model always are.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (
                Self::Pictures { values, height, width },
                Self::Pictures { values: more, height: other_height, width: other_width },
            ) if (*height, *width) == (other_height, other_width) => values.extend(more),
            (
                Self::Patches { values, max_patches, patch_width, grids },
                Self::Patches { values: more, max_patches: other_patches, patch_width: other_width, grids: more_grids },
            ) if (*max_patches, *patch_width) == (other_patches, other_width) => {
                values.extend(more);
                grids.extend(more_grids);
            }
            _ => panic!("pictures of different shapes are not one batch"),
        }
    }
}
