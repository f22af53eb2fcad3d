//! A JPEG file's markers, without its picture: size, metadata, and whether everything is there.
//!
//! The rules are those of ITU-T T.81, annex B.

use super::super::{DecodeError, DecodeOptions, allowed};
use super::FORMAT;

/// The number of coefficients in a block.
const COEFFICIENTS: usize = 64;
/// Bits still to come of a coefficient that no scan has had yet.
const UNSEEN: u8 = u8::MAX;

/// What the markers say.
pub(super) struct Structure<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// What follows `Exif\0\0` in the first segment that has it.
    pub(super) exif: Option<&'a [u8]>,
    pub(super) xmp: Option<&'a [u8]>,
    pub(super) ending: Ending,
}

/// How the picture's data end.
pub(super) enum Ending {
    /// With the end marker.
    Marker,
    /// With the file, though nothing is missing that could be told by the markers.
    MarkerMissing {
        /// Where the data end: before bytes that can only be part of a marker.
        end: usize,
    },
}

/// The frame header.
struct Frame {
    width: u32,
    height: u32,
    is_progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// How many blocks of it, across and down, one unit of an interleaved scan has.
    sampling: [u64; 2],
    /// Bits still to come of each coefficient.
    missing_bits: [u8; COEFFICIENTS],
}

/// A scan's header, and what its data have.
struct Scan {
    /// Components, as numbers in the frame.
    components: Vec<usize>,
    restarts: u64,
}

impl<'a> Structure<'a> {
    /// Reads the markers, up to the end of the picture.
    pub(super) fn read(bytes: &'a [u8], options: &DecodeOptions) -> Result<Self, DecodeError> {
        let mut frame: Option<Frame> = None;
        let mut last_scan: Option<Scan> = None;
        let mut restart_interval = 0;
        let (mut exif, mut xmp) = (None, None);
        let mut at = 2;
        let truncated = DecodeError::Truncated { format: FORMAT };
        while let Some((marker, after)) = next_marker(bytes, at) {
            at = after;
            match marker {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => {
                    let Some(frame) = frame.filter(|_| last_scan.is_some()) else {
                        return Err(corrupt("it ends before its picture begins"));
                    };
                    return Ok(Self { width: frame.width, height: frame.height, exif, xmp, ending: Ending::Marker });
                }
                0x02..=0xbf => return Err(corrupt("it has a marker that there is not")),
                _ => {}
            }
            let Some(segment) = segment(bytes, at)? else {
                // Data that are damaged may look like a segment that goes on and on.
                let is_damaged = last_scan.is_some() && bytes.ends_with(b"\xff\xd9");
                return Err(if is_damaged { corrupt("a segment is longer than the file") } else { truncated });
            };
            at += 2 + segment.len();
            match marker {
                0xc0..=0xc2 if frame.is_none() => frame = Some(Frame::read(segment, marker == 0xc2, options)?),
                0xc0..=0xc2 => return Err(corrupt("it has two frame headers")),
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Err(unsupported(coding(marker))),
                0xda => {
                    let Some(frame) = &mut frame else { return Err(corrupt("its scan comes before the frame header")) };
                    let components = frame.scan(segment)?;
                    let restarts;
                    (at, restarts) = end_of_scan(bytes, at);
                    last_scan = Some(Scan { components, restarts });
                }
                0xdd => {
                    restart_interval = segment.first_chunk().map_or(0, |interval| u16::from_be_bytes(*interval)).into();
                }
                0xe1 if exif.is_none() && segment.starts_with(b"Exif\0\0") => exif = Some(&segment[6..]),
                0xe1 if xmp.is_none() => xmp = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"),
                _ => {}
            }
        }
        // The file ends without an end marker: is anything else missing?
        let (Some(frame), Some(scan)) = (frame, last_scan) else { return Err(truncated) };
        if !frame.is_covered() || scan.restarts < frame.restarts(&scan.components, restart_interval) {
            return Err(truncated);
        }
        let end = bytes.iter().rposition(|&byte| byte != 0xff).map_or(0, |last| last + 1);
        let ending = Ending::MarkerMissing { end };
        Ok(Self { width: frame.width, height: frame.height, exif, xmp, ending })
    }
}

