//! The clients of a run: one for each bucket, made when it is first needed and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use reqwest::StatusCode;
use tokio::sync::OnceCell;

use super::client::{ClientError, ClientSettings};
use super::service::{Answer, Connector, is_of_transport, noting_answers};
use super::{ObjectOptions, ObjectUrl};
use crate::client::{self, cause};

/// The most buckets whose clients are kept; beyond it, those that nobody uses are made anew.
const MAX_KEPT: usize = 256;

/// What buckets are reached by.
#[derive(Debug)]
pub(crate) struct Stores {
    settings: ClientSettings,
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// What is known of a bucket.
#[derive(Debug, Clone, Default)]
struct Bucket {
    client: Arc<OnceCell<Arc<dyn ObjectStore>>>,
    /// Where it said that it is, if that is not where it was looked for.
    region: Option<String>,
}

/// How stores are asked by one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    pub(crate) options: ObjectOptions,
    pub(crate) connect_timeout: Duration,
    /// The longest that a server may say nothing; `None` if whoever asks looks at the clock.
    pub(crate) stall_timeout: Option<Duration>,
    /// How often the client itself asks again.
    pub(crate) retries: u32,
    pub(crate) user_agent: Option<String>,
}

impl Stores {
    /// Nothing was asked yet.
    pub(crate) fn new(settings: &StoreSettings) -> reqwest::Result<Self> {
        let mut builder = client::builder(settings.connect_timeout)
            // A signature is good for one place only.
            .redirect(reqwest::redirect::Policy::none())
            // Sizes and ranges are those of objects, not of what is sent.
            .no_gzip();
        if let Some(timeout) = settings.stall_timeout {
            builder = builder.read_timeout(timeout);
        }
        if let Some(user_agent) = &settings.user_agent {
            builder = builder.user_agent(user_agent);
        }
        let retry = RetryConfig { max_retries: settings.retries as usize, ..RetryConfig::default() };
        let connector = Connector(builder.build()?);
        let settings = ClientSettings { connector, retry, anonymous: settings.options.anonymous };
        Ok(Self { settings, buckets: Mutex::default() })
    }

    /// Asks the bucket of `url` for something, in the region that it turns out to be in.
    pub(crate) async fn ask<T, F>(
        &self,
        url: &ObjectUrl,
        ask: impl Fn(Arc<dyn ObjectStore>, Path) -> F,
    ) -> Result<T, AskError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let path = Path::parse(url.key()).map_err(|error| AskError::Unasked(error.into()))?;
        loop {
            let client = self.client(url).await?;
            let error = match noting_answers(ask(client, path.clone())).await {
                (Ok(found), _) => return Ok(found),
                (Err(_), Some(answer)) => {
                    let moved = answer.region.as_deref().filter(|_| is_elsewhere(&answer));
                    if moved.is_some_and(|region| self.look_in(url, region)) {
                        continue;
                    }
                    return Err(AskError::Refused { bucket: url.root(), answer });
                }
                (Err(error), None) => error,
            };
            return Err(match cause::find::<HttpError>(&error) {
                Some(http) if is_of_transport(http) => AskError::Unanswered { bucket: url.root(), source: error },
                _ => AskError::Unasked(error),
            });
        }
    }

    /// The client for the bucket of `url`.
    async fn client(&self, url: &ObjectUrl) -> Result<Arc<dyn ObjectStore>, AskError> {
        let root = url.root();
        let bucket = {
            let mut buckets = self.lock();
            if buckets.len() >= MAX_KEPT && !buckets.contains_key(&root) {
                buckets.retain(|_, bucket| Arc::strong_count(&bucket.client) > 1);
            }
            buckets.entry(root.clone()).or_default().clone()
        };
        let make = || self.settings.client(url, bucket.region.as_deref());
        let made = bucket.client.get_or_try_init(make).await;
        made.cloned().map_err(|source| AskError::NoClient { bucket: root, source })
    }

    /// Looks for the bucket of `url` in this region from now on. False if it has been looked for there already.
    fn look_in(&self, url: &ObjectUrl, region: &str) -> bool {
        let mut buckets = self.lock();
        let bucket = buckets.entry(url.root()).or_default();
        if bucket.region.as_deref() == Some(region) {
            return false;
        }
        tracing::debug!(bucket = url.root(), region, "the bucket is in another region");
        *bucket = Bucket { region: Some(region.to_owned()), ..Bucket::default() };
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        // No panic can leave the map half-changed.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer is that the bucket is in another region: a redirect, or a signature for the wrong one.
fn is_elsewhere(answer: &Answer) -> bool {
    answer.status.is_redirection()
        || (answer.status == StatusCode::BAD_REQUEST && answer.code.as_deref() == Some("AuthorizationHeaderMalformed"))
}

/// Why a bucket does not give what it is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It says something else.
    #[error("`{bucket}` answers {}{}", answer.status, answer.code.as_ref().map_or_else(String::new, |code| format!(" ({code})")))]
    Refused { bucket: String, answer: Answer },
    /// It does not answer.
    #[error("no answer from `{bucket}`: {}", cause::innermost(source))]
    Unanswered { bucket: String, source: object_store::Error },
    /// No client for it can be set up.
    #[error("no client for `{bucket}` can be set up: {}", cause::innermost(source))]
    NoClient { bucket: String, source: ClientError },
    /// It cannot be asked this, or its answer cannot be used.
    #[error("{}", cause::innermost(_0))]
    Unasked(#[source] object_store::Error),
}
