//! Archives as `torch.save` writes them, made byte by byte.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Pickles of protocol 2, put together from their parts.
pub(super) mod pickle {
    /// A whole pickle.
    pub(in crate::weights) fn program(value: &[u8]) -> Vec<u8> {
        [&[0x80, 2], value, b"."].concat()
    }

    pub(in crate::weights) fn text(text: &str) -> Vec<u8> {
        [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
    }

    /// As a number of eight bytes, whatever its size.
    pub(in crate::weights) fn integer(number: i64) -> Vec<u8> {
        [&[0x8a, 8], &number.to_le_bytes()[..]].concat()
    }

    pub(in crate::weights) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
        [b"(", &items.concat()[..], b"t"].concat()
    }

    pub(in crate::weights) fn global(module: &str, name: &str) -> Vec<u8> {
        format!("c{module}\n{name}\n").into_bytes()
    }

    pub(in crate::weights) fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
        [global(module, name), tuple(arguments), b"R".to_vec()].concat()
    }

    /// An `OrderedDict`, as a module's state dict is.
    pub(in crate::weights) fn ordered_dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let items: Vec<u8> = items.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
        [call("collections", "OrderedDict", &[]), b"(".to_vec(), items, b"u".to_vec()].concat()
    }
}

/// A tensor: its storage's class, key and length, and where its numbers are in it.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) class: &'a str,
    pub(super) key: &'a str,
    pub(super) len: i64,
    pub(super) offset: i64,
    pub(super) shape: &'a [i64],
    pub(super) strides: &'a [i64],
}

impl Tensor<'_> {
    /// The call that makes it.
    pub(super) fn pickled(&self) -> Vec<u8> {
        use pickle::{call, global, integer, ordered_dict, text, tuple};
        let numbers = |numbers: &[i64]| tuple(&numbers.iter().map(|number| integer(*number)).collect::<Vec<_>>());
        let reference =
            tuple(&[text("storage"), global("torch", self.class), text(self.key), text("cpu"), integer(self.len)]);
        let storage = [reference, b"Q".to_vec()].concat();
        let requires_grad = vec![0x89];
        let arguments = [
            storage,
            integer(self.offset),
            numbers(self.shape),
            numbers(self.strides),
            requires_grad,
            ordered_dict(&[]),
        ];
        call("torch._utils", "_rebuild_tensor_v2", &arguments)
    }
}

/// An archive of these files, none of them compressed, at the alignment that torch gives them.
pub(super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A `pytorch_model.bin` with the pickle of a state dict and the storages `0`, `1`, ….
pub(super) fn model(state_dict: &[u8], storages: &[&[u8]]) -> Vec<u8> {
    let program = pickle::program(state_dict);
    let names: Vec<String> = (0..storages.len()).map(|index| format!("archive/data/{index}")).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("archive/data.pkl", &program), ("archive/byteorder", b"little")];
    files.extend(names.iter().map(String::as_str).zip(storages.iter().copied()));
    archive(&files)
}