impl Frame {
    fn read(segment: &[u8], is_progressive: bool, options: &DecodeOptions) -> Result<Self, DecodeError> {
        let [precision, h1, h0, w1, w0, count, components @ ..] = segment else {
            return Err(corrupt("its frame header is too short"));
        };
        let [height, width] = [[*h1, *h0], [*w1, *w0]].map(|side| u64::from(u16::from_be_bytes(side)));
        let (width, height) = allowed(FORMAT, width, height, options)?;
        if *precision != 8 {
            return Err(unsupported(&format!("{precision} bits a sample")));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("{count} components")));
        }
        let mut frame = Self { width, height, is_progressive, components: Vec::with_capacity(4) };
        for component in components.chunks_exact(3).take(usize::from(*count)) {
            let sampling = [component[1] >> 4, component[1] & 15].map(u64::from);
            if sampling.contains(&0) {
                return Err(corrupt("a component has no samples"));
            }
            frame.components.push(Component { id: component[0], sampling, missing_bits: [UNSEEN; COEFFICIENTS] });
        }
        if frame.components.len() < usize::from(*count) {
            return Err(corrupt("its frame header is too short"));
        }
        Ok(frame)
    }

    /// Notes what a scan brings; its components.
    fn scan(&mut self, header: &[u8]) -> Result<Vec<usize>, DecodeError> {
        let short = || corrupt("a scan header is too short");
        let (&count, rest) = header.split_first().ok_or_else(short)?;
        let (selectors, rest) = rest.split_at_checked(usize::from(count) * 2).ok_or_else(short)?;
        let [start, end, approximation, ..] = *rest else { return Err(short()) };
        // A sequential scan brings everything, whatever it has in these fields.
        let (range, bits) = match self.is_progressive {
            true => (usize::from(start)..=usize::from(end), approximation & 15),
            false => (0..=COEFFICIENTS - 1, 0),
        };
        let mut components = Vec::with_capacity(usize::from(count));
        for selector in selectors.chunks_exact(2) {
            let Some(index) = self.components.iter().position(|component| component.id == selector[0]) else {
                return Err(corrupt("a scan is of a component that there isn't"));
            };
            components.push(index);
            let missing = &mut self.components[index].missing_bits;
            missing
                .get_mut(range.clone())
                .ok_or_else(|| corrupt("a scan is of coefficients that there aren't"))?
                .fill(bits);
        }
        Ok(components)
    }

    /// Whether the scans have brought every bit of every coefficient.
    fn is_covered(&self) -> bool {
        self.components.iter().all(|component| component.missing_bits == [0; COEFFICIENTS])
    }

    /// How many restart markers a scan of `components` has.
    fn restarts(&self, components: &[usize], interval: u64) -> u64 {
        if interval == 0 {
            return 0;
        }
        let most = |axis: usize| self.components.iter().map(|component| component.sampling[axis]).max().unwrap_or(1);
        let units = |axis: usize, side: u32| {
            let side = u64::from(side);
            match components {
                // A scan of one component has its blocks alone, without those that only fill up a unit.
                [one] => (side * self.components[*one].sampling[axis]).div_ceil(most(axis)).div_ceil(8),
                _ => side.div_ceil(most(axis) * 8),
            }
        };
        (units(0, self.width) * units(1, self.height)).div_ceil(interval).saturating_sub(1)
    }
}

/// The next marker from `at` on, and where what belongs to it starts. Between segments there may be filling.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        at += bytes[at..].iter().position(|&byte| byte != 0xff)?;
        if bytes[at] != 0 {
            return Some((bytes[at], at + 1));
        }
    }
}

/// What a segment has after its length; `None` where the file ends in it.
fn segment(bytes: &[u8], at: usize) -> Result<Option<&[u8]>, DecodeError> {
    let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    match usize::from(u16::from_be_bytes(*length)) {
        0 | 1 => Err(corrupt("a segment is shorter than its own length")),
        length => Ok(bytes.get(at + 2..at + length)),
    }
}

/// Where the data of a scan end (at a marker, or with the file), and how many restart markers they have.
fn end_of_scan(bytes: &[u8], mut at: usize) -> (usize, u64) {
    let mut restarts = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == 0xff) {
        at += found;
        let Some(fill) = bytes[at..].iter().position(|&byte| byte != 0xff) else { break };
        match bytes[at + fill] {
            0x00 => {}
            0xd0..=0xd7 => restarts += 1,
            _ => return (at, restarts),
        }
        at += fill + 1;
    }
    (bytes.len(), restarts)
}

/// The way of coding that a frame header's marker stands for, for a person.
fn coding(marker: u8) -> &'static str {
    match marker {
        0xc3 => "lossless coding",
        0xc5..=0xc7 => "hierarchical coding",
        _ => "arithmetic coding",
    }
}

fn corrupt(problem: &str) -> DecodeError {
    DecodeError::Corrupt { format: FORMAT, problem: problem.to_owned() }
}

fn unsupported(what: &str) -> DecodeError {
    DecodeError::Unsupported { what: format!("JPEG with {what}") }
}
