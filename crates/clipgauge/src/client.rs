//! The HTTP client that image sources and the hub are built on: TLS, the name it goes by, and the time that a
//! connection may take. What differs between the two (redirects, headers) they add themselves.

pub(crate) mod cause;
mod names;
pub(crate) mod retry;

use std::sync::Arc;
use std::time::Duration;

use reqwest::ClientBuilder;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Names the tool and where to learn about it, so that a server's owner can tell who asks.
pub(crate) const USER_AGENT: &str =
    concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// How long a connection that nobody uses is kept. Short, because a table may name many thousand hosts one after the
/// other, and each connection kept takes a file descriptor.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A builder with what all clients share. Proxies come from the environment, as usual.
pub(crate) fn builder(connect_timeout: Duration) -> ClientBuilder {
    ClientBuilder::new()
        .tls_backend_preconfigured(tls())
        .user_agent(USER_AGENT)
        .dns_resolver(names::resolver())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// TLS by ring, with the system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` included). It is set up here rather
/// than by reqwest, so that no provider has to be installed for the whole process.
fn tls() -> ClientConfig {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions of TLS")
    };
    let mut config = match builder().with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        // A slim container has none. Files and plain http still work there, and https says what it lacks.
        Err(error) => {
            tracing::warn!(%error, "no certificates found: https will fail until SSL_CERT_FILE names some");
            builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
