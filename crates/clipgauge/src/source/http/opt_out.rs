//! Opt-outs in `X-Robots-Tag` headers: by them a server asks that its pictures be left out of indices and training
//! sets. The directives are those that img2dataset heeds; the grammar (several headers, lists, a crawler's name before
//! a colon) is Google's, which the header comes from.

use reqwest::header::HeaderMap;

/// The directives that ask to leave a picture alone.
const DIRECTIVES: [&str; 4] = ["noai", "noimageai", "noindex", "noimageindex"];

/// Directives with a value behind a colon, which is no crawler's name.
const WITH_VALUE: [&str; 4] = ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];

/// The name by which headers call a client that sends this `User-Agent`: `clipgauge` for `clipgauge/0.1 (+https://…)`.
pub(super) fn agent_token(user_agent: &str) -> String {
    user_agent.split(|c: char| c == '/' || c.is_whitespace()).next().unwrap_or_default().to_ascii_lowercase()
}

/// The directive by which an answer asks the client of this name to leave its picture alone, if it does.
pub(super) fn directive(headers: &HeaderMap, agent: &str) -> Option<&'static str> {
    headers.get_all("x-robots-tag").iter().find_map(|value| in_line(&String::from_utf8_lossy(value.as_bytes()), agent))
}

fn in_line(line: &str, agent: &str) -> Option<&'static str> {
    // A crawler's name holds for what follows it in the line, up to the next name.
    let mut is_meant = true;
    line.split(',').find_map(|item| {
        let directive = match item.split_once(':') {
            Some((name, rest)) => {
                let name = name.trim();
                // Blanks: the time of day of `unavailable_after: Friday, 25 Jun 2010 15:00:00 PST`.
                if WITH_VALUE.iter().any(|known| known.eq_ignore_ascii_case(name)) || name.contains(char::is_whitespace)
                {
                    return None;
                }
                is_meant = name == "*" || name.eq_ignore_ascii_case(agent);
                rest
            }
            None => item,
        };
        let is_it = |known: &&str| is_meant && known.eq_ignore_ascii_case(directive.trim());
        DIRECTIVES.iter().copied().find(is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_client() {
        for (user_agent, token) in [
            ("clipgauge/0.1.0 (+https://example.com)", "clipgauge"),
            ("Mozilla/5.0 (X11)", "mozilla"),
            ("mine", "mine"),
            ("my bot", "my"),
            ("", ""),
        ] {
            assert_eq!(agent_token(user_agent), token);
        }
    }

    #[test]
    fn lines() {
        let cases = [
            ("noai", Some("noai")),
            ("NoImageAI", Some("noimageai")),
            ("nofollow, noindex", Some("noindex")),
            (" noarchive ,\tnoimageindex ", Some("noimageindex")),
            ("nofollow, noarchive, all, none", None),
            ("noairplanes", None),
            ("", None),
            (":", None),
            (",,:,noai", None),
            ("clipgauge: noai", Some("noai")),
            ("ClipGauge : noai", Some("noai")),
            ("*: noai", Some("noai")),
            ("googlebot: noindex", None),
            ("googlebot: nofollow, noindex", None),
            ("googlebot: noindex, clipgauge: noai", Some("noai")),
            ("noindex, googlebot: nofollow", Some("noindex")),
            ("clipgauge-news: noindex", None),
            ("unavailable_after: 25 Jun 2010 15:00:00 PST", None),
            ("unavailable_after: Friday, 25 Jun 2010 15:00:00 PST, noindex", Some("noindex")),
            ("max-snippet: -1, noai", Some("noai")),
            ("max-image-preview:large, max-video-preview:-1", None),
        ];
        for (line, expected) in cases {
            assert_eq!(in_line(line, "clipgauge"), expected, "{line:?}");
        }
    }

    #[test]
    fn every_header_counts_whatever_bytes_it_has() {
        let mut headers = HeaderMap::new();
        assert_eq!(directive(&headers, "clipgauge"), None);
        headers.append("x-robots-tag", "googlebot: noindex".parse().unwrap());
        assert_eq!(directive(&headers, "clipgauge"), None);
        headers.append("x-robots-tag", reqwest::header::HeaderValue::from_bytes(b"\xff\xfe, noai").unwrap());
        assert_eq!(directive(&headers, "clipgauge"), Some("noai"));
    }
}
