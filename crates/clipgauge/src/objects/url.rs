//! Addresses of objects: `s3://bucket/key`. They look like URLs and are none: keys are taken as they stand, so that
//! `a%20b.jpg` and `a b.jpg`, `a?b` and `a#b` are four different objects.

use std::fmt;
use std::path::Path;

/// The schemes, each with the service that it stands for.
const SCHEMES: [(&str, ObjectService); 6] = [
    ("s3", ObjectService::S3),
    ("s3a", ObjectService::S3),
    ("gs", ObjectService::Google),
    ("az", ObjectService::Azure),
    ("abfs", ObjectService::Azure),
    ("abfss", ObjectService::Azure),
];

/// What a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectService {
    /// Amazon S3 and what is like it (MinIO, R2, Ceph, …).
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage and Data Lake.
    Azure,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectUrl {
    scheme: &'static str,
    service: ObjectService,
    bucket: String,
    key: String,
}

impl ObjectUrl {
    /// Whether a text begins as the address of an object does. It may still not be one.
    pub fn is_meant(text: &str) -> bool {
        service(text).is_some()
    }

    /// The object that a path means, if it means one. A folder called `s3:` is still reached by `./s3:/…`.
    pub fn of_path(path: &Path) -> Option<Result<Self, ObjectUrlError>> {
        path.to_str().filter(|text| Self::is_meant(text)).map(Self::parse)
    }

    /// Reads an address.
    ///
    /// ```
    /// use clipgauge::objects::ObjectUrl;
    ///
    /// let url = ObjectUrl::parse("s3://bucket/cats/1 %.jpg")?;
    /// assert_eq!((url.bucket(), url.key()), ("bucket", "cats/1 %.jpg"));
    /// # Ok::<(), clipgauge::objects::ObjectUrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It names no bucket or no object, or one that no store could have.
    pub fn parse(text: &str) -> Result<Self, ObjectUrlError> {
        let (scheme, service, rest) = service(text).ok_or(ObjectUrlError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let of_a_bucket = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(of_a_bucket) {
            return Err(ObjectUrlError::Bucket { bucket: bucket.to_owned() });
        }
        check_key(key)?;
        Ok(Self { scheme, service, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// What the store speaks.
    pub fn service(&self) -> ObjectService {
        self.service
    }

    /// The bucket; at Azure, the container, with the account behind an `@` if it is named.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key in the bucket.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The address without the key, by which the bucket is known: `s3://bucket`.
    pub fn root(&self) -> String {
        format!("{}://{}", self.scheme, self.bucket)
    }

    /// The object that a relative path beside this one names. `.` and `..` in it go as they do in folders, since no key
    /// can have them.
    ///
    /// # Errors
    ///
    /// It leads out of the bucket, or to no object.
    pub fn beside(&self, path: &str) -> Result<Self, ObjectUrlError> {
        let mut parts: Vec<&str> = self.key.split('/').collect();
        parts.pop();
        for part in path.split('/') {
            match part {
                "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| ObjectUrlError::Outside { path: path.to_owned() })?;
                }
                part => parts.push(part),
            }
        }
        let key = parts.join("/");
        check_key(&key)?;
        Ok(Self { key, bucket: self.bucket.clone(), ..*self })
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.bucket, self.key)
    }
}

/// The scheme, its service, and what is behind it.
fn service(text: &str) -> Option<(&'static str, ObjectService, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, service) = SCHEMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme))?;
    Some((scheme, *service, rest))
}

/// Some stores have keys that are refused here; the library that signs requests cannot name them.
fn check_key(key: &str) -> Result<(), ObjectUrlError> {
    let refused = |reason| Err(ObjectUrlError::Key { key: key.to_owned(), reason });
    if key.is_empty() {
        return Err(ObjectUrlError::NoKey);
    }
    if key.ends_with('/') {
        return refused("it ends with a slash, as folders do; name an object in it");
    }
    if key.split('/').any(str::is_empty) {
        return refused("it has an empty part between two slashes, which cannot be asked for");
    }
    if key.split('/').any(|part| matches!(part, "." | "..")) {
        return refused("it has a part `.` or `..`, which cannot be asked for");
    }
    if key.chars().any(|c| c.is_ascii_control()) {
        return refused("it has a control character in it");
    }
    Ok(())
}

/// Why a text is no address of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectUrlError {
    /// It does not begin like one.
    #[error("an object's address begins with `s3://`, `gs://`, `az://` or `abfss://`")]
    Scheme,
    /// It names no bucket.
    #[error("`{bucket}` cannot be a bucket's name; an object's address is like `s3://bucket/key`")]
    Bucket {
        /// What stands for it.
        bucket: String,
    },
    /// It names no object.
    #[error("the address names a bucket and no object in it; it should be like `s3://bucket/key`")]
    NoKey,
    /// It names an object that cannot be asked for.
    #[error("the key `{key}` cannot be used: {reason}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A relative path leads out of the bucket.
    #[error("the path `{path}` leads out of the table's bucket")]
    Outside {
        /// The path.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("s3://bucket/key", Ok(("s3://bucket", "key"))),
            ("S3://Bucket/Key", Ok(("s3://Bucket", "Key"))),
            ("s3a://bucket/a/b.jpg", Ok(("s3a://bucket", "a/b.jpg"))),
            ("gs://bucket/a b+c%20d?e#f", Ok(("gs://bucket", "a b+c%20d?e#f"))),
            ("s3://bucket/猫/é.jpg", Ok(("s3://bucket", "猫/é.jpg"))),
            ("az://container/a", Ok(("az://container", "a"))),
            ("abfss://files@account.dfs.core.windows.net/a", Ok(("abfss://files@account.dfs.core.windows.net", "a"))),
            ("s3://bucket", Err("no object")),
            ("s3://bucket/", Err("no object")),
            ("s3:///key", Err("`` cannot be a bucket's name")),
            ("s3://bu?cket/key", Err("bucket's name")),
            ("s3://u:p@bucket/key", Err("bucket's name")),
            ("s3://bucket/folder/", Err("ends with a slash")),
            ("s3://bucket//key", Err("empty part")),
            ("s3://bucket/a//b", Err("empty part")),
            ("s3://bucket/a/../b", Err("`..`")),
            ("s3://bucket/a\nb", Err("control character")),
            ("http://bucket/a", Err("begins with")),
            ("s3:bucket/a", Err("begins with")),
        ];
        for (text, expected) in cases {
            match (ObjectUrl::parse(text), expected) {
                (Ok(url), Ok((root, key))) => {
                    assert_eq!((url.root().as_str(), url.key()), (root, key), "{text}");
                    assert_eq!(ObjectUrl::parse(&url.to_string()), Ok(url), "{text}");
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn relative_paths_start_beside_the_table() {
        let cases = [
            ("s3://b/t.csv", "1.jpg", Ok("s3://b/1.jpg")),
            ("s3://b/a/t.csv", "x/1%2B.jpg", Ok("s3://b/a/x/1%2B.jpg")),
            ("s3://b/a/t.csv", "./1.jpg", Ok("s3://b/a/1.jpg")),
            ("s3://b/a/t.csv", "../c/1.jpg", Ok("s3://b/c/1.jpg")),
            ("s3://b/a/t.csv", "../../1.jpg", Err("leads out")),
            ("s3://b/a/t.csv", "x//1.jpg", Err("empty part")),
            ("s3://b/a/t.csv", "x/", Err("ends with a slash")),
        ];
        for (table, path, expected) in cases {
            match (ObjectUrl::parse(table).expect(table).beside(path), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.to_string(), expected, "{path}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{path}: {error}"),
                (found, expected) => panic!("{path}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
