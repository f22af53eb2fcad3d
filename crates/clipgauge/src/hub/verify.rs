//! Whether contents are what the hub says. Its ETag is the contents' SHA-256 for large files, and for others the id that
//! git gives them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// Whether a file has the contents that an ETag names. An ETag of another kind names none, and is not held against it.
pub(super) fn is_genuine(path: &Path, etag: &str) -> io::Result<bool> {
    let is_hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    match etag.len() {
        64 if is_hex => Ok(hex(&digest(path, [Sha256::new()])?[0]) == etag.to_ascii_lowercase()),
        40 if is_hex => {
            let length = path.metadata()?.len();
            let as_git = Sha1::new_with_prefix(format!("blob {length}\0"));
            // Mirrors that are no git repositories give the plain hash.
            let digests = digest(path, [as_git, Sha1::new()])?;
            Ok(digests.iter().any(|digest| hex(digest) == etag.to_ascii_lowercase()))
        }
        _ => Ok(true),
    }
}

fn digest<D: Digest, const N: usize>(path: &Path, mut hashers: [D; N]) -> io::Result<[Vec<u8>; N]> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            bytes => hashers.iter_mut().for_each(|hasher| hasher.update(&piece[..bytes])),
        }
    }
    Ok(hashers.map(|hasher| hasher.finalize().to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        // From `sha256sum`, `git hash-object` and `sha1sum`.
        let cases = [
            ("sha256", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", true),
            ("git", "ce013625030ba8dba906f756967f9e9ca394464a", true),
            ("sha1", "f572d396fae9206628714fb2ce00f72e94f2258f", true),
            ("capitals", "F572D396FAE9206628714FB2CE00F72E94F2258F", true),
            ("another sha256", "0000000000000000000000000000000000000000000000000000000000000000", false),
            ("another git", "0000000000000000000000000000000000000000", false),
            ("no hash", "some-version", true),
        ];
        for (name, etag, expected) in cases {
            assert_eq!(is_genuine(file.path(), etag).unwrap(), expected, "{name}");
        }
    }
}
