//! Why a request failed, from the inside of an error: its outer layers only say "error sending request".

use std::error::Error;
use std::io;

/// The errors below `error`, from the outside in, those that an [`io::Error`] wraps included: its own `source` skips
/// the error that it carries.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => Some(carried as _),
        None => error.source(),
    })
}

/// The first error of type `E` below `error`.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The innermost error, which says most.
#[cfg(feature = "object-store")]
pub(crate) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

/// The innermost cause in words: "Connection refused (os error 111)", "invalid peer certificate: UnknownIssuer".
pub(crate) fn root(error: &reqwest::Error) -> String {
    // Never the outermost: it spells the URL out, which may have a password in it.
    match error.source().and_then(|source| chain(source).last()) {
        Some(cause) => cause.to_string(),
        None => "the request failed".to_owned(),
    }
}

/// Whether the server cannot be trusted or does not speak TLS: trying again would not help.
pub(crate) fn is_untrusted(error: &reqwest::Error) -> bool {
    matches!(
        find::<rustls::Error>(error),
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidMessage(_) | rustls::Error::AlertReceived(_))
    )
}
