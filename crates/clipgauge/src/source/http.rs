//! Images on web servers, fetched with limits of time, bytes and requests, and tried again where that may help.

mod failure;
mod health;
mod limits;
mod opt_out;
mod redirect;
mod room;

use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::client;
use crate::client::retry::Backoff;
use crate::row::RowError;
use crate::source::{FetchOptions, ImageBytes, Source, SourceError, endless, too_large};
use failure::Failure;
use limits::{Limits, Manners, Sign};
use room::{FREE, Room};

/// The most bytes set aside because a server says so; more than that has to arrive first.
const MAX_RESERVED: u64 = 1 << 20;

/// What an HTTP/2 server may send of one body before it is read, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;

/// The source of web addresses.
#[derive(Debug)]
pub struct HttpSource {
    client: Client,
    limits: Limits,
    room: Room,
    backoff: Backoff,
    timeout: Duration,
    connect_timeout: Duration,
    max_bytes: u64,
    /// The name by which opt-outs may call this client; `None` if they do not matter.
    agent: Option<String>,
}

impl HttpSource {
    /// A source with these options, of which each request takes one of the `turns`.
    pub fn new(options: FetchOptions, turns: Arc<Semaphore>) -> Result<Self, SourceError> {
        let mut builder = client::builder(options.connect_timeout)
            .redirect(redirect::policy())
            .pool_max_idle_per_host(options.per_host)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(connection_window(options.concurrency))
            .default_headers(headers(&options.headers)?);
        if let Some(user_agent) = &options.user_agent {
            let value =
                HeaderValue::from_str(user_agent).map_err(|_| SourceError::Header { name: "user-agent".to_owned() })?;
            builder = builder.user_agent(value);
        }
        let agent = opt_out::agent_token(options.user_agent.as_deref().unwrap_or(client::USER_AGENT));
        let manners = Manners {
            per_host: options.per_host,
            interval: options.per_host_interval,
            failures: options.host_failures,
            longest_pause: options.timeout,
        };
        Ok(Self {
            client: builder.build().map_err(SourceError::Client)?,
            limits: Limits::new(turns, manners),
            room: Room::new(options.max_bytes),
            backoff: Backoff { retries: options.retries, delay: options.retry_delay },
            timeout: options.timeout,
            connect_timeout: options.connect_timeout,
            max_bytes: options.max_bytes,
            agent: (!options.ignore_opt_outs).then_some(agent),
        })
    }

    /// One request and its whole body.
    async fn request(&self, url: &Url, time: &mut TimeLeft) -> Result<Body, Failure> {
        let silence = || Failure::of_time(url, self.timeout, Sign::Silent);
        let mut response = time
            .spend(self.client.get(url.clone()).send())
            .await
            .ok_or_else(silence)?
            .map_err(|error| Failure::of_request(&error, url, self.connect_timeout))?;
        if !response.status().is_success() {
            return Err(Failure::of_status(&response, url));
        }
        if let Some(directive) = self.agent.as_ref().and_then(|agent| opt_out::directive(response.headers(), agent)) {
            return Err(Failure::of_opt_out(response.url(), directive));
        }
        // Of a compressed body the length is not known beforehand.
        let announced = response.content_length();
        if let Some(length) = announced.filter(|length| *length > self.max_bytes) {
            return Err(Failure::for_good(too_large(length, self.max_bytes)));
        }
        let mut bytes = Vec::with_capacity(announced.unwrap_or_default().min(MAX_RESERVED) as usize);
        let mut room = None;
        let slowness = || Failure::of_time(url, self.timeout, Sign::Answered);
        while let Some(chunk) = time
            .spend(response.chunk())
            .await
            .ok_or_else(slowness)?
            .map_err(|error| Failure::of_transfer(&error, response.url(), bytes.len()))?
        {
            let length = bytes.len() + chunk.len();
            if length as u64 > self.max_bytes {
                return Err(Failure::for_good(endless(self.max_bytes)));
            }
            if length > FREE && room.is_none() {
                // Not the server's fault: the time stands still.
                room = Some(self.room.take(announced).await);
                bytes.reserve_exact(announced.map_or(0, |announced| announced as usize).saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&chunk);
        }
        // Of an unknown length, up to half of it may be empty.
        bytes.shrink_to_fit();
        Ok(Body { bytes, room })
    }
}

/// A whole body, with the room that it takes beyond what is free.
struct Body {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Source for HttpSource {
    type Place = Url;

    async fn fetch(&self, url: &Url) -> Result<ImageBytes, RowError> {
        let mut time = TimeLeft(self.timeout);
        let mut failed = None;
        let mut retry = 0;
        loop {
            // Taken anew for each try: one that waits to be tried again keeps nobody else waiting.
            let turn = match self.limits.turn(url).await {
                Ok(turn) => turn,
                // What this fetch has met itself says more than what others have.
                Err(down) => return Err(failed.unwrap_or(down)),
            };
            let failure = match self.request(url, &mut time).await {
                Ok(Body { bytes, room }) => {
                    let turn = turn.leave_host(Sign::Answered, "");
                    return Ok(ImageBytes::new(bytes, iter::once(turn).chain(room)));
                }
                Err(failure) => failure,
            };
            drop(turn.leave_host(failure.sign, &failure.error.message));
            let Some(wait) = self.backoff.wait(retry, failure.retry, time.0) else {
                return Err(failure.error);
            };
            tracing::debug!(host = url.host_str(), error = %failure.error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
            time.0 = time.0.saturating_sub(wait);
            failed = Some(failure.error);
            retry += 1;
        }
    }
}

/// What is left of the time that a fetch may take. Only what the server is responsible for counts.
struct TimeLeft(Duration);

impl TimeLeft {
    /// Does some work; `None` if the time is over before it is done.
    async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let done = tokio::time::timeout(self.0, work).await;
        self.0 = self.0.saturating_sub(start.elapsed());
        done.ok()
    }
}

/// What an HTTP/2 server may send of all bodies of a connection: so much that bodies which wait for room cannot keep those
/// that have it from being read.
fn connection_window(concurrency: usize) -> u32 {
    // The protocol's limit.
    const MOST: u32 = (1 << 31) - 1;
    u32::try_from(concurrency).unwrap_or(MOST).saturating_mul(STREAM_WINDOW).min(MOST)
}

fn headers(lines: &[(String, String)]) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let refused = || SourceError::Header { name: name.clone() };
        let header = name.parse::<HeaderName>().map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        // It may be a key: kept out of logs.
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}
