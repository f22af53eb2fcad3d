//! Images that are files on the Hugging Face hub: web addresses there, with the user's token where there is one.

use reqwest::header::HeaderValue;
use url::Url;

use crate::hub::{HubFile, HubOptions};
use crate::row::{RowError, RowErrorKind};
use crate::source::ImageBytes;
use crate::source::http::HttpSource;

/// The source of the hub's files.
#[derive(Debug)]
pub struct HubSource {
    endpoint: String,
    token: Option<HeaderValue>,
    offline: bool,
}

impl HubSource {
    /// The hub that the environment names.
    pub fn from_env() -> Self {
        let HubOptions { endpoint, token, offline, .. } = HubOptions::from_env();
        // A token that no header can send is told where a model is fetched; here it opens nothing.
        Self { endpoint, token: token.and_then(|token| token.header()), offline }
    }

    /// The image at `file`, by way of the web. The token is sent to the hub only: large files lie elsewhere.
    pub(super) async fn fetch(&self, file: &HubFile, web: &HttpSource) -> Result<ImageBytes, RowError> {
        if self.offline {
            let message = "the hub is not asked, since HF_HUB_OFFLINE is set";
            return Err(RowError::new(RowErrorKind::Network, message));
        }
        web.fetch_with(&self.url(file)?, self.token.as_ref()).await
    }

    fn url(&self, file: &HubFile) -> Result<Url, RowError> {
        let refused = || RowError::new(RowErrorKind::BadAddress, "HF_ENDPOINT is no address of a hub");
        let mut url = Url::parse(&self.endpoint).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused());
        }
        url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().extend(file.url_parts());
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_they_stand() {
        let hub = |endpoint: &str| HubSource { endpoint: endpoint.to_owned(), token: None, offline: false };
        let file = HubFile::parse("hf://datasets/org/name@refs/pr/1/a b/1%20?#+.jpg").unwrap();
        for endpoint in ["https://hub.example", "https://hub.example/"] {
            let url = hub(endpoint).url(&file).unwrap();
            let expected = "https://hub.example/datasets/org/name/resolve/refs%2Fpr%2F1/a%20b/1%2520%3F%23+.jpg";
            assert_eq!(url.as_str(), expected);
        }
        assert_eq!(hub("ftp://hub.example").url(&file).unwrap_err().kind, RowErrorKind::BadAddress);
        assert_eq!(hub("hub").url(&file).unwrap_err().kind, RowErrorKind::BadAddress);
    }
}
