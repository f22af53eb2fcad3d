//! Where models come from and go to, as the environment says. The variables, their order and their defaults are those
//! of `huggingface_hub` (its `constants.py` and `utils/_auth.py`).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderValue;

/// The hub that is asked unless `HF_ENDPOINT` names another.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// How the hub is asked, and where its files are kept.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The folder of the cache.
    pub cache: PathBuf,
    /// The hub's address.
    pub endpoint: String,
    /// The token of the user's account, for models that not everybody may see.
    pub token: Option<Token>,
    /// Whether the network is left alone.
    pub offline: bool,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest the hub may send nothing.
    pub stall_timeout: Duration,
    /// How often a request that failed for a transient reason is tried again. A download that got any further begins to
    /// count anew.
    pub retries: u32,
    /// The longest wait before the first retry; doubles with each.
    pub retry_delay: Duration,
}

impl HubOptions {
    /// The defaults with this cache, whatever the environment says.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            offline: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            retries: 5,
            retry_delay: Duration::from_secs(1),
        }
    }

    /// What the environment says: `HF_HOME`, `HF_HUB_CACHE` (formerly `HUGGINGFACE_HUB_CACHE`), `XDG_CACHE_HOME`,
    /// `HF_ENDPOINT`, `HF_TOKEN` (formerly `HUGGING_FACE_HUB_TOKEN`), `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`,
    /// `HF_HUB_OFFLINE` and `TRANSFORMERS_OFFLINE`. The one place where the hub looks at it.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok(), std::env::home_dir())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = home.unwrap_or_default();
        let path = |value: String| match value.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => PathBuf::from(value),
        };
        let hf_home = variable("HF_HOME").map(&path).unwrap_or_else(|| {
            variable("XDG_CACHE_HOME").map(&path).unwrap_or_else(|| home.join(".cache")).join("huggingface")
        });
        let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")).map(&path);

        let given = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"));
        // Where `hf auth login` leaves it.
        let stored = || {
            let file = variable("HF_TOKEN_PATH").map(&path).unwrap_or_else(|| hf_home.join("token"));
            std::fs::read_to_string(file).ok()
        };
        let is_implicit = !variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(is_true);
        let token = if is_implicit { given.or_else(stored) } else { None };

        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            token: token.and_then(|token| Token::new(&token)),
            // The first one that says anything decides: `HF_HUB_OFFLINE=0` means online.
            offline: variable("HF_HUB_OFFLINE").or_else(|| variable("TRANSFORMERS_OFFLINE")).is_some_and(is_true),
            ..Self::new(cache.unwrap_or_else(|| hf_home.join("hub")))
        }
    }
}

fn is_true(value: String) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

/// The key to a user's account at the hub. Is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token without the blanks and line ends around it; `None` if nothing else is there.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(token.to_owned()))
    }

    /// The token itself, to be sent.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    /// The header that sends it; `None` if no header can.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn options(variables: Variables) -> HubOptions {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        HubOptions::from_variables(variable, Some("/home/me".into()))
    }

    #[test]
    fn caches() {
        let cases: [(Variables, &str); 8] = [
            (&[], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/xdg")], "/xdg/huggingface/hub"),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/xdg")], "/hf/hub"),
            (&[("HF_HOME", "~/hf")], "/home/me/hf/hub"),
            (&[("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HOME", "/hf")], "/old"),
            (&[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/new"),
            (&[("HF_HUB_CACHE", "~mine")], "~mine"),
        ];
        for (variables, expected) in cases {
            assert_eq!(options(variables).cache, PathBuf::from(expected), "{variables:?}");
        }
    }

    #[test]
    fn offline() {
        let cases: [(Variables, bool); 7] = [
            (&[], false),
            (&[("HF_HUB_OFFLINE", "1")], true),
            (&[("HF_HUB_OFFLINE", "True")], true),
            (&[("HF_HUB_OFFLINE", "0")], false),
            (&[("TRANSFORMERS_OFFLINE", "yes")], true),
            (&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")], false),
            (&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "ON")], true),
        ];
        for (variables, expected) in cases {
            assert_eq!(options(variables).offline, expected, "{variables:?}");
        }
    }

    #[test]
    fn tokens() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "stored\n").unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "elsewhere\n").unwrap();

        let elsewhere = elsewhere.to_str().unwrap();
        let cases: [(Variables, Option<&str>); 7] = [
            (&[], None),
            (&[("HF_TOKEN", " given \n")], Some("given")),
            (&[("HUGGING_FACE_HUB_TOKEN", "old")], Some("old")),
            (&[("HF_HOME", home)], Some("stored")),
            (&[("HF_HOME", home), ("HF_TOKEN", "given")], Some("given")),
            (&[("HF_HOME", home), ("HF_TOKEN_PATH", elsewhere)], Some("elsewhere")),
            (&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], None),
        ];
        for (variables, expected) in cases {
            let options = options(variables);
            assert_eq!(options.token.as_ref().map(Token::secret), expected, "{variables:?}");
            assert!(!expected.is_some_and(|token| format!("{:?}", options.token).contains(token)), "shown");
        }
    }
}
