//! What the hub is asked: a repository's files and commit, a file's hash and size, a file's contents. Where `huggingface_hub`
//! stops at a redirect (`_httpx2_follow_hub_redirects_with_backoff`) this does, too: large files lie with another host,
//! and what there is to know about them is in the answer that sends one there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;

use crate::client;
use crate::client::retry;
use crate::hub::error::{HubError, Unreachable};
use crate::hub::name::is_safe_path;
use crate::hub::options::HubOptions;
use crate::hub::repo::Repo;

/// The most redirects that are followed for one request.
const MAX_REDIRECTS: usize = 10;

/// The most bytes that a list of files may have. The largest known, of a repository with 100,000 files, has 8 MB.
const MAX_LISTING: usize = 64 << 20;

/// What is escaped in a part of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The hub, as far as one repository goes.
#[derive(Debug)]
pub(super) struct Api<'a> {
    client: Client,
    endpoint: Url,
    /// Already a value of a header.
    token: Option<HeaderValue>,
    pub(super) repo: &'a Repo,
    options: &'a HubOptions,
}

/// A commit and the files that it has.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    files: Vec<Sibling>,
}

impl Listing {
    pub(super) fn has(&self, file: &str) -> bool {
        self.files().any(|known| known == file)
    }

    /// The files' paths, whatever the hub says they are.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|known| known.rfilename.as_str())
    }
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
}

/// What the hub says about a file.
#[derive(Debug)]
pub(super) struct Metadata {
    /// What names its contents: their hash, as a rule.
    pub(super) etag: String,
    /// Its size in bytes.
    pub(super) size: Option<u64>,
    /// Where the contents are.
    pub(super) location: Url,
}

impl<'a> Api<'a> {
    pub(super) fn new(repo: &'a Repo, options: &'a HubOptions) -> Result<Self, HubError> {
        let endpoint = Url::parse(options.endpoint.trim_end_matches('/'));
        let refused = |source| HubError::Endpoint { endpoint: options.endpoint.clone(), source };
        let endpoint = endpoint.map_err(|error| refused(Some(error)))?;
        if !is_web(&endpoint) {
            return Err(refused(None));
        }
        let token = options.token.as_ref().map(|token| token.header().ok_or(HubError::Token));
        let client = client::builder(options.connect_timeout)
            .read_timeout(options.stall_timeout)
            // Followed by hand: the token must stay with the hub, and some answers with a redirect are the ones wanted.
            .redirect(Policy::none())
            // The sizes are those of the files, not of what is sent.
            .no_gzip()
            .build()
            .map_err(HubError::Client)?;
        Ok(Self { client, endpoint, token: token.transpose()?, repo, options })
    }

