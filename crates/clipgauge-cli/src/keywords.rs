//! The options of `clipgauge score` as keywords, for callers that are no shell.
//!
//! A keyword is a flag's name with underscores, and means what the flag means: both are made from one definition, so that
//! a new flag is a new keyword. What is only of a command's use (its progress, its exit code) is none.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, CommandFactory, Parser};
use clipgauge::options::{Input, ScoreOptions};

use crate::args::{Cli, Command, NAME};
use crate::options::score_options_for;

/// The command whose flags they are.
const COMMAND: &str = "score";

/// Flags and arguments that are no keywords.
const OF_THE_COMMAND: &[&str] =
    &["inputs", "output", "help", "progress", "quiet", "verbose", "timings", "allow_failures"];

/// The headings of flags that have nothing to do with a table.
const OF_A_SCORER: &[&str] = &["Model", "Fetching", "Pictures"];

/// From which likeness (0 to 1) a name is taken for a slip of another.
const ALIKE: f64 = 0.6;

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    /// Its name.
    pub name: String,
    /// What it does, in a sentence.
    pub help: String,
    /// What it is without being given, as the flag would say it.
    pub default: Option<String>,
    /// What it takes.
    pub takes: Takes,
    /// Whether it may be given several values.
    pub repeats: bool,
    /// Whether it is about a table, and not about scoring any pairs.
    pub is_of_a_table: bool,
}

/// What an option takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// Whether it holds.
    Flag,
    /// One of these.
    Member(Vec<String>),
    /// A whole number.
    Number,
    /// Any number.
    Decimal,
    /// A length of time.
    Time,
    /// A number of bytes.
    Size,
    /// A file.
    Path,
    /// Any other text.
    Text,
}

/// What an option is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Whether it holds.
    Flag(bool),
    /// A number; of a length of time, its seconds.
    Number(f64),
    /// A text as the flag takes it.
    Text(OsString),
    /// Several.
    Several(Vec<Given>),
}

/// Options that mean nothing, or nothing together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeywordError {
    /// There is no such option.
    #[error("there is no option `{name}`{}", nearest.as_ref().map(|name| format!("; is `{name}` meant?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// The one that is most like it.
        nearest: Option<String>,
    },
    /// A value for what only holds or does not.
    #[error("the option `{name}` takes no value: it is true or false")]
    NotAFlag {
        /// The option.
        name: String,
    },
    /// Nothing but a truth for what takes a value.
    #[error("the option `{name}` needs a value, and is given true or false")]
    NoValue {
        /// The option.
        name: String,
    },
    /// Several values for what takes one.
    #[error("the option `{name}` takes one value, and is given several")]
    Several {
        /// The option.
        name: String,
    },
    /// A time that is none.
    #[error("the option `{name}` takes a time in seconds from nothing up, not {seconds}")]
    NotATime {
        /// The option.
        name: String,
        /// What it is given.
        seconds: String,
    },
    /// What the command says of its flags.
    #[error("{0}")]
    Flags(String),
}

/// Every option.
pub fn keywords() -> Vec<Keyword> {
    let mut command = Cli::command();
    // Completes what is only implied.
    command.build();
    let score = command.find_subcommand(COMMAND).expect("it is one of the commands");
    score.get_arguments().filter(|flag| !OF_THE_COMMAND.contains(&flag.get_id().as_str())).filter_map(keyword).collect()
}

fn keyword(flag: &Arg) -> Option<Keyword> {
    let values = flag.get_value_names().unwrap_or_default();
    let members = flag.get_possible_values();
    let takes = match values.first().map(|name| name.as_str()) {
        _ if flag.get_num_args() == Some(ValueRange::EMPTY) => Takes::Flag,
        _ if !members.is_empty() => Takes::Member(members.iter().map(|member| member.get_name().to_owned()).collect()),
        Some("N" | "S" | "PX") => Takes::Number,
        Some("X" | "F" | "R") => Takes::Decimal,
        Some("TIME") => Takes::Time,
        Some("SIZE") => Takes::Size,
        Some("FILE" | "OUT" | "DIR") => Takes::Path,
        _ => Takes::Text,
    };
    let defaults = flag.get_default_values();
    Some(Keyword {
        name: flag.get_long()?.replace('-', "_"),
        help: flag.get_help().map(ToString::to_string).unwrap_or_default(),
        default: defaults.first().filter(|_| takes != Takes::Flag).map(|value| value.to_string_lossy().into_owned()),
        takes,
        repeats: matches!(flag.get_action(), ArgAction::Append),
        is_of_a_table: !flag.get_help_heading().is_some_and(|heading| OF_A_SCORER.contains(&heading)),
    })
}

