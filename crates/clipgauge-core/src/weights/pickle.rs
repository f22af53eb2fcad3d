//! A state dict from the pickle that `torch.save` writes of it.
//!
//! Pickle is a program for a small machine, and Python's machine calls whatever the program names. This one
//! ([pickletools](https://github.com/python/cpython/blob/main/Lib/pickletools.py) describes the instructions) knows
//! only those of protocol 2 that a state dict needs, and only the few names below: nothing is called, imported or
//! executed. Values are indices and slices of the program, so that no instruction makes more than it has bytes for,
//! and nothing nests in memory.

use std::borrow::Cow;
use std::collections::HashMap;

use super::MAX_TENSORS;

/// The most values that a pickle may put on the stack or in the memo. A state dict has about twenty for each tensor.
const MAX_VALUES: usize = 1 << 20;

/// The most axes of a tensor, as in torch.
const MAX_AXES: usize = 64;

/// A tensor as the pickle describes it; nothing is known yet about the bytes.
#[derive(Debug, Clone)]
pub(super) struct PickledTensor<'p> {
    pub(super) storage: Storage<'p>,
    /// Where its first number is in the storage, in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers from one to the next along each axis.
    pub(super) strides: Vec<usize>,
}

/// A run of numbers in a file of its own in the archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'p> {
    /// Its class in torch, one of [`STORAGES`].
    pub(super) class: &'static str,
    /// The name of its file.
    pub(super) key: &'p str,
    /// How many numbers it has.
    pub(super) len: usize,
}

/// The classes of storages, as torch names them, all in its top module.
const STORAGES: [&str; 12] = [
    "FloatStorage",
    "HalfStorage",
    "BFloat16Storage",
    "DoubleStorage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
    "ComplexFloatStorage",
    "ComplexDoubleStorage",
];

