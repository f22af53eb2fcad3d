//! Images that are objects in buckets: S3 and what is like it, Google Cloud Storage, Azure. Limits, retries and turns are
//! those of the web; a bucket counts as a host.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use object_store::{GetOptions, GetResult, ObjectStore};
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use crate::client::cause;
use crate::client::retry::Retry;
use crate::objects::{Answer, AskError, ObjectUrl, StoreSettings, Stores};
use crate::row::{RowError, RowErrorKind};
use crate::source::body::{Arriving, Body};
use crate::source::failure::Failure;
use crate::source::limits::Sign;
use crate::source::room::Room;
use crate::source::tries::{Request, TimeLeft, Tries};
use crate::source::{FetchOptions, ImageBytes, Source, SourceError};

/// The source of objects.
#[derive(Debug)]
pub struct ObjectSource {
    stores: Stores,
    tries: Tries,
    room: Arc<Room>,
    timeout: Duration,
    max_bytes: u64,
}

impl ObjectSource {
    /// A source with these options, of which each request takes one of the `turns`, and large bodies some of the `room`.
    pub(super) fn new(options: &FetchOptions, turns: Arc<Semaphore>, room: Arc<Room>) -> Result<Self, SourceError> {
        let settings = StoreSettings {
            options: options.objects,
            connect_timeout: options.connect_timeout,
            stall_timeout: None,
            // Tried again here, where others get the turn meanwhile.
            retries: 0,
            user_agent: options.user_agent.clone(),
        };
        Ok(Self {
            stores: Stores::new(&settings).map_err(SourceError::Client)?,
            tries: Tries::new(options, turns),
            room,
            timeout: options.timeout,
            max_bytes: options.max_bytes,
        })
    }
}

impl Source for ObjectSource {
    type Place = ObjectUrl;

    async fn fetch(&self, url: &ObjectUrl) -> Result<ImageBytes, RowError> {
        self.tries.fetch(ObjectRequest { source: self, url, bucket: url.root() }).await
    }
}

/// A picture that is asked for.
struct ObjectRequest<'a> {
    source: &'a ObjectSource,
    url: &'a ObjectUrl,
    bucket: String,
}

impl Request for ObjectRequest<'_> {
    fn host(&self) -> &str {
        &self.bucket
    }

    async fn send(&self, time: &mut TimeLeft) -> Result<Body, Failure> {
        let source = self.source;
        let too_slow = |sign| move || Failure::of_time(&self.shown(), source.timeout, sign);
        let found = time.spend(self.get()).await.ok_or_else(too_slow(Sign::Silent))??;
        let mut body = Arriving::begin(&source.room, source.max_bytes, Some(found.meta.size))?;
        let mut chunks = found.into_stream();
        while let Some(chunk) = time
            .spend(chunks.next())
            .await
            .ok_or_else(too_slow(Sign::Answered))?
            .transpose()
            .map_err(|error| self.broken_off(&error, body.len()))?
        {
            body.add(&chunk).await?;
        }
        Ok(body.end())
    }
}

impl ObjectRequest<'_> {
    /// The object's head, and its body to come.
    async fn get(&self) -> Result<GetResult, Failure> {
        let ask =
            |client: Arc<dyn ObjectStore>, path| async move { client.get_opts(&path, GetOptions::default()).await };
        self.source.stores.ask(self.url, ask).await.map_err(|error| failure(&error))
    }

    /// The bucket for a person.
    fn shown(&self) -> String {
        format!("`{}`", self.bucket)
    }

    /// The body ended before it was whole.
    fn broken_off(&self, error: &object_store::Error, received: usize) -> Failure {
        let cause = cause::innermost(error);
        let message = format!("the transfer from {} broke off after {received} bytes: {cause}", self.shown());
        Failure::new(RowErrorKind::Network, Retry::Soon, message)
    }
}

/// What comes of an object that cannot be had.
fn failure(error: &AskError) -> Failure {
    let message = error.to_string();
    match error {
        AskError::Refused { answer: Answer { status, wish, .. }, .. } => {
            let kind = match *status {
                StatusCode::NOT_FOUND | StatusCode::GONE => RowErrorKind::NotFound,
                _ => RowErrorKind::HttpStatus,
            };
            let is_pause = matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            let sign = wish.filter(|_| is_pause).map_or(Sign::Answered, Sign::Busy);
            Failure { sign, ..Failure::new(kind, Retry::of_status(*status, *wish), message) }
        }
        AskError::Unanswered { source, .. } => {
            let is_timeout = cause::find::<reqwest::Error>(source).is_some_and(reqwest::Error::is_timeout);
            let kind = if is_timeout { RowErrorKind::Timeout } else { RowErrorKind::Network };
            Failure { sign: Sign::Silent, ..Failure::new(kind, Retry::Soon, message) }
        }
        // Credentials that cannot be used, say: the user may mend it, but not by asking again now.
        AskError::NoClient { .. } | AskError::Unasked(_) => Failure::new(RowErrorKind::Network, Retry::Never, message),
    }
}
