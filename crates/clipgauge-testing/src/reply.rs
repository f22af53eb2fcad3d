//! What a server answers, and how it misbehaves while it does.

use std::io::{self, Write};
use std::time::Duration;

/// How often a server that holds a connection looks whether it may let go.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// An answer: by default well-behaved, with its length in a header and the whole body.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Length,
    manner: Manner,
}

#[derive(Debug, Clone)]
enum Length {
    True,
    Claimed(u64),
    Unsaid,
}

#[derive(Debug, Clone)]
enum Manner {
    Whole,
    CutAfter(usize),
    Trickle { piece: usize, pause: Duration },
    Stall,
    Endless,
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    /// 206 with this body.
    pub fn part(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(206) }
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: Length::True, manner: Manner::Whole }
    }

    /// 302 to a place, absolute or relative.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::status(302).header("location", to)
    }

    /// No answer, on a connection that stays open.
    pub fn stall() -> Self {
        Self { manner: Manner::Stall, ..Self::status(200) }
    }

    /// 200 with a body that never ends and has no length.
    pub fn endless() -> Self {
        Self { length: Length::Unsaid, manner: Manner::Endless, ..Self::status(200) }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a `Content-Length` that may be a lie.
    #[must_use]
    pub fn claim_length(mut self, length: u64) -> Self {
        self.length = Length::Claimed(length);
        self
    }

    /// Without a `Content-Length`: the body ends where the connection does.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.length = Length::Unsaid;
        self
    }

    /// Closes the connection after so many bytes of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.manner = Manner::CutAfter(bytes);
        self
    }

    /// Sends the body in pieces of so many bytes with a pause before each.
    #[must_use]
    pub fn trickle(mut self, piece: usize, pause: Duration) -> Self {
        self.manner = Manner::Trickle { piece, pause };
        self
    }

    /// Writes it; `may_go_on` says whether somebody still listens and the server still runs.
    pub(crate) fn write(
        &self,
        mut stream: impl Write,
        head_only: bool,
        may_go_on: impl Fn() -> bool,
    ) -> io::Result<()> {
        if let Manner::Stall = self.manner {
            while may_go_on() {
                std::thread::sleep(TICK);
            }
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} {}\r\nconnection: close\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.length {
            Length::True => head += &format!("content-length: {}\r\n", self.body.len()),
            Length::Claimed(length) => head += &format!("content-length: {length}\r\n"),
            Length::Unsaid => {}
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if head_only {
            return Ok(());
        }
        match self.manner {
            Manner::Whole | Manner::Stall => stream.write_all(&self.body),
            Manner::CutAfter(bytes) => stream.write_all(&self.body[..bytes.min(self.body.len())]),
            Manner::Trickle { piece, pause } => {
                for piece in self.body.chunks(piece) {
                    std::thread::sleep(pause);
                    if !may_go_on() {
                        break;
                    }
                    stream.write_all(piece)?;
                }
                Ok(())
            }
            Manner::Endless => {
                while may_go_on() {
                    stream.write_all(&[0; 4096])?;
                }
                Ok(())
            }
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        404 => "Not Found",
        _ => "Something",
    }
}
