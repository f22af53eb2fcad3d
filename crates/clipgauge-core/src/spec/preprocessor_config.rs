//! [`ImageSpec`] from `preprocessor_config.json`, in every spelling that the hub has.
//!
//! What a file leaves out is its class's default in transformers (`models/*/image_processing_pil_*.py`); how sizes may
//! be written is `image_processing_utils.get_size_dict`.

use serde_json::{Map, Value};

use super::{Filter, ImageSpec, Resize};
use crate::error::LoadError;

/// The longest side that a picture may be brought to; the largest of real models is a quarter of it.
const MAX_SIDE: u64 = 4096;
/// The most patches, and the largest, that a picture may be cut into.
const MAX_PATCHES: u64 = 1 << 14;
const MAX_PATCH_SIZE: u64 = 256;
/// The largest mean, deviation or factor, where bytes are not rescaled before.
const MAX_NUMBER: f64 = 1e6;

const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl ImageSpec {
    /// Reads a `preprocessor_config.json`, or a `processor_config.json` that has the same under `image_processor`.
    ///
    /// `file` is what errors call it.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] when it is not a JSON object, [`LoadError::Unsupported`] for a class or a way of
    /// resizing that is not known, [`LoadError::Field`] for a value that makes no sense.
    ///
    /// ```
    /// use clipgauge_core::spec::{ImageSpec, Resize};
    ///
    /// let json = br#"{"feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336}"#;
    /// let spec = ImageSpec::from_preprocessor_config(json, "preprocessor_config.json")?;
    /// assert_eq!(spec.resize, Resize::ShortestEdge(336));
    /// assert_eq!(spec.crop, Some([336, 336]));
    /// # Ok::<(), clipgauge_core::error::LoadError>(())
    /// ```
    pub fn from_preprocessor_config(json: &[u8], file: &str) -> Result<Self, LoadError> {
        let malformed = |problem: String| LoadError::Malformed { file: file.to_owned(), problem: problem.into() };
        let whole: Value = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        let whole = whole.as_object().ok_or_else(|| malformed("it is not a JSON object".to_owned()))?;
        let fields = whole.get("image_processor").and_then(Value::as_object).unwrap_or(whole);
        let config = Config { file, fields };
        let class = config.class()?;
        if config.flag("do_pad", false)? {
            return Err(config.unsupported("do_pad", "true", "false"));
        }
        let resize = config.resize(class)?;
        let crop = config.crop(class, resize)?;
        match (resize, crop) {
            (Resize::ShortestEdge(_), None) => {
                Err(config.bad("size", "has only `shortest_edge`, but nothing is cropped"))
            }
            (Resize::Keep, None) => Err(config.bad("do_resize", "is false, but nothing is cropped")),
            _ => Ok(()),
        }?;
        let (mean, std) = match config.flag("do_normalize", true)? {
            true => (
                config.channels("image_mean", class.mean(), |_| true, "is not a number, or three")?,
                config.channels("image_std", class.std(), |value| value > 0.0, "is not a number above 0, or three")?,
            ),
            false => ([0.0; 3], [1.0; 3]),
        };
        let rescale_factor = match config.flag("do_rescale", true)? {
            true => config.rescale_factor()?,
            false => 1.0,
        };
        Ok(Self { resize, crop, filter: config.filter(class)?, rescale_factor, mean, std })
    }
}

/// Whose defaults hold for what a file leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// CLIP's and Chinese-CLIP's, which agree.
    Clip,
    Siglip,
    /// SigLIP 2's NaFlex.
    Siglip2,
}

impl Class {
    /// By the name, without what says how it is implemented.
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_end_matches("Fast").trim_end_matches("Pil");
        let name = ["ImageProcessor", "FeatureExtractor", "Processor"].iter().find_map(|end| name.strip_suffix(end))?;
        match name {
            "CLIP" | "ChineseCLIP" | "AltCLIP" => Some(Self::Clip),
            "Siglip" => Some(Self::Siglip),
            "Siglip2" => Some(Self::Siglip2),
            _ => None,
        }
    }

    fn mean(self) -> [f32; 3] {
        if self == Self::Clip { CLIP_MEAN } else { [0.5; 3] }
    }

    fn std(self) -> [f32; 3] {
        if self == Self::Clip { CLIP_STD } else { [0.5; 3] }
    }
}

