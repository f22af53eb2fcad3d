//! A server that answers each path as a test tells it, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Reply;
use crate::reply::TICK;

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        // A client that speaks TLS starts with this byte, and would never end its line.
        if reader.fill_buf()?.first() == Some(&0x16) {
            return Ok(None);
        }
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let Some((method, rest)) = lines.first().and_then(|line| line.split_once(' ')) else {
            return Ok(None);
        };
        let path = rest.rsplit_once(' ').map_or(rest, |(path, _version)| path);
        let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
        Ok(Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
        }))
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server on a free port of this machine. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    scripts: Arc<Mutex<HashMap<String, VecDeque<Reply>>>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    is_over: AtomicBool,
}

impl Server {
    /// A server that answers 404 until it is told better.
    pub fn start() -> Self {
        let scripts = Arc::<Mutex<HashMap<String, VecDeque<Reply>>>>::default();
        let script = Arc::clone(&scripts);
        let mut server = Self::with(move |request| {
            let mut scripts = script.lock().unwrap();
            match scripts.get_mut(&request.path) {
                // The last one stays.
                Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
                Some(replies) => replies[0].clone(),
                None => Reply::status(404),
            }
        });
        server.scripts = scripts;
        server
    }

    /// A server that answers as a function says.
    pub fn with(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
        let (for_thread, handler) = (Arc::clone(&shared), Arc::<Handler>::from(Box::new(handler) as Box<Handler>));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if for_thread.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (shared, handler) = (Arc::clone(&for_thread), Arc::clone(&handler));
                if let Ok(stream) = stream {
                    // A client that goes away is what many tests are about.
                    thread::spawn(move || drop(shared.answer(stream, &*handler)));
                }
            }
        });
        Self { address, scripts: Arc::default(), shared }
    }

    /// Answers a path like this from now on.
    pub fn on(&self, path: &str, reply: Reply) {
        self.script(path, [reply]);
    }

    /// Answers a path with these, one after the other; the last one stays.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies: VecDeque<_> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a script without replies");
        self.scripts.lock().unwrap().insert(path.to_owned(), replies);
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests for a path there were.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections. If it cannot be reached, it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream, handler: &Handler) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(&stream);
        let Some(request) = Request::read(&mut reader)? else {
            return Reply::status(400).write(&stream, false, || true);
        };
        self.requests.lock().unwrap().push(request.clone());
        let reply = handler(&request);
        stream.set_read_timeout(Some(TICK))?;
        let may_go_on = || !self.is_over.load(Ordering::Relaxed) && !has_gone(&stream);
        reply.write(&stream, request.method == "HEAD", may_go_on)
    }
}

/// Whether the client has closed its side. Reads what it sends meanwhile, for at most a tick.
fn has_gone(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 256]) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}
