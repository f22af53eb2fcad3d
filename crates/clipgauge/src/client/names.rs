//! The addresses of names, kept for a short while: before the system's resolver, which keeps nothing itself and takes a
//! thread for each question. Tables name hosts many times over, and connections that are idle are soon closed.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;

use crate::generations::Generations;

/// How long addresses are used. The system does not tell how long they are good for; this is less than nearly all are.
const KEPT: Duration = Duration::from_secs(30);

/// How long a failure is: for those that ask at the same moment, not for one that tries again later.
const FAILURE_KEPT: Duration = Duration::from_secs(2);

/// How many names are kept, about.
const MAX_NAMES: usize = 1 << 14;

/// The resolver that all clients share.
pub(super) fn resolver() -> Arc<impl Resolve> {
    static NAMES: LazyLock<Arc<Names<System>>> = LazyLock::new(|| Arc::new(Names::new(System)));
    Arc::clone(&NAMES)
}

/// Who is asked for what is not known.
trait Ask: Clone + Send + Sync + 'static {
    fn ask(&self, name: &str) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

#[derive(Debug, Clone, Copy)]
struct System;

impl Ask for System {
    async fn ask(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// What became of a question.
type Found = Result<Arc<[SocketAddr]>, (io::ErrorKind, Arc<str>)>;

/// A question and its answer, once it is there, with the moment from which it is not used any more.
type Question = Arc<OnceCell<(Found, Instant)>>;

/// The names that were asked for lately.
#[derive(Debug)]
struct Names<A> {
    source: A,
    /// By their hashes, which are small.
    kept: Arc<Mutex<Generations<[u8; 32], Question>>>,
}

impl<A: Ask> Names<A> {
    fn new(source: A) -> Self {
        Self { source, kept: Arc::new(Mutex::new(Generations::new(2 * MAX_NAMES))) }
    }

    /// The addresses of a name. Those who ask for the same at once share an answer.
    async fn find(source: A, question: Question, name: &str) -> Found {
        let ask = || async {
            let found = match source.ask(name).await {
                Ok(addresses) => Ok(addresses.into()),
                Err(error) => Err((error.kind(), error.to_string().into())),
            };
            let kept = if found.is_ok() { KEPT } else { FAILURE_KEPT };
            (found, Instant::now() + kept)
        };
        question.get_or_init(ask).await.0.clone()
    }

    /// Where the answer for a name is or will be.
    fn question(&self, name: &str) -> Question {
        let key = *blake3::hash(name.to_ascii_lowercase().as_bytes()).as_bytes();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |question: &Question| question.get().is_none_or(|(_, until)| Instant::now() < *until);
        if let Some(question) = kept.get(&key).filter(is_good) {
            return question;
        }
        let question = Question::default();
        kept.put(key, Arc::clone(&question), 1);
        question
    }
}

impl<A: Ask> Resolve for Names<A> {
    fn resolve(&self, name: Name) -> Resolving {
        let (source, question) = (self.source.clone(), self.question(name.as_str()));
        Box::pin(async move {
            match Self::find(source, question, name.as_str()).await {
                Ok(addresses) => Ok(Box::new(Vec::from(&*addresses).into_iter()) as Addrs),
                Err((kind, message)) => Err(io::Error::new(kind, message.to_string()).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is asked; knows every name but one.
    #[derive(Debug, Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Ask for Counting {
        async fn ask(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            match name {
                "none.example" => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]),
            }
        }
    }

    async fn resolve(names: &Names<Counting>, name: &str) -> Result<Vec<SocketAddr>, String> {
        let found = names.resolve(name.parse().unwrap()).await;
        found.map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once() {
        let names = Names::new(Counting::default());
        let count = || names.source.0.load(Ordering::SeqCst);
        let local = Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
        let both = tokio::join!(resolve(&names, "a.example"), resolve(&names, "A.example"));
        assert_eq!((both.0, both.1, count()), (local.clone(), local.clone(), 1), "at once");
        assert_eq!((resolve(&names, "a.example").await, count()), (local.clone(), 1), "later");
        assert_eq!((resolve(&names, "b.example").await, count()), (local, 2), "another");
        let failed = tokio::join!(resolve(&names, "none.example"), resolve(&names, "none.example"));
        assert_eq!((failed.0, failed.1, count()), (Err("no such name".into()), Err("no such name".into()), 3));
    }

    #[tokio::test]
    async fn what_is_too_old_is_asked_for_again() {
        let names = Names::new(Counting::default());
        resolve(&names, "a.example").await.unwrap();
        let old = Question::default();
        old.set((Err((io::ErrorKind::NotFound, "old".into())), Instant::now())).unwrap();
        let key = *blake3::hash(b"a.example").as_bytes();
        names.kept.lock().unwrap().put(key, old, 1);
        assert!(resolve(&names, "a.example").await.is_ok());
        assert_eq!(names.source.0.load(Ordering::SeqCst), 2);
    }
}