/// The options of a run over a table.
///
/// # Errors
///
/// An option is unknown, or its value means nothing.
pub fn score_options(
    input: Input,
    output: Option<OsString>,
    given: &[(String, Given)],
) -> Result<ScoreOptions, KeywordError> {
    let known = keywords();
    let mut arguments: Vec<OsString> = vec![NAME.into(), COMMAND.into()];
    for (name, given) in given {
        let Some(keyword) = known.iter().find(|keyword| keyword.name == *name) else {
            return Err(KeywordError::Unknown { name: name.clone(), nearest: nearest(name, &known) });
        };
        add(&mut arguments, keyword, given)?;
    }
    if let Some(output) = output {
        arguments.push(with_value("output", &output));
    }
    // The command wants one.
    arguments.push("-".into());
    match Cli::try_parse_from(arguments) {
        Ok(Cli { command: Command::Score(args) }) => Ok(score_options_for(input, *args)),
        Ok(_) => unreachable!("the command is given"),
        Err(error) => Err(KeywordError::Flags(sentence(&error))),
    }
}

fn add(arguments: &mut Vec<OsString>, keyword: &Keyword, given: &Given) -> Result<(), KeywordError> {
    let (name, flag) = (keyword.name.clone(), keyword.name.replace('_', "-"));
    let text = match (given, &keyword.takes) {
        (Given::Flag(holds), Takes::Flag) => {
            arguments.extend(holds.then(|| format!("--{flag}").into()));
            return Ok(());
        }
        (_, Takes::Flag) => return Err(KeywordError::NotAFlag { name }),
        (Given::Flag(_), _) => return Err(KeywordError::NoValue { name }),
        (Given::Several(all), _) if keyword.repeats => {
            let nested = all.iter().any(|one| matches!(one, Given::Several(_)));
            if nested {
                return Err(KeywordError::Several { name });
            }
            return all.iter().try_for_each(|one| add(arguments, keyword, one));
        }
        (Given::Several(_), _) => return Err(KeywordError::Several { name }),
        (Given::Number(seconds), Takes::Time) => match Duration::try_from_secs_f64(*seconds) {
            Ok(time) => humantime::format_duration(time).to_string().into(),
            Err(_) => return Err(KeywordError::NotATime { name, seconds: seconds.to_string() }),
        },
        (Given::Number(number), _) => number.to_string().into(),
        (Given::Text(text), _) => text.clone(),
    };
    arguments.push(with_value(&flag, &text));
    Ok(())
}

fn with_value(flag: &str, value: &OsString) -> OsString {
    let mut argument = OsString::from(format!("--{flag}="));
    argument.push(value);
    argument
}

fn nearest(name: &str, known: &[Keyword]) -> Option<String> {
    let likeness = |keyword: &Keyword| strsim::normalized_damerau_levenshtein(&keyword.name, name);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then(|| best.name.clone())
}