/// The fields of one file. A field that is null is one that isn't there.
#[derive(Clone, Copy)]
struct Config<'a> {
    file: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    fn get(self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn bad(self, field: &str, problem: impl Into<std::borrow::Cow<'static, str>>) -> LoadError {
        LoadError::Field { file: self.file.to_owned(), field: field.to_owned(), problem: problem.into() }
    }

    fn unsupported(self, field: &str, value: &str, supported: &'static str) -> LoadError {
        let (file, field, value) = (self.file.to_owned(), field.to_owned(), value.to_owned());
        LoadError::Unsupported { file, field, value, supported: supported.into() }
    }

    /// The class, by the newest of the fields that may name it. A file that names none is taken for CLIP's.
    fn class(self) -> Result<Class, LoadError> {
        for field in ["image_processor_type", "feature_extractor_type"] {
            let Some(value) = self.get(field) else { continue };
            let name = value.as_str().ok_or_else(|| self.bad(field, "is not a string"))?;
            return Class::of(name).ok_or_else(|| {
                self.unsupported(
                    field,
                    name,
                    "CLIPImageProcessor, ChineseCLIPImageProcessor, SiglipImageProcessor, Siglip2ImageProcessor",
                )
            });
        }
        let processor = self.get("processor_class").and_then(Value::as_str);
        Ok(processor.and_then(Class::of).unwrap_or(Class::Clip))
    }

    fn flag(self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.bad(field, "is neither true nor false"))
    }

    /// A whole number from 1 to `most`.
    fn count(self, field: &str, value: &Value, most: u64) -> Result<u32, LoadError> {
        // Some files have `224.0`.
        let number =
            value.as_u64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64));
        match number {
            Some(number) if (1..=most).contains(&number) => Ok(number as u32),
            _ => Err(self.bad(field, format!("is {value}, not a whole number from 1 to {most}"))),
        }
    }

    fn side(self, field: &str, value: &Value) -> Result<u32, LoadError> {
        self.count(field, value, MAX_SIDE)
    }

    /// `[rows, columns]`, or an object with `height` and `width`; `None` for any other value.
    fn exact(self, field: &str, value: &Value) -> Result<Option<[u32; 2]>, LoadError> {
        let sides = match value {
            Value::Array(sides) if sides.len() == 2 => [&sides[0], &sides[1]],
            Value::Object(sides) => match (sides.get("height"), sides.get("width")) {
                (Some(height), Some(width)) if !height.is_null() && !width.is_null() => [height, width],
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some([self.side(field, sides[0])?, self.side(field, sides[1])?]))
    }

    fn resize(self, class: Class) -> Result<Resize, LoadError> {
        let is_resized = self.flag("do_resize", true)?;
        if class == Class::Siglip2 {
            let count = |field: &str, default: u32, most: u64| {
                self.get(field).map_or(Ok(default), |value| self.count(field, value, most))
            };
            return match is_resized {
                true => Ok(Resize::Patches {
                    patch_size: count("patch_size", 16, MAX_PATCH_SIZE)?,
                    max_patches: count("max_num_patches", 256, MAX_PATCHES)?,
                }),
                false => Err(self.unsupported("do_resize", "false", "true")),
            };
        }
        if !is_resized {
            return Ok(Resize::Keep);
        }
        let Some(size) = self.get("size") else {
            return Ok(if class == Class::Clip { Resize::ShortestEdge(224) } else { Resize::Exact([224; 2]) });
        };
        if let Some(sides) = self.exact("size", size)? {
            return Ok(Resize::Exact(sides));
        }
        if size.is_number() {
            let side = self.side("size", size)?;
            return Ok(if class == Class::Clip { Resize::ShortestEdge(side) } else { Resize::Exact([side; 2]) });
        }
        match size.get("shortest_edge").filter(|edge| !edge.is_null()) {
            Some(edge) if size.get("longest_edge").is_none_or(Value::is_null) => {
                Ok(Resize::ShortestEdge(self.side("size", edge)?))
            }
            _ => Err(self.unsupported("size", &size.to_string(), "a number, `shortest_edge`, or `height` and `width`")),
        }
    }

    fn crop(self, class: Class, resize: Resize) -> Result<Option<[u32; 2]>, LoadError> {
        // A file that names no class may be one that resizes to an exact size and has never heard of crops.
        let is_named = self.get("image_processor_type").or(self.get("feature_extractor_type")).is_some();
        let is_exact = matches!(resize, Resize::Exact(_)) && !is_named && self.get("crop_size").is_none();
        if class == Class::Siglip2 || !self.flag("do_center_crop", class == Class::Clip && !is_exact)? {
            return Ok(None);
        }
        let Some(size) = self.get("crop_size") else { return Ok(Some([224; 2])) };
        if let Some(sides) = self.exact("crop_size", size)? {
            return Ok(Some(sides));
        }
        Ok(Some([self.side("crop_size", size)?; 2]))
    }

    fn filter(self, class: Class) -> Result<Filter, LoadError> {
        let Some(value) = self.get("resample") else {
            return Ok(if class == Class::Siglip2 { Filter::Bilinear } else { Filter::Bicubic });
        };
        match value.as_u64() {
            Some(0) => Ok(Filter::Nearest),
            Some(1) => Ok(Filter::Lanczos),
            Some(2) => Ok(Filter::Bilinear),
            Some(3) => Ok(Filter::Bicubic),
            Some(4) => Ok(Filter::Box),
            Some(5) => Ok(Filter::Hamming),
            _ => Err(self.bad("resample", format!("is {value}, not the number of a filter, 0 to 5"))),
        }
    }

    fn rescale_factor(self) -> Result<f32, LoadError> {
        let Some(value) = self.get("rescale_factor") else { return Ok(1.0 / 255.0) };
        match self.number(value) {
            Some(factor) if factor > 0.0 => Ok(factor),
            _ => Err(self.bad("rescale_factor", format!("is {value}, not a number above 0"))),
        }
    }

    /// A number that 32 bits hold, and that no model has reason to exceed.
    fn number(self, value: &Value) -> Option<f32> {
        value.as_f64().filter(|number| number.abs() <= MAX_NUMBER).map(|number| number as f32)
    }

    /// A number for each channel, or one for all.
    fn channels(
        self,
        field: &str,
        default: [f32; 3],
        is_good: fn(f32) -> bool,
        problem: &'static str,
    ) -> Result<[f32; 3], LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let number = |value: &Value| self.number(value).filter(|number| is_good(*number));
        let numbers = match value {
            Value::Array(values) if values.len() == 3 => values.iter().map(number).collect::<Option<Vec<f32>>>(),
            Value::Array(_) => None,
            one => number(one).map(|number| vec![number; 3]),
        };
        let numbers = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
        numbers.ok_or_else(|| self.bad(field, problem))
    }
}
