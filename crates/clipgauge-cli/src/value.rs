//! The values that flags take: parsed with a reason and an example when they cannot be.

use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytesize::ByteSize;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A parser for the members of a registry, which help and completions list.
pub(crate) fn member<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    help: impl Fn(T) -> Option<String>,
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(|&member| {
        let value = PossibleValue::new(name(member));
        match help(member) {
            Some(help) => value.help(help),
            None => value,
        }
    });
    PossibleValuesParser::new(values).try_map(move |given| {
        all.iter().copied().find(|&member| name(member) == given).context("no member of the list")
    })
}

/// A length of time above zero: `30s`, `500ms`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, anyhow::Error> {
    let duration = humantime::parse_duration(text).context("write a number with a unit, as 30s, 500ms or 2m")?;
    ensure!(!duration.is_zero(), "nothing can be done in no time; write a longer one, as 30s");
    Ok(duration)
}

/// A number of bytes: `50MB` (of 1,000,000), `64MiB` (of 1,048,576), `1000`.
pub(crate) fn bytes(text: &str) -> Result<u64, anyhow::Error> {
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => bail!("write a number of bytes, alone or with a unit, as 50MB or 64MiB"),
    }
}

/// A large number: `100M`, `2.5G`, `1000`.
pub(crate) fn count(text: &str) -> Result<u64, anyhow::Error> {
    let has_unit = |text: &str| text.ends_with(|last: char| last.is_ascii_digit() || "kKMG".contains(last));
    match text.parse::<ByteSize>() {
        // The same powers of ten as for bytes, but without their units.
        Ok(size) if has_unit(text) => Ok(size.as_u64()),
        _ => bail!("write a number, alone or with k, M or G, as 100M"),
    }
}

/// A number: `0.25`, `-1`, `1e-3`.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, anyhow::Error> {
    text.trim().parse().ok().context("write a number, as 0.25")
}

/// Names with commas between them, quoted as in CSV where they have one themselves.
pub(crate) fn names(text: &str) -> Result<Vec<String>, anyhow::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut lines = reader.records();
    let names = lines.next().transpose().context("write the names with commas between them, as id,url")?;
    ensure!(lines.next().is_none(), "write the names in one line, with commas between them, as id,url");
    // Nothing is one name without a letter, and refused as such.
    Ok(names.map_or_else(|| vec![String::new()], |names| names.iter().map(str::to_owned).collect()))
}

/// How many: at least one.
pub(crate) fn at_least_one(text: &str) -> Result<NonZeroUsize, anyhow::Error> {
    text.parse().ok().context("write a whole number from 1")
}

/// A length in pixels: at least one.
pub(crate) fn pixels(text: &str) -> Result<NonZeroU32, anyhow::Error> {
    text.parse().ok().context("write a whole number of pixels from 1")
}

/// One byte: a character, `\t` or `tab`.
pub(crate) fn delimiter(text: &str) -> Result<u8, anyhow::Error> {
    match (text, text.as_bytes()) {
        (r"\t" | "tab", _) => Ok(b'\t'),
        (_, [byte]) => Ok(*byte),
        _ => bail!("a delimiter is one byte; write it as it is, or `tab`"),
    }
}

/// A colour as in CSS, without transparency.
pub(crate) fn color(text: &str) -> Result<[u8; 3], anyhow::Error> {
    let color = csscolorparser::parse(text).context("write a colour as in CSS: white, #fff, rgb(255 255 255)")?;
    let [red, green, blue, alpha] = color.to_rgba8();
    ensure!(alpha == u8::MAX, "a background shows through nothing; leave the transparency away");
    Ok([red, green, blue])
}

/// A header line of HTTP, `Name: value`.
pub(crate) fn header(text: &str) -> Result<(String, String), anyhow::Error> {
    let (name, value) = text.split_once(':').context("write it as 'Name: value'")?;
    ensure!(!name.trim().is_empty(), "it has no name; write it as 'Name: value'");
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_units() {
        assert_eq!(duration("30s").expect("a duration"), Duration::from_secs(30));
        assert_eq!(duration("1m 500ms").expect("a duration"), Duration::from_millis(60_500));
        assert_eq!(bytes("50MB").expect("a size"), 50_000_000);
        assert_eq!(bytes("64 MiB").expect("a size"), 64 << 20);
        assert_eq!(bytes("1000").expect("a size"), 1000);
        assert_eq!(count("100M").expect("a number"), 100_000_000);
        assert_eq!(count("2.5k").expect("a number"), 2_500);
        assert_eq!(count("1000").expect("a number"), 1000);
        for (text, byte) in [(",", b','), (";", b';'), (r"\t", b'\t'), ("tab", b'\t'), ("\t", b'\t')] {
            assert_eq!(delimiter(text).expect("a byte"), byte, "{text}");
        }
        assert_eq!(["0.25", "-1e-3"].map(|text| number::<f32>(text).expect("a number")), [0.25, -0.001]);
        for (text, expected) in [
            ("id", &["id"] as &[_]),
            ("id,url", &["id", "url"]),
            ("\"a, b\",c", &["a, b", "c"]),
            ("\"say \"\"a\"\"\"", &["say \"a\""]),
            ("id,,note", &["id", "", "note"]),
            ("", &[""]),
        ] {
            assert_eq!(names(text).expect("names"), expected, "{text}");
        }
        for text in ["white", "#fff", "#FFFFFF", "rgb(255, 255, 255)"] {
            assert_eq!(color(text).expect("a colour"), [255, 255, 255], "{text}");
        }
        assert_eq!(header("A: b: c ").expect("a header"), ("A".to_owned(), "b: c".to_owned()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "30", "0s", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "MB", "-1", "5 apples"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for text in ["", "10MB", "10Mi", "-1", "M"] {
            assert!(count(text).is_err(), "{text}");
        }
        for text in ["", "0", "-1", "many"] {
            assert!(at_least_one(text).is_err() && pixels(text).is_err(), "{text}");
        }
        for text in ["", ",,", "é"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
        for text in ["", "abc", "0,25", "1 %"] {
            assert!(number::<f64>(text).is_err(), "{text}");
        }
        assert!(names("a\nb").is_err());
        for text in ["", "whitish", "#ffff0", "#ffffff80", "transparent"] {
            assert!(color(text).is_err(), "{text}");
        }
        for text in ["", "name", ": value"] {
            assert!(header(text).is_err(), "{text}");
        }
    }
}
