//! Images on web servers, fetched with limits of time, bytes and requests, and tried again where that may help.

mod failure;
mod opt_out;
mod redirect;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use url::Url;

use crate::client;
use crate::row::RowError;
use crate::source::body::{Arriving, Body};
use crate::source::failure::Failure;
use crate::source::limits::Sign;
use crate::source::room::Room;
use crate::source::tries::{Request, TimeLeft, Tries};
use crate::source::{FetchOptions, ImageBytes, Source, SourceError};

/// What an HTTP/2 server may send of one body before it is read, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;

/// The source of web addresses.
#[derive(Debug)]
pub struct HttpSource {
    client: Client,
    tries: Tries,
    room: Arc<Room>,
    timeout: Duration,
    connect_timeout: Duration,
    max_bytes: u64,
    /// The name by which opt-outs may call this client; `None` if they do not matter.
    agent: Option<String>,
}

impl HttpSource {
    /// A source with these options, of which each request takes one of the `turns`, and large bodies some of the `room`.
    pub(super) fn new(options: &FetchOptions, turns: Arc<Semaphore>, room: Arc<Room>) -> Result<Self, SourceError> {
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
        Ok(Self {
            client: builder.build().map_err(SourceError::Client)?,
            tries: Tries::new(options, turns),
            room,
            timeout: options.timeout,
            connect_timeout: options.connect_timeout,
            max_bytes: options.max_bytes,
            agent: (!options.ignore_opt_outs).then_some(agent),
        })
    }
}

impl Source for HttpSource {
    type Place = Url;

    async fn fetch(&self, url: &Url) -> Result<ImageBytes, RowError> {
        self.fetch_with(url, None).await
    }
}

impl HttpSource {
    /// The same with an `Authorization` for the host of `url` alone.
    pub(super) async fn fetch_with(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<ImageBytes, RowError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        self.tries.fetch(HttpRequest { source: self, url, host, authorization }).await
    }
}

/// A picture that is asked for.
struct HttpRequest<'a> {
    source: &'a HttpSource,
    url: &'a Url,
    /// With its port.
    host: String,
    authorization: Option<&'a HeaderValue>,
}

impl Request for HttpRequest<'_> {
    fn host(&self) -> &str {
        &self.host
    }

    async fn send(&self, time: &mut TimeLeft) -> Result<Body, Failure> {
        let Self { source, url, .. } = *self;
        let too_slow = |sign| move || Failure::of_time(&failure::host(url), source.timeout, sign);
        let mut request = source.client.get(url.clone());
        if let Some(authorization) = self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = time
            .spend(request.send())
            .await
            .ok_or_else(too_slow(Sign::Silent))?
            .map_err(|error| Failure::of_request(&error, url, source.connect_timeout))?;
        if !response.status().is_success() {
            return Err(Failure::of_status(&response, url));
        }
        if let Some(directive) = source.agent.as_ref().and_then(|agent| opt_out::directive(response.headers(), agent)) {
            return Err(Failure::of_opt_out(response.url(), directive));
        }
        // Of a compressed body the length is not known beforehand.
        let mut body = Arriving::begin(&source.room, source.max_bytes, response.content_length())?;
        while let Some(chunk) = time
            .spend(response.chunk())
            .await
            .ok_or_else(too_slow(Sign::Answered))?
            .map_err(|error| Failure::of_transfer(&error, response.url(), body.len()))?
        {
            body.add(&chunk).await?;
        }
        Ok(body.end())
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