/// What a pickle may name.
#[derive(Clone, Copy)]
enum Known {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(&'static str),
}

impl Known {
    fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", name) => STORAGES.iter().find(|class| **class == name).map(|class| Self::Storage(class)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Value<'p> {
    Mark,
    Integer(i64),
    Text(&'p str),
    /// Where its items are in [`Machine::tuples`].
    Tuple(usize, usize),
    /// Which of [`Machine::dicts`].
    Dict(usize),
    Known(Known),
    /// Which of [`Machine::storages`].
    Storage(usize),
    /// Which of [`Machine::tensors`].
    Tensor(usize),
    /// Something that says nothing about tensors: none, a truth value, a float, a list.
    Other,
}

/// What is wrong with a pickle.
type Problem = Cow<'static, str>;

/// The tensors of the state dict that is pickled in `program`, by name.
pub(super) fn read(program: &[u8]) -> Result<Vec<(&str, PickledTensor<'_>)>, Problem> {
    let mut machine = Machine { rest: program, ..Machine::default() };
    while machine.step()? {}
    let Some(Value::Dict(root)) = machine.stack.pop() else {
        return Err("it holds something else than a dictionary of tensors".into());
    };
    let mut named = HashMap::new();
    for item in &machine.dicts[root] {
        if let (Value::Text(name), Value::Tensor(tensor)) = item
            && named.insert(*name, *tensor).is_some()
        {
            return Err(format!("it has two tensors of the name {name:?}").into());
        }
    }
    if named.len() > MAX_TENSORS {
        return Err(format!("it has more than {MAX_TENSORS} tensors").into());
    }
    Ok(named.into_iter().map(|(name, tensor)| (name, machine.tensors[tensor].clone())).collect())
}

#[derive(Default)]
struct Machine<'p> {
    /// What of the program is still to come.
    rest: &'p [u8],
    stack: Vec<Value<'p>>,
    memo: HashMap<u32, Value<'p>>,
    tuples: Vec<Value<'p>>,
    dicts: Vec<Vec<(Value<'p>, Value<'p>)>>,
    storages: Vec<Storage<'p>>,
    tensors: Vec<PickledTensor<'p>>,
    /// How many values were ever put somewhere.
    values: usize,
}

impl<'p> Machine<'p> {
    /// Carries out one instruction; false after the last.
    fn step(&mut self) -> Result<bool, Problem> {
        match self.bytes::<1>()?[0] {
            0x80 => {
                let [protocol] = self.bytes()?;
                if protocol > 3 {
                    return Err(format!("it is pickled with protocol {protocol}; torch saves weights with 2").into());
                }
            }
            b'.' => return Ok(false),
            b'(' => self.push(Value::Mark)?,
            b')' => self.push(Value::Tuple(0, 0))?,
            b']' | b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
            b'}' => self.push_dict()?,
            b'K' => {
                let [byte] = self.bytes()?;
                self.push(Value::Integer(byte.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.bytes()?);
                self.push(Value::Integer(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Integer(number.into()))?;
            }
            0x8a => self.long()?,
            b'G' => {
                self.bytes::<8>()?;
                self.push(Value::Other)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = self.take(length as usize)?;
                self.push(Value::Text(as_text(text)?))?;
            }
            b'q' => {
                let [index] = self.bytes()?;
                self.remember(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.bytes()?);
                self.remember(index)?;
            }
            b'h' => {
                let [index] = self.bytes()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.bytes()?);
                self.recall(index)?;
            }
            b'c' => self.global()?,
            b't' => {
                let start = self.after_mark()?;
                self.tuple(start)?;
                let tuple = self.pop()?;
                self.pop()?;
                self.push(tuple)?;
            }
            count @ 0x85..=0x87 => {
                let start = self.stack.len().checked_sub(usize::from(count - 0x84)).ok_or(EMPTY_STACK)?;
                self.tuple(start)?;
            }
            b'a' => drop(self.pop()?),
            b'e' => {
                let start = self.after_mark()?;
                self.stack.truncate(start - 1);
            }
            b's' => {
                let start = self.stack.len().checked_sub(2).ok_or(EMPTY_STACK)?;
                self.set_items(start)?;
            }
            b'u' => {
                let start = self.after_mark()?;
                self.stack.remove(start - 1);
                self.set_items(start - 1)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => {
                // The attributes of a dictionary: `_metadata`, which says nothing about the tensors.
                self.pop()?;
                let Some(Value::Dict(_)) = self.stack.last() else {
                    return Err("it sets attributes of something else than a dictionary".into());
                };
            }
            other => {
                return Err(format!("it has the pickle instruction {other:#04x}, which weights do not need").into());
            }
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Result<&'p [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("its pickle ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("its pickle ends too early")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn count(&mut self, values: usize) -> Result<(), Problem> {
        self.values += values;
        if self.values > MAX_VALUES {
            Err(format!("its pickle makes more than {MAX_VALUES} values").into())
        } else {
            Ok(())
        }
    }

    fn push(&mut self, value: Value<'p>) -> Result<(), Problem> {
        self.count(1)?;
        self.stack.push(value);
        Ok(())
    }

    fn push_dict(&mut self) -> Result<(), Problem> {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1))
    }

    fn pop(&mut self) -> Result<Value<'p>, Problem> {
        self.stack.pop().ok_or(EMPTY_STACK)
    }

    /// Where on the stack the values after the last mark begin.
    fn after_mark(&self) -> Result<usize, Problem> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        mark.map(|mark| mark + 1).ok_or("its pickle misses a mark".into())
    }

    fn remember(&mut self, index: u32) -> Result<(), Problem> {
        let value = *self.stack.last().ok_or(EMPTY_STACK)?;
        self.count(1)?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), Problem> {
        let value = *self.memo.get(&index).ok_or("its pickle refers to a value that it did not store")?;
        self.push(value)
    }