    /// The commit of the repository's revision, and its files.
    pub(super) async fn listing(&self) -> Result<Listing, HubError> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
            #[serde(default)]
            siblings: Vec<Sibling>,
        }
        let kind = self.repo.id.kind.plural();
        let parts = ["api", kind].into_iter().chain(self.repo.id.name.split('/'));
        let url = self.url(parts.chain(["revision", self.repo.revision.as_str()]))?;
        let (response, _) = self.request(Method::GET, url.clone(), 0).await?;
        let mut response = self.check(response)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(&url, error))? {
            if body.len() + chunk.len() > MAX_LISTING {
                return Err(unusable(&url, "its list of files has no end", None));
            }
            body.extend_from_slice(&chunk);
        }
        let Info { sha, siblings } =
            serde_json::from_slice(&body).map_err(|error| unusable(&url, "this is no list of files", Some(error)))?;
        if !is_safe_path(&sha) || sha.contains('/') {
            return Err(unusable(&url, "its commit is none", None));
        }
        Ok(Listing { commit: sha, files: siblings })
    }

    /// What the hub says about a file of a commit.
    pub(super) async fn metadata(&self, commit: &str, file: &str) -> Result<Metadata, HubError> {
        let url = self.url(self.repo.id.page().chain(["resolve", commit]).chain(file.split('/')))?;
        let (response, location) = self.request(Method::HEAD, url.clone(), 0).await?;
        let is_elsewhere = response.status().is_redirection();
        let response = if is_elsewhere { response } else { self.check(response)? };
        let headers = response.headers();
        let etag = etag(headers).ok_or_else(|| unusable(&url, "it gives no hash (`ETag`)", None))?;
        if !is_safe_path(etag) || etag.contains('/') {
            return Err(unusable(&url, "its hash (`ETag`) is none", None));
        }
        let number = |value: Option<&HeaderValue>| value?.to_str().ok()?.parse().ok();
        let own_length = headers.get(CONTENT_LENGTH).filter(|_| !is_elsewhere);
        Ok(Metadata {
            etag: etag.to_owned(),
            size: number(headers.get("x-linked-size")).or_else(|| number(own_length)),
            location,
        })
    }

    /// The contents at a location that [`Api::metadata`] gave, from the byte `start` on if the server does that (its
    /// status says so).
    pub(super) async fn contents(&self, location: &Url, start: u64) -> Result<Response, HubError> {
        let (response, _) = self.request(Method::GET, location.clone(), start).await?;
        match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => Ok(response),
            _ => self.check(response),
        }
    }

    /// Sends a request and follows its redirects. Of a `HEAD` those to other hosts are not followed if they say what is
    /// there. Gives the place where the contents are, too.
    async fn request(&self, method: Method, mut url: Url, start: u64) -> Result<(Response, Url), HubError> {
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| self.is_the_hubs(&url)) {
                request = request.header(AUTHORIZATION, token);
            }
            if start > 0 {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            let response = request.send().await.map_err(|error| self.unanswered(&url, error))?;
            if !response.status().is_redirection() {
                return Ok((response, url));
            }
            let Some(next) = target(&response, &url) else { break };
            if method == Method::HEAD && !self.is_the_hubs(&next) && etag(response.headers()).is_some() {
                return Ok((response, next));
            }
            url = next;
        }
        Err(self.unreachable(Unreachable::Redirect { host: host(&url) }))
    }

    fn is_the_hubs(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// A URL at the hub, of the parts of its path.
    fn url<'p>(&self, parts: impl Iterator<Item = &'p str>) -> Result<Url, HubError> {
        let mut text = self.endpoint.as_str().trim_end_matches('/').to_owned();
        for part in parts {
            text += &format!("/{}", utf8_percent_encode(part, ESCAPED));
        }
        Url::parse(&text)
            .map_err(|error| HubError::Endpoint { endpoint: self.options.endpoint.clone(), source: Some(error) })
    }

    /// Where a person sees the repository.
    fn page(&self) -> String {
        let parts: Vec<_> = self.repo.id.page().collect();
        format!("{}/{}", self.options.endpoint.trim_end_matches('/'), parts.join("/"))
    }

    fn check(&self, response: Response) -> Result<Response, HubError> {
        let status = response.status();
        let error_code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok());
        match status {
            _ if status.is_success() => Ok(response),
            _ if !self.is_the_hubs(response.url()) => Err(self.failed(&response)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(HubError::Denied {
                repo: self.repo.id.clone(),
                is_gated: error_code == Some("GatedRepo"),
                has_token: self.token.is_some(),
                page: self.page(),
            }),
            StatusCode::NOT_FOUND => Err(HubError::NotFound {
                repo: self.repo.id.clone(),
                revision: self.repo.revision.clone(),
                endpoint: self.options.endpoint.clone(),
            }),
            _ => Err(self.failed(&response)),
        }
    }

    fn failed(&self, response: &Response) -> HubError {
        let retry_after = retry::wish(response.headers());
        self.unreachable(Unreachable::Status { host: host(response.url()), status: response.status(), retry_after })
    }

    fn unanswered(&self, url: &Url, error: reqwest::Error) -> HubError {
        // Where large files are, the URL is a key to them.
        self.unreachable(Unreachable::Request { host: host(url), error: error.without_url() })
    }

    /// The error of a repository that this keeps from being fetched.
    pub(super) fn unreachable(&self, reason: Unreachable) -> HubError {
        HubError::unavailable(&self.repo.id, self.options, reason)
    }
}

/// The ETag of what is asked for, rather than of what sends one there; without its quotes and the mark of a weak one.
fn etag(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("x-linked-etag").or_else(|| headers.get(ETAG))?.to_str().ok()?;
    let value = value.strip_prefix("W/").unwrap_or(value).trim_matches('"');
    (!value.is_empty()).then_some(value)
}

fn target(response: &Response, url: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION)?;
    let next = url.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()?;
    is_web(&next).then_some(next)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn unusable(url: &Url, problem: &'static str, source: Option<serde_json::Error>) -> HubError {
    let mut shown = url.clone();
    // Only fails for URLs that cannot have any.
    let _ = (shown.set_username(""), shown.set_password(None));
    HubError::Answer { url: shown.into(), problem, source }
}