/// What is wrong, without what only helps at a prompt.
fn sentence(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let paragraph = rendered.split("\n\n").next().unwrap_or(&rendered);
    paragraph.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clipgauge::core::metric::Metric;
    use clipgauge::options::Output;

    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.into())
    }

    fn options(given: &[(&str, Given)]) -> Result<ScoreOptions, KeywordError> {
        let given: Vec<_> = given.iter().map(|(name, given)| ((*name).to_owned(), given.clone())).collect();
        score_options(Input::File("in.csv".into()), Some("-out.csv".into()), &given)
    }

    #[test]
    fn without_keywords_all_is_as_without_flags() {
        let expected =
            ScoreOptions { output: Output::File("-out.csv".into()), ..ScoreOptions::new(Input::File("in.csv".into())) };
        assert_eq!(format!("{:?}", options(&[]).expect("options")), format!("{expected:?}"));
    }

    #[test]
    fn keywords_are_what_their_flags_are() {
        let options = options(&[
            ("model", Given::Several(vec![text("a"), text("b")])),
            ("metric", text("angular")),
            ("overwrite", Given::Flag(true)),
            ("ignore_exif", Given::Flag(false)),
            ("error_column", text("--why")),
            ("timeout", Given::Number(1.5)),
            ("connect_timeout", text("2m")),
            ("threads", Given::Number(3.0)),
            ("max_bytes", Given::Number(5e7)),
            ("max_pixels", text("2k")),
            ("header", text("A: b")),
            ("min_score", Given::Number(-0.1)),
            ("keep_columns", Given::Several(vec![text("id"), text("url")])),
            ("shard", text("0/2")),
            ("resume", Given::Flag(true)),
        ])
        .expect("options");
        assert_eq!((options.models, options.metrics), (vec!["a".to_owned(), "b".to_owned()], vec![Metric::Angular]));
        assert!(options.overwrite && options.decode.apply_orientation);
        assert_eq!(options.error_column.as_deref(), Some("--why"));
        assert_eq!(options.fetch.timeout, Duration::from_millis(1500));
        assert_eq!(options.fetch.connect_timeout, Duration::from_secs(120));
        assert_eq!(options.threads.map(usize::from), Some(3));
        assert_eq!((options.fetch.max_bytes, options.decode.max_pixels), (50_000_000, 2000));
        assert_eq!(options.fetch.headers, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(options.filters.min_score, Some(-0.1));
        assert_eq!(options.filters.keep_columns, Some(vec!["id".to_owned(), "url".to_owned()]));
        assert!(options.shard == "0/2".parse().ok() && options.resume.resume);
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        let cases = [
            ("a slip", "mettric", text("cosine"), "is `metric` meant?"),
            ("a flag of the command", "quiet", Given::Flag(true), "there is no option `quiet`"),
            ("a member that is none", "metric", text("cosin"), "invalid value 'cosin' for '--metric <METRIC>'"),
            ("a value for a flag", "overwrite", text("yes"), "true or false"),
            ("a truth for a value", "model", Given::Flag(true), "needs a value"),
            ("several for one", "timeout", Given::Several(vec![text("1s")]), "takes one value"),
            ("no time", "timeout", Given::Number(-1.0), "not -1"),
            ("no whole number", "threads", Given::Number(1.5), "write a whole number from 1"),
            ("a text for a number", "threads", text("many"), "write a whole number from 1"),
        ];
        for (name, keyword, given, expected) in cases {
            let error = options(&[(keyword, given)]).expect_err(name).to_string();
            assert!(error.contains(expected) && !error.contains("--help"), "{name}: {error}");
        }
    }

    #[test]
    fn keywords_tell_what_they_take() {
        let keywords = keywords();
        let takes = |name: &str| {
            let keyword = keywords.iter().find(|keyword| keyword.name == name).unwrap_or_else(|| panic!("{name}"));
            (keyword.takes.clone(), keyword.is_of_a_table, keyword.repeats)
        };
        assert_eq!(takes("overwrite"), (Takes::Flag, true, false));
        assert_eq!(takes("errors"), (Takes::Path, true, false));
        assert_eq!(takes("timeout"), (Takes::Time, false, false));
        assert_eq!(takes("max_bytes"), (Takes::Size, false, false));
        assert_eq!(takes("min_score"), (Takes::Decimal, true, false));
        assert_eq!(takes("top_fraction"), (Takes::Decimal, true, false));
        assert_eq!(takes("min_image_size"), (Takes::Number, true, false));
        assert_eq!(takes("seed"), (Takes::Number, true, false));
        assert_eq!(takes("keep_columns"), (Takes::Text, true, true));
        assert_eq!(takes("shard"), (Takes::Text, true, false));
        assert_eq!(takes("threads"), (Takes::Number, false, false));
        assert_eq!(takes("header"), (Takes::Text, false, true));
        assert!(matches!(takes("precision"), (Takes::Member(members), false, false) if members == ["f32", "int8"]));
        assert!(!keywords.iter().any(|keyword| OF_THE_COMMAND.contains(&keyword.name.as_str())));
    }
}