    /// An integer of up to eight bytes; sizes need no more.
    fn long(&mut self) -> Result<(), Problem> {
        let [length] = self.bytes()?;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return Err("it has a number of more than 64 bits".into());
        }
        let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut number = [fill; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Integer(i64::from_le_bytes(number)))
    }

    fn global(&mut self) -> Result<(), Problem> {
        let module = self.line()?;
        let name = self.line()?;
        let known = Known::find(module, name).ok_or_else(|| {
            let (module, name) = (module.escape_debug(), name.escape_debug());
            format!("it asks for `{module}.{name}`, which weights do not need and which is never run")
        })?;
        self.push(Value::Known(known))
    }

    fn line(&mut self) -> Result<&'p str, Problem> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("its pickle ends too early")?;
        let line = self.take(end)?;
        self.take(1)?;
        as_text(line)
    }

    /// Makes a tuple of what is on the stack from `start` on.
    fn tuple(&mut self, start: usize) -> Result<(), Problem> {
        let first = self.tuples.len();
        self.tuples.extend(self.stack.drain(start..));
        self.push(Value::Tuple(first, self.tuples.len()))
    }

    fn items(&self, value: Value<'p>) -> Result<&[Value<'p>], Problem> {
        match value {
            Value::Tuple(start, end) => Ok(&self.tuples[start..end]),
            _ => Err("its pickle lacks a tuple where one belongs".into()),
        }
    }

    /// Puts the pairs that are on the stack from `start` on into the dictionary below them.
    fn set_items(&mut self, start: usize) -> Result<(), Problem> {
        let Some(Value::Dict(dict)) = start.checked_sub(1).and_then(|below| self.stack.get(below)) else {
            return Err("it sets items of something else than a dictionary".into());
        };
        let (pairs, rest) = self.stack[start..].as_chunks();
        if !rest.is_empty() {
            return Err("its pickle has a key without a value".into());
        }
        self.dicts[*dict].extend(pairs.iter().map(|[key, value]| (*key, *value)));
        self.stack.truncate(start);
        Ok(())
    }

    /// `('storage', class, key, location, length)`, which torch refers to storages by.
    fn storage(&mut self) -> Result<(), Problem> {
        let reference = self.pop()?;
        let &[Value::Text("storage"), Value::Known(Known::Storage(class)), Value::Text(key), _, Value::Integer(len)] =
            self.items(reference)?
        else {
            return Err("it refers to something else than a storage".into());
        };
        self.storages.push(Storage { class, key, len: as_size(len)? });
        self.push(Value::Storage(self.storages.len() - 1))
    }

    /// What calling one of the known names gives.
    fn reduce(&mut self) -> Result<(), Problem> {
        let arguments = self.pop()?;
        let Value::Known(callee) = self.pop()? else {
            return Err("it calls something that has no name".into());
        };
        match (callee, self.items(arguments)?) {
            (Known::OrderedDict, []) => self.push_dict(),
            (Known::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (Known::RebuildTensor, &[Value::Storage(storage), Value::Integer(offset), shape, strides, ..]) => {
                let offset = as_size(offset)?;
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                if shape.len() != strides.len() || shape.len() > MAX_AXES {
                    return Err("it has a tensor whose shape and strides do not fit".into());
                }
                if self.tensors.len() == MAX_TENSORS {
                    return Err(format!("it has more than {MAX_TENSORS} tensors").into());
                }
                let storage = self.storages[storage];
                self.tensors.push(PickledTensor { storage, offset, shape, strides });
                self.push(Value::Tensor(self.tensors.len() - 1))
            }
            _ => Err("it makes a value in a way that torch does not".into()),
        }
    }

    fn sizes(&self, tuple: Value<'p>) -> Result<Vec<usize>, Problem> {
        let sizes = self.items(tuple)?.iter().map(|size| match size {
            Value::Integer(size) => as_size(*size),
            _ => Err("it has a tensor with a size that is not a number".into()),
        });
        sizes.collect()
    }
}

const EMPTY_STACK: Problem = Cow::Borrowed("its pickle takes a value that is not there");

fn as_text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| "it has a text that is not UTF-8".into())
}

fn as_size(number: i64) -> Result<usize, Problem> {
    usize::try_from(number).map_err(|_| "it has a negative size".into())
}
