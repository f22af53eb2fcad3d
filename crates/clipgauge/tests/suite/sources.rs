//! Fetching images: what well- and ill-behaved files and servers come to.

use std::fmt::Debug;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use clipgauge::address::Address;
use clipgauge::row::{RowError, RowErrorKind};
use clipgauge::source::{FetchOptions, ImageBytes, SourceError, Sources};
use clipgauge_testing::{Reply, Server};

/// Long enough for any test to end before it, short enough to end one that hangs.
const FOREVER: Duration = Duration::from_secs(30);

/// Short enough to wait for, and long enough for a busy machine to begin.
const SHORT: Duration = Duration::from_millis(1500);

const MAX_BYTES: u64 = 1000;

fn options() -> FetchOptions {
    FetchOptions {
        timeout: FOREVER,
        connect_timeout: FOREVER,
        retry_delay: Duration::from_millis(10),
        max_bytes: MAX_BYTES,
        ..FetchOptions::default()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}

fn fetch(options: FetchOptions, cell: &str) -> Result<Vec<u8>, RowError> {
    let address = Address::parse(cell, Path::new("."))?;
    let sources = Sources::new(options).unwrap();
    run(sources.fetch(&address)).map(|bytes| bytes.release().to_vec())
}

#[track_caller]
fn assert_error(name: &str, found: Result<impl Debug, RowError>, kind: RowErrorKind, part_of_the_message: &str) {
    let error = found.expect_err(name);
    assert_eq!(error.kind, kind, "{name}: {error}");
    assert!(error.message.contains(part_of_the_message), "{name}: {error}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn servers_that_deliver() {
    let png = b"\x89PNG".repeat(100);
    let ok = || Reply::ok(png.clone());
    let gzipped = || Reply::ok(gzip(&png)).header("content-encoding", "gzip");
    let busy = || Reply::status(503);
    let now = httpdate::fmt_http_date(SystemTime::now());
    // What the server does, and how many requests that takes.
    let cases = [
        ("at once", vec![ok()], 1),
        ("without a length", vec![ok().without_length()], 1),
        ("slowly", vec![ok().trickle(100, Duration::from_millis(20))], 1),
        ("compressed", vec![gzipped()], 1),
        ("as HTML, which is for the decoder to see", vec![ok().header("content-type", "text/html")], 1),
        ("after 503 twice", vec![busy(), busy(), ok()], 3),
        ("after 429 and a wait", vec![Reply::status(429).header("retry-after", "0"), ok()], 2),
        ("after 503 and a date", vec![busy().header("retry-after", now), ok()], 2),
        ("after 408", vec![Reply::status(408), ok()], 2),
        ("after a transfer that broke off", vec![ok().cut_after(100), ok()], 2),
        ("after a compressed transfer that broke off", vec![gzipped().without_length().cut_after(15), ok()], 2),
    ];
    for (name, replies, requests) in cases {
        let server = Server::start();
        server.script("/1.png", replies);
        assert_eq!(fetch(options(), &server.url("/1.png")).expect(name), png, "{name}");
        assert_eq!(server.count("/1.png"), requests, "{name}");
    }
}

#[test]
fn bodies_without_a_byte_are_for_the_decoder_to_refuse() {
    for (name, reply) in [("empty", Reply::ok("")), ("204", Reply::status(204))] {
        let server = Server::start();
        server.on("/", reply);
        assert_eq!(fetch(options(), &server.url("/")).expect(name), b"", "{name}");
    }
}

#[test]
fn servers_that_fail() {
    use RowErrorKind::{HttpStatus, Network, NotFound, Timeout, TooLarge};
    let exact = || Reply::ok(vec![0; MAX_BYTES as usize]);
    let impatient = FetchOptions { timeout: SHORT, ..options() };
    let once = FetchOptions { retries: 1, ..options() };
    let pause = Duration::from_millis(50);
    // With which options, what the server does, how many requests that takes, and what it comes to.
    let cases = [
        ("404", options(), Reply::status(404), 1, NotFound, "answers 404 Not Found"),
        ("410", options(), Reply::status(410), 1, NotFound, "answers 410 Gone"),
        ("403", options(), Reply::status(403), 1, HttpStatus, "answers 403 Forbidden"),
        ("304", options(), Reply::status(304), 1, HttpStatus, "answers 304"),
        ("302 to nowhere", options(), Reply::status(302), 1, HttpStatus, "answers 302"),
        ("503 for ever", options(), Reply::status(503), 4, HttpStatus, "answers 503 Service Unavailable"),
        ("no retry wanted", FetchOptions { retries: 0, ..options() }, Reply::status(503), 1, HttpStatus, "503"),
        (
            "a wait that is too long",
            options(),
            Reply::status(429).header("retry-after", "3600"),
            1,
            HttpStatus,
            "answers 429 Too Many Requests",
        ),
        ("a body that breaks off", once.clone(), exact().cut_after(10), 2, Network, "broke off after 10 bytes"),
        ("a length that is too long", once.clone(), Reply::ok("abc").claim_length(4), 2, Network, "broke off after 3"),
        ("no answer", impatient.clone(), Reply::stall(), 1, Timeout, "within 1.5s"),
        ("a slow body", impatient, exact().trickle(1, pause), 1, Timeout, "within 1.5s"),
        (
            "waits that take all the time",
            FetchOptions { timeout: Duration::from_secs(30), ..options() },
            Reply::status(503).header("retry-after", "31"),
            1,
            HttpStatus,
            "503",
        ),
        (
            "a length over the limit",
            options(),
            Reply::ok("").claim_length(MAX_BYTES + 1),
            1,
            TooLarge,
            "1001 bytes, more than the 1000",
        ),
        (
            "a body over the limit",
            options(),
            Reply::ok(vec![0; MAX_BYTES as usize + 1]).without_length(),
            1,
            TooLarge,
            "more than the 1000",
        ),
        ("an endless body", options(), Reply::endless(), 1, TooLarge, "more than the 1000"),
        (
            "a compressed body that unfolds",
            options(),
            Reply::ok(gzip(&vec![0; 100_000])).header("content-encoding", "gzip"),
            1,
            TooLarge,
            "more than the 1000",
        ),
    ];
    for (name, options, reply, requests, kind, message) in cases {
        let server = Server::start();
        server.on("/1.png", reply);
        assert_error(name, fetch(options, &server.url("/1.png")), kind, message);
        assert_eq!(server.count("/1.png"), requests, "{name}");
    }
}

#[test]
fn a_length_that_is_too_short_cuts_the_body() {
    let server = Server::start();
    server.on("/", Reply::ok("abcd").claim_length(3));
    assert_eq!(fetch(options(), &server.url("/")).unwrap(), b"abc");
}

#[test]
fn exactly_the_limit_is_allowed() {
    let server = Server::start();
    let body = vec![7; MAX_BYTES as usize];
    server.on("/said", Reply::ok(body.clone()));
    server.on("/unsaid", Reply::ok(body.clone()).without_length());
    assert_eq!(fetch(options(), &server.url("/said")).unwrap(), body);
    assert_eq!(fetch(options(), &server.url("/unsaid")).unwrap(), body);
}

#[test]
fn redirects() {
    let server = Server::start();
    server.on("/1.png", Reply::ok("picture"));
    server.on("/relative", Reply::redirect("1.png"));
    server.on("/absolute", Reply::redirect(server.url("/relative")));
    server.on("/loop", Reply::redirect("/pool"));
    server.on("/pool", Reply::redirect("/loop"));
    server.on("/ftp", Reply::redirect("ftp://example.com/1.png"));
    server.on("/file", Reply::redirect("file:///etc/passwd"));
    for n in 0..12 {
        server.on(&format!("/far/{n}"), Reply::redirect(format!("/far/{}", n + 1)));
    }
    server.on("/far/12", Reply::ok("picture"));

    for path in ["/relative", "/absolute", "/far/2"] {
        assert_eq!(fetch(options(), &server.url(path)).expect(path), b"picture", "{path}");
    }
    server.forget();
    let cases = [
        ("/loop", "redirects in a loop"),
        ("/far/1", "redirects more than 10 times"),
        ("/ftp", "redirects to a `ftp:` address"),
        ("/file", "answers 302 Found, without a web address to go to"),
    ];
    for (path, message) in cases {
        assert_error(path, fetch(options(), &server.url(path)), RowErrorKind::HttpStatus, message);
    }
    assert_eq!(server.requests().len(), 11 + 11 + 1 + 1, "each is tried once");
}

#[test]
fn hosts_that_cannot_be_reached() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = Server::start();
    let refused = fetch(options(), &format!("http://user:secret@{free}/?token=secret"));
    assert_error("nobody listens", refused.clone(), RowErrorKind::Network, &format!("no connection to `{free}`: "));
    assert!(!refused.unwrap_err().message.contains("secret"));

    let options = FetchOptions { connect_timeout: SHORT, retries: 0, ..options() };
    let unanswered = fetch(options.clone(), &format!("https://{}/", silent.local_addr().unwrap()));
    assert_error("TLS is not answered", unanswered, RowErrorKind::Timeout, "within 1.5s");

    let plain = fetch(options, &format!("https://{}/", plain.address()));
    assert_error("not TLS", plain, RowErrorKind::Network, "no connection to `127.0.0.1:");
}

#[test]
fn what_is_sent() {
    let [first, second] = [Server::start(), Server::start()];
    first.on("/a", Reply::redirect("/b"));
    first.on("/b", Reply::redirect(second.url("/c")));
    second.on("/c", Reply::ok("picture"));
    let headers = [("Authorization", "Bearer secret"), ("Cookie", "secret"), ("X-Purpose", "test")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = FetchOptions { headers: headers.to_vec(), ..options() };
    fetch(options, &first.url("/a")).unwrap();

    for request in first.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"), "{request:?}");
        assert_eq!(request.header("cookie"), Some("secret"), "{request:?}");
    }
    let [elsewhere] = second.requests().try_into().unwrap();
    assert_eq!((elsewhere.header("authorization"), elsewhere.header("cookie")), (None, None), "not for another host");
    assert_eq!(elsewhere.header("x-purpose"), Some("test"));
    assert_eq!(elsewhere.header("accept"), Some("*/*"), "else some servers convert their pictures");
    let agent = elsewhere.header("user-agent").unwrap();
    assert!(agent.starts_with("clipgauge/") && agent.contains("https://"), "{agent}");
}

#[test]
fn the_password_of_a_url_is_used_and_not_told() {
    let server = Server::start();
    server.on("/", Reply::status(401));
    let url = format!("http://user:secret@{}/", server.address());
    let error = fetch(options(), &url).unwrap_err();
    assert!(!error.message.contains("secret"), "{error}");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
}

#[test]
fn user_agent_can_be_chosen() {
    let server = Server::start();
    server.on("/", Reply::ok("picture"));
    fetch(FetchOptions { user_agent: Some("mine/1".into()), ..options() }, &server.url("/")).unwrap();
    assert_eq!(server.requests()[0].header("user-agent"), Some("mine/1"));
}

#[test]
fn opt_outs_are_heeded_unless_they_are_not_to_be() {
    let server = Server::start();
    let tagged =
        |tags: &[&str]| tags.iter().fold(Reply::ok("picture"), |reply, tag| reply.header("X-Robots-Tag", *tag));
    let as_other = FetchOptions { user_agent: Some("Other/1.0 (bot)".into()), ..options() };
    let anyway = FetchOptions { ignore_opt_outs: true, ..options() };
    // With which options, what the server says, and the directive that forbids the picture.
    let cases = [
        ("nothing", options(), tagged(&[]), None),
        ("other directives", options(), tagged(&["nofollow, noarchive"]), None),
        ("one of several headers", options(), tagged(&["nofollow", "all, NOAI"]), Some("noai")),
        ("for us", options(), tagged(&["clipgauge: noimageai"]), Some("noimageai")),
        ("for another", options(), tagged(&["other: noindex"]), None),
        ("for the name that is sent", as_other.clone(), tagged(&["other: noindex"]), Some("noindex")),
        ("for the name that is not sent", as_other, tagged(&["clipgauge: noindex"]), None),
        ("heeded by nobody", anyway, tagged(&["noindex, noimageindex"]), None),
        // Would be a time-out if the body were waited for.
        ("without the body", options(), tagged(&["noimageindex"]).claim_length(1000), Some("noimageindex")),
        ("endless", options(), Reply::endless().header("x-robots-tag", "noindex"), Some("noindex")),
    ];
    for (name, options, reply, directive) in cases {
        server.on("/", reply);
        server.forget();
        let found = fetch(options, &server.url("/"));
        match directive {
            Some(directive) => {
                assert_error(name, found, RowErrorKind::OptedOut, &format!("asks with `X-Robots-Tag: {directive}`"));
            }
            None => assert_eq!(found.expect(name), b"picture", "{name}"),
        }
        assert_eq!(server.count("/"), 1, "{name}");
    }
}

#[test]
fn an_opt_out_counts_where_the_picture_is() {
    let server = Server::start();
    server.on("/moved", Reply::redirect("/1.png").header("x-robots-tag", "noai"));
    server.on("/1.png", Reply::ok("picture"));
    server.on("/away", Reply::redirect("/2.png"));
    server.on("/2.png", Reply::ok("picture").header("x-robots-tag", "noai"));
    server.on("/gone", Reply::status(404).header("x-robots-tag", "noai"));
    assert_eq!(fetch(options(), &server.url("/moved")).unwrap(), b"picture");
    assert_error("away", fetch(options(), &server.url("/away")), RowErrorKind::OptedOut, "noai");
    assert_error("gone", fetch(options(), &server.url("/gone")), RowErrorKind::NotFound, "404");
}

#[test]
fn options_that_cannot_be_used() {
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let cases = [
        ("name", FetchOptions { headers: header("a b", "c"), ..options() }, "the header `a b`"),
        ("value", FetchOptions { headers: header("key", "se\ncret"), ..options() }, "the header `key`"),
        ("agent", FetchOptions { user_agent: Some("a\nb".into()), ..options() }, "the header `user-agent`"),
        ("no fetch", FetchOptions { concurrency: 0, ..options() }, "`concurrency` is 0"),
        ("no request", FetchOptions { per_host: 0, ..options() }, "`per_host` is 0"),
    ];
    for (name, options, part) in cases {
        let error: SourceError = Sources::new(options).expect_err(name);
        let message = error.to_string();
        assert!(message.contains(part) && !message.contains("cret"), "{name}: {message}");
    }
}

/// A server that takes a while for each answer, and the most requests that it ever had at once.
fn slow_server(pause: Duration) -> (Server, Arc<AtomicUsize>) {
    let most = Arc::<AtomicUsize>::default();
    let (under_way, most_of_handler) = (AtomicUsize::new(0), Arc::clone(&most));
    let server = Server::with(move |_| {
        let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
        most_of_handler.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(pause);
        under_way.fetch_sub(1, Ordering::SeqCst);
        Reply::ok("picture")
    });
    (server, most)
}

#[test]
fn limits_of_fetches_under_way() {
    // Long enough that a busy machine does not make one fetch as slow as five.
    let pause = Duration::from_millis(300);
    // Overall, for a host, and what should be seen of one host.
    for (concurrency, per_host, expected) in [(3, 100, 3), (100, 2, 2)] {
        let (server, most) = slow_server(pause);
        // Less than all of them take: waiting for one's turn does not count.
        let options = FetchOptions { concurrency, per_host, timeout: pause * 5, retries: 0, ..options() };
        let sources = Arc::new(Sources::new(options).unwrap());
        run(async {
            let tasks: Vec<_> = (0..18)
                .map(|number| {
                    let address = Address::parse(&server.url(&format!("/{number}")), Path::new(".")).unwrap();
                    let sources = Arc::clone(&sources);
                    // Released at once: bytes that are kept keep their turn.
                    tokio::spawn(async move { sources.fetch(&address).await.map(ImageBytes::release) })
                })
                .collect();
            for task in tasks {
                assert_eq!(*task.await.unwrap().unwrap(), *b"picture");
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), expected);
    }
}

#[test]
fn a_slow_host_does_not_hold_up_another() {
    let [slow, quick] = [Server::with(|_| Reply::stall()), Server::with(|_| Reply::ok("picture"))];
    let options = FetchOptions { concurrency: 3, per_host: 2, ..options() };
    let sources = Arc::new(Sources::new(options).unwrap());
    let address = |server: &Server, number| Address::parse(&server.url(&format!("/{number}")), Path::new(".")).unwrap();
    run(async {
        let stuck: Vec<_> = (0..10)
            .map(|number| {
                let (sources, slow) = (Arc::clone(&sources), address(&slow, number));
                tokio::spawn(async move { sources.fetch(&slow).await })
            })
            .collect();
        for number in 0..10 {
            let quick = address(&quick, number);
            let fetch = sources.fetch(&quick);
            assert_eq!(*tokio::time::timeout(FOREVER, fetch).await.expect("held up").unwrap(), *b"picture");
        }
        stuck.iter().for_each(|task| task.abort());
    });
}

#[cfg(unix)]
#[test]
fn files() {
    use RowErrorKind::{BadAddress, NotFound, TooLarge};
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, size: u64| std::fs::write(folder.path().join(name), vec![b'x'; size as usize]).unwrap();
    write("small.jpg", 3);
    write("a b%.jpg", 3);
    write("exact.jpg", MAX_BYTES);
    write("large.jpg", MAX_BYTES + 1);
    write("empty.jpg", 0);
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::os::unix::fs::symlink("small.jpg", folder.path().join("link.jpg")).unwrap();
    let url = format!("file://{}/a%20b%25.jpg", folder.path().display());
    let long = "x".repeat(5000);

    let cases = [
        ("small", "small.jpg", Ok(3)),
        ("linked", "link.jpg", Ok(3)),
        ("by URL", &url, Ok(3)),
        ("exactly the limit", "exact.jpg", Ok(MAX_BYTES as usize)),
        ("empty", "empty.jpg", Ok(0)),
        ("too large", "large.jpg", Err((TooLarge, "1001 bytes, more than the 1000"))),
        ("missing", "missing.jpg", Err((NotFound, "there is no file `"))),
        ("below a file", "small.jpg/1.jpg", Err((NotFound, "there is no file `"))),
        ("folder", ".", Err((BadAddress, "is a folder"))),
        ("pipe", "fifo", Err((BadAddress, "a device, a pipe or a socket"))),
        ("device", "/dev/zero", Err((BadAddress, "`/dev/zero` is a device"))),
        ("a name that is too long", &long, Err((BadAddress, "cannot be a file's name"))),
    ];
    let sources = Sources::new(options()).unwrap();
    for (name, cell, expected) in cases {
        let address = Address::parse(cell, folder.path()).unwrap();
        let found = run(async { tokio::time::timeout(FOREVER, sources.fetch(&address)).await.expect(name) });
        match expected {
            Ok(size) => assert_eq!(found.expect(name).len(), size, "{name}"),
            Err((kind, message)) => {
                assert!(found.as_ref().is_err_and(|error| error.message.len() < 500), "{name}");
                assert_error(name, found, kind, message);
            }
        }
    }
}

#[cfg(target_os = "linux")]
/// A tar with one member of each kind, and with names in the forms that tars have.
fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header
    };
    let long = format!("{}.jpg", "long".repeat(60));
    let files = [
        ("1.jpg", "first"),
        ("./a/2.jpg", "second"),
        (&long, "long"),
        ("large.jpg", &"x".repeat(1001)),
        ("1.jpg", "again"),
    ];
    for (name, data) in files {
        tar.append_data(&mut header(tar::EntryType::Regular, data.len() as u64), name, data.as_bytes()).unwrap();
    }
    tar.append_data(&mut header(tar::EntryType::Directory, 0), "folder/", &[][..]).unwrap();
    tar.append_link(&mut header(tar::EntryType::Symlink, 0), "link.jpg", "/etc/passwd").unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn files_in_tars() {
    use RowErrorKind::{BadAddress, Corrupt, NotFound, TooLarge};
    let folder = tempfile::tempdir().unwrap();
    let tar = tar();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("0.tar", &tar);
    // Within the header of the second of its files.
    write("cut.tar", &tar[..512 * 2 + 100]);
    write("no.tar", b"no tar at all".repeat(100).as_slice());
    write("0.tar.gz", &gzip(&tar));
    std::fs::create_dir(folder.path().join("folder.tar")).unwrap();
    write("folder.tar/1.jpg", b"in a folder");
    let long = format!("0.tar/{}.jpg", "long".repeat(60));
    let cases = [
        ("in a folder", "0.tar/a/2.jpg", Ok("second")),
        ("the last of one name", "0.tar/1.jpg", Ok("again")),
        ("as fsspec writes it", "tar://a/2.jpg::0.tar", Ok("second")),
        ("long name", &long, Ok("long")),
        ("a folder that is called like a tar", "folder.tar/1.jpg", Ok("in a folder")),
        ("before the damage", "cut.tar/1.jpg", Ok("first")),
        ("behind the damage", "cut.tar/large.jpg", Err((Corrupt, "is damaged: it ends within a member"))),
        ("in the damage", "cut.tar/a/2.jpg", Err((Corrupt, "is damaged: it ends within a member"))),
        ("no tar", "no.tar/1.jpg", Err((Corrupt, "is damaged"))),
        ("not in it", "0.tar/3.jpg", Err((NotFound, "there is no file `3.jpg` in"))),
        ("outside of it", "0.tar/../1.jpg", Err((NotFound, "there is no file `../1.jpg` in"))),
        ("no such tar", "1.tar/1.jpg", Err((NotFound, "there is no file"))),
        ("compressed", "0.tar.gz/1.jpg", Err((NotFound, "there is no file"))),
        ("folder", "0.tar/folder", Err((BadAddress, "`folder` in"))),
        ("link", "0.tar/link.jpg", Err((BadAddress, "is not a whole file"))),
        ("too large", "0.tar/large.jpg", Err((TooLarge, "1001 bytes"))),
    ];
    let sources = Sources::new(options()).unwrap();
    for (name, cell, expected) in cases {
        let found = run(sources.fetch(&Address::parse(cell, folder.path()).unwrap()));
        match expected {
            Ok(bytes) => {
                assert_eq!(&*found.unwrap_or_else(|error| panic!("{name}: {error}")), bytes.as_bytes(), "{name}")
            }
            Err((kind, part)) => assert_error(name, found, kind, part),
        }
    }
}

#[test]
fn files_without_a_size_are_limited_too() {
    let sources = Sources::new(FetchOptions { max_bytes: 10, ..options() }).unwrap();
    let found = run(sources.fetch(&Address::File("/proc/self/maps".into())));
    assert_error("no size", found, RowErrorKind::TooLarge, "more than the 10 bytes");
}

#[test]
fn a_host_that_answers_with_errors_is_not_down() {
    let server = Server::start();
    server.on("/broken", Reply::status(500));
    server.on("/1.png", Reply::ok("picture"));
    let options = FetchOptions { host_failures: 1, retries: 0, ..options() };
    let sources = Sources::new(options).unwrap();
    run(async {
        let [broken, whole] =
            ["/broken", "/1.png"].map(|path| Address::parse(&server.url(path), ".".as_ref()).unwrap());
        for _ in 0..30 {
            assert_eq!(sources.fetch(&broken).await.unwrap_err().kind, RowErrorKind::HttpStatus);
        }
        assert_eq!(*sources.fetch(&whole).await.unwrap(), *b"picture");
    });
}

/// Fetches these paths all at once and says what became of each.
fn fetch_all(sources: Sources, server: &Server, paths: &[String]) -> Vec<Result<Vec<u8>, RowError>> {
    let sources = Arc::new(sources);
    run(async {
        let tasks: Vec<_> = paths
            .iter()
            .map(|path| {
                let address = Address::parse(&server.url(path), Path::new(".")).unwrap();
                let sources = Arc::clone(&sources);
                tokio::spawn(async move { sources.fetch(&address).await.map(|bytes| bytes.to_vec()) })
            })
            .collect();
        let mut found = Vec::new();
        for task in tasks {
            found.push(task.await.unwrap());
        }
        found
    })
}

/// A server that notes when each request came.
fn noting_server(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<Instant>>>) {
    let times = Arc::<Mutex<Vec<Instant>>>::default();
    let noted = Arc::clone(&times);
    let server = Server::with(move |_| {
        let mut noted = noted.lock().unwrap();
        noted.push(Instant::now());
        reply(noted.len() - 1)
    });
    (server, times)
}

#[test]
fn requests_to_a_host_keep_their_distance() {
    let (server, times) = noting_server(|_| Reply::ok("picture"));
    let interval = Duration::from_millis(100);
    let paths: Vec<_> = (0..8).map(|number| format!("/{number}")).collect();
    let sources = Sources::new(FetchOptions { per_host_interval: interval, ..options() }).unwrap();
    assert!(fetch_all(sources, &server, &paths).iter().all(Result::is_ok));
    let times = times.lock().unwrap();
    // From the first to the last, as one of them may take longer to arrive than the next.
    let whole = *times.last().unwrap() - times[0];
    assert!(whole >= interval * 6, "{whole:?} from the first of 8 to the last");
}

#[test]
fn a_host_that_asks_for_a_pause_gets_it_from_all_its_rows() {
    for status in [429, 503] {
        let (server, times) = noting_server(move |number| match number {
            0 => Reply::status(status).header("retry-after", "1"),
            _ => Reply::ok("picture"),
        });
        let paths: Vec<_> = (0..6).map(|number| format!("/{number}")).collect();
        let sources = Sources::new(FetchOptions { per_host: 1, ..options() }).unwrap();
        assert!(fetch_all(sources, &server, &paths).iter().all(Result::is_ok), "{status}");
        let times = times.lock().unwrap();
        assert_eq!(times.len(), 7, "{status}");
        assert!(times[1..].iter().all(|time| *time - times[0] >= Duration::from_secs(1)), "{status}: {times:?}");
    }
}

#[test]
fn large_bodies_wait_for_room_and_all_arrive() {
    // Each may take all the room there is, so that one is read at a time beyond its first bytes.
    let size = 3 << 20;
    let max_bytes = 300 << 20;
    for (name, reply) in [
        ("announced", Reply::ok(vec![7; size])),
        ("not announced", Reply::ok(vec![7; size]).without_length()),
        ("compressed", Reply::ok(gzip(&vec![7; size])).header("content-encoding", "gzip")),
        ("one that breaks off", Reply::ok(vec![7; size]).cut_after(size - 1)),
    ] {
        let server = Server::start();
        let paths: Vec<_> = (0..12).map(|number| format!("/{number}")).collect();
        paths.iter().for_each(|path| server.script(path, [reply.clone(), Reply::ok(vec![7; size])]));
        let sources = Sources::new(FetchOptions { max_bytes, ..options() }).unwrap();
        let found = fetch_all(sources, &server, &paths);
        assert!(found.iter().all(|bytes| bytes.as_ref().is_ok_and(|bytes| *bytes == vec![7; size])), "{name}");
    }
}

#[test]
fn waiting_for_room_takes_nothing_of_the_time() {
    let server = Server::start();
    let large = vec![7; 3 << 20];
    server.on("/", Reply::ok(large.clone()).without_length());
    let options = FetchOptions { max_bytes: 300 << 20, timeout: Duration::from_secs(2), retries: 0, ..options() };
    let sources = Arc::new(Sources::new(options).unwrap());
    run(async {
        let address = |query| Address::parse(&server.url(query), Path::new(".")).unwrap();
        // As long as it is not released, it has the room.
        server.on("/?first", Reply::ok(large.clone()).without_length());
        let first = sources.fetch(&address("/?first")).await.unwrap();
        let (waiting, address) = (Arc::clone(&sources), address("/"));
        let second = tokio::spawn(async move { waiting.fetch(&address).await.map(ImageBytes::release) });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), large);
    });
}
