//! The HTTP client under the stores' own: ours, with the certificates, proxies and name that images from the web are
//! fetched with. What a store answered can be looked at, which the stores' errors do not tell.

use std::cell::RefCell;
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::{Client, StatusCode};

use crate::client::retry;

/// The most bytes of an answer without success that are read. Stores say in a few hundred what is wrong.
const MAX_EXPLANATION: usize = 16 << 10;

/// What a store answered in place of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Its own name for what is wrong: `NoSuchKey`.
    pub(crate) code: Option<String>,
    /// The wait that it asks for.
    pub(crate) wish: Option<Duration>,
    /// The region that the bucket is in, where it says that this is another.
    pub(crate) region: Option<String>,
}

tokio::task_local! {
    static ANSWER: RefCell<Option<Answer>>;
}

/// Does `work` with a store, and gives the last answer without success beside its result.
pub(super) async fn noting_answers<T>(work: impl Future<Output = T>) -> (T, Option<Answer>) {
    ANSWER.scope(RefCell::default(), async { (work.await, ANSWER.with(RefCell::take)) }).await
}

/// Gives every store the same client, so that all share its connections.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[derive(Debug)]
struct Service(Client);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.call(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = explanation(body).await?;
        let region = parts.headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        let answer = Answer {
            status: parts.status,
            code: code(&String::from_utf8_lossy(&body)),
            wish: retry::wish(&parts.headers),
            region: region.map(str::to_owned),
        };
        // Nobody may be interested.
        let _ = ANSWER.try_with(|noted| noted.replace(Some(answer)));
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

/// The beginning of what a store says is wrong.
async fn explanation(body: HttpResponseBody) -> Result<Vec<u8>, HttpError> {
    use futures_util::StreamExt;

    let (mut chunks, mut bytes) = (body.bytes_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > MAX_EXPLANATION {
            bytes.truncate(MAX_EXPLANATION);
            break;
        }
    }
    Ok(bytes)
}

/// What a store calls the error: `<Code>` in the XML of S3, Google and Azure.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| code.to_owned())
}

/// Whether no answer came at all, rather than one that is of no use.
pub(super) fn is_of_transport(error: &HttpError) -> bool {
    matches!(
        error.kind(),
        HttpErrorKind::Connect | HttpErrorKind::Request | HttpErrorKind::Timeout | HttpErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let cases = [
            ("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>", Some("NoSuchKey")),
            ("<Code></Code>", Some("")),
            ("<Code>a b</Code>", None),
            ("<Code>NoSuch", None),
            ("{\"error\": 404}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text).as_deref(), expected, "{text}");
        }
    }
}
