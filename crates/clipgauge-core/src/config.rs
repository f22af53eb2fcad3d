//! Reading a model's JSON files field by field, so that what is wrong with one is said by its name.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::error::LoadError;
use crate::model_files::ModelFiles;

/// The largest width, count or size that a configuration may claim: far above any model, far below what could
/// overflow when sizes are multiplied.
const MAX_COUNT: u64 = 1 << 20;

/// A configuration file.
pub(crate) struct ConfigFile {
    file: String,
    fields: Map<String, Value>,
    /// The fields that were asked for and are not there.
    defaulted: RefCell<Vec<String>>,
}

impl ConfigFile {
    /// Reads a JSON file that has to be there.
    pub(crate) fn read(files: &ModelFiles, name: &'static str) -> Result<Self, LoadError> {
        let bytes = files.require(name)?;
        let file = files.display(name);
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { file, fields, defaulted: RefCell::default() }),
            Ok(_) => Err(LoadError::Malformed { file, problem: "it is not a JSON object".into() }),
            Err(error) => Err(LoadError::Malformed { file, problem: error.to_string().into() }),
        }
    }

    /// The fields at the top.
    pub(crate) fn root(&self) -> Section<'_> {
        Section { config: self, path: String::new(), fields: Some(&self.fields) }
    }

    /// The numbers and names that were asked for so far and have their default, sorted.
    pub(crate) fn defaulted(&self) -> Vec<String> {
        let mut defaulted = self.defaulted.borrow().clone();
        defaulted.sort();
        defaulted.dedup();
        defaulted
    }
}

/// An object within a configuration; one that is not there has the defaults of every field.
pub(crate) struct Section<'a> {
    config: &'a ConfigFile,
    path: String,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    /// The first of these objects that is there and not null.
    pub(crate) fn section(&self, names: &[&str]) -> Result<Section<'a>, LoadError> {
        for &name in names {
            match self.value(name) {
                None => {}
                Some(Value::Object(fields)) => {
                    return Ok(Section { config: self.config, path: self.full_name(name), fields: Some(fields) });
                }
                Some(_) => return Err(self.wrong(name, "is not an object")),
            }
        }
        // The last is the usual one: those before it are of old files.
        let usual = names.last().copied().unwrap_or_default();
        Ok(Section { config: self.config, path: self.full_name(usual), fields: None })
    }

    /// A whole number from 1.
    pub(crate) fn count(&self, name: &str, default: usize) -> Result<usize, LoadError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        match value.as_u64() {
            Some(count @ 1..=MAX_COUNT) => Ok(count as usize),
            _ => Err(self.wrong(name, format!("is {value}, not a whole number from 1 to {MAX_COUNT}"))),
        }
    }

    /// Two whole numbers from 1, given as two or as one for both.
    pub(crate) fn sides(&self, name: &str, default: usize) -> Result<[usize; 2], LoadError> {
        let side = |value: &Value| match value.as_u64() {
            Some(side @ 1..=MAX_COUNT) => Some(side as usize),
            _ => None,
        };
        let sides = match self.given(name) {
            None => Some([default; 2]),
            Some(Value::Array(sides)) if sides.len() == 2 => {
                side(&sides[0]).zip(side(&sides[1])).map(<[usize; 2]>::from)
            }
            Some(value) => side(value).map(|side| [side; 2]),
        };
        sides.ok_or_else(|| self.wrong(name, format!("is not one or two whole numbers from 1 to {MAX_COUNT}")))
    }

    /// Three numbers, one for each channel.
    pub(crate) fn channels(&self, name: &str, default: [f32; 3]) -> Result<[f32; 3], LoadError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        let number = |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
        let numbers = value.as_array().map(|values| values.iter().filter_map(number).collect::<Vec<_>>());
        let channels = numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
        channels.ok_or_else(|| self.wrong(name, format!("is {value}, not three numbers")))
    }

    /// The id of a token.
    pub(crate) fn token(&self, name: &str, default: u32) -> Result<u32, LoadError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.wrong(name, format!("is {value}, not the id of a token")))
    }

    /// A number above zero.
    pub(crate) fn positive(&self, name: &str, default: f32) -> Result<f32, LoadError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        match value.as_f64().map(|number| number as f32) {
            Some(number) if number > 0.0 && number.is_finite() => Ok(number),
            _ => Err(self.wrong(name, format!("is {value}, not a number above zero"))),
        }
    }

    /// Whether something is so.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, LoadError> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.wrong(name, format!("is {value}, not true or false"))),
        }
    }

    /// What a field says, if it says something: not null, false, empty or zero.
    pub(crate) fn set(&self, name: &str) -> Option<String> {
        let value = self.value(name)?;
        let says_nothing = match value {
            Value::Bool(flag) => !flag,
            Value::String(text) => text.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Null => true,
        };
        (!says_nothing).then(|| value.to_string())
    }

    /// A string.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, LoadError> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong(name, format!("is {value}, not a string"))),
        }
    }

    /// The error that a field has a value which is known to exist but not supported.
    pub(crate) fn unsupported(&self, name: &str, value: &str, supported: impl Into<Cow<'static, str>>) -> LoadError {
        LoadError::Unsupported {
            file: self.config.file.clone(),
            field: self.full_name(name),
            value: value.to_owned(),
            supported: supported.into(),
        }
    }

    /// The error that a field makes no sense.
    pub(crate) fn wrong(&self, name: &str, problem: impl Into<Cow<'static, str>>) -> LoadError {
        LoadError::Field { file: self.config.file.clone(), field: self.full_name(name), problem: problem.into() }
    }

    /// The same, and remembers where it is not there.
    fn given(&self, name: &str) -> Option<&'a Value> {
        let value = self.value(name);
        if value.is_none() {
            self.config.defaulted.borrow_mut().push(self.full_name(name));
        }
        value
    }

    /// A field that is there and not null.
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    fn full_name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
