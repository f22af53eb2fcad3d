//! Pictures from a server that speaks HTTP/2: all of its requests share a connection.

use std::fs;

use clipgauge_testing::Http2Server;

use crate::bench::{Bench, Ran, repository};

const IMAGES: usize = 60;

#[test]
fn requests_to_a_host_share_a_connection() {
    let picture = fs::read(repository().join("examples/images/03-1f34e-fluent-flat.png")).expect("readable");
    // Decoders do not mind what comes behind a picture: larger than what may be sent before it is read, so that
    // bodies have to be read beside each other.
    let mut body = picture.clone();
    body.resize(3 << 20, 0);
    let server = Http2Server::start(body);
    let table: String =
        (0..IMAGES).map(|number| format!("{},red apple\n", server.url(&format!("/{number}")))).collect();
    let bench = Bench::new().with("pairs.csv", format!("url,caption\n{table}")).with("ca.pem", server.certificate());
    let run = |certificates: &str| {
        let mut command =
            bench.command("score pairs.csv --model pictoclip --quiet --allow-failures --retries 0".split(' '));
        command.env("SSL_CERT_FILE", bench.path(certificates)).env("NO_PROXY", "*");
        Ran::of(command.output().expect("the command can be run")).expect_code(0)
    };
    let ran = run("ca.pem");
    let scores: Vec<_> = ran.text().lines().skip(1).map(|line| line.rsplit(',').next().expect("a cell")).collect();
    assert_eq!(scores.len(), IMAGES);
    assert!(scores.iter().all(|score| *score == scores[0] && score.parse::<f32>().is_ok()), "{scores:?}");
    let versions: Vec<_> = server.versions().iter().map(|version| format!("{version:?}")).collect();
    assert_eq!(versions, vec!["HTTP/2.0"; IMAGES]);
    // Those that begin before the first connection is there may each make one.
    assert!(server.connections() <= 16, "{}", server.connections());

    // Whom nobody vouches for is not trusted.
    let other = Http2Server::start(picture);
    fs::write(bench.path("other.pem"), other.certificate()).expect("writable");
    let ran = run("other.pem");
    assert!(ran.text().lines().skip(1).all(|line| line.ends_with(',')), "{}", ran.text());
    assert_eq!(server.versions().len(), IMAGES, "no request came through");
}
