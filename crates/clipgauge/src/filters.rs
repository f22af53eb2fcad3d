//! Which rows of a table a run takes, and which of them and of its columns it gives.
//!
//! Rows are first chosen by their places ([`limit`](Filters::limit), then [`sample`](Filters::sample)): the others are
//! not looked at. Of the chosen ones, some are dropped by what they turn out to be.

use std::num::{NonZeroU32, NonZeroUsize};

use serde::{Deserialize, Serialize};

/// The one filter that is about columns.
const KEEP_COLUMNS: &str = "--keep-columns";

/// The filters of a run. Without any, every row and column stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filters {
    /// Only so many rows from the first are taken.
    pub limit: Option<NonZeroUsize>,
    /// Of these, only some that are drawn at random.
    pub sample: Option<Sample>,
    /// The least that the first score may be.
    pub min_score: Option<f32>,
    /// The most that it may be.
    pub max_score: Option<f32>,
    /// The part of all scored rows that is written: the best by the first metric, from above 0 to 1.
    pub top_fraction: Option<f64>,
    /// What pictures are used.
    pub pictures: PictureLimits,
    /// The columns of the input that are written, by their names; `None` for all.
    pub keep_columns: Option<Vec<String>>,
}

/// Rows drawn at random, each as likely as any other.
///
/// Which ones depends on the seed and on how many rows there are, on nothing else: neither threads nor the version or
/// the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// How many; all, if the table has fewer.
    pub rows: NonZeroUsize,
    /// What the draw starts from.
    pub seed: u64,
}

/// What pictures have to be like to be scored. Sizes are of the picture as it is seen, after its EXIF orientation, in
/// its own pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PictureLimits {
    /// The least that the shorter edge may have, in pixels.
    pub min_size: Option<NonZeroU32>,
    /// The most that the longer edge may be of the shorter one, from 1.
    pub max_aspect_ratio: Option<f64>,
}

impl PictureLimits {
    /// Why a picture of this width and height is not used; `None` for one that is.
    pub(crate) fn drops(&self, [width, height]: [u32; 2]) -> Option<DropReason> {
        let (shorter, longer) = (width.min(height), width.max(height));
        if self.min_size.is_some_and(|least| shorter < least.get()) {
            return Some(DropReason::MinImageSize);
        }
        let ratio = f64::from(longer) / f64::from(shorter);
        self.max_aspect_ratio.is_some_and(|most| ratio > most).then_some(DropReason::MaxAspectRatio)
    }
}

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $phrase:literal;)*) => {
        /// Why a row is not among those that are written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum DropReason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order in which they are looked at: a row is dropped for the first that holds.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in summaries.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The reason of this name.
            pub(crate) fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == name)
            }

            /// What comes behind "dropped", for a person.
            pub fn phrase(self) -> &'static str {
                match self { $(Self::$variant => $phrase),* }
            }
        }
    };
}

drop_reasons! {
    /// The row failed, so that it cannot be shown to pass the filters.
    Failed = "failed", "as they failed";
    /// The picture's shorter edge is too short.
    MinImageSize = "min_image_size", "by --min-image-size";
    /// The picture is too long for its width, or the other way round.
    MaxAspectRatio = "max_aspect_ratio", "by --max-aspect-ratio";
    /// The score is too low, or no number.
    MinScore = "min_score", "by --min-score";
    /// The score is too high, or no number.
    MaxScore = "max_score", "by --max-score";
    /// The score is not among the best, or no number.
    TopFraction = "top_fraction", "by --top-fraction";
}

impl Filters {
    /// Why a row with this first score is dropped; `None` for one that is written.
    pub(crate) fn drops(&self, score: Option<f32>) -> Option<DropReason> {
        // Of a score that is no number neither bound can be shown to hold.
        let holds = |holds: fn(&f32, &f32) -> bool, bound: Option<f32>| {
            bound.is_none_or(|bound| score.is_some_and(|score| holds(&score, &bound)))
        };
        if !holds(f32::ge, self.min_score) {
            return Some(DropReason::MinScore);
        }
        (!holds(f32::le, self.max_score)).then_some(DropReason::MaxScore)
    }

    /// Whether rows are dropped for what they turn out to be. Then those are, too, that turn out to be nothing.
    pub(crate) fn drops_failed(&self) -> bool {
        self.min_score.is_some()
            || self.max_score.is_some()
            || self.top_fraction.is_some()
            || self.pictures != PictureLimits::default()
    }

    /// The flag that takes only some rows by their places, if there is one.
    pub(crate) fn limits(&self) -> Option<&'static str> {
        self.limit.map(|_| "--limit").or(self.sample.map(|_| "--sample"))
    }

    /// The filters that are given, by their flags, in the order of the help.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { limit, sample, min_score, max_score, top_fraction, pictures, keep_columns } = self;
        let PictureLimits { min_size, max_aspect_ratio } = pictures;
        let all = [
            ("--limit", limit.map(|limit| limit.to_string())),
            ("--sample", sample.map(|sample| sample.rows.to_string())),
            ("--seed", sample.map(|sample| sample.seed.to_string())),
            ("--min-score", min_score.map(|score| score.to_string())),
            ("--max-score", max_score.map(|score| score.to_string())),
            ("--top-fraction", top_fraction.map(|part| part.to_string())),
            ("--min-image-size", min_size.map(|size| size.to_string())),
            ("--max-aspect-ratio", max_aspect_ratio.map(|ratio| ratio.to_string())),
            (KEEP_COLUMNS, keep_columns.as_ref().map(|columns| columns.join(","))),
        ];
        all.into_iter().filter_map(|(flag, value)| Some((flag, value?)))
    }

    /// The flag for which rows of the table are not in the output, if there is one.
    pub(crate) fn chooses_rows(&self) -> Option<&'static str> {
        self.given().map(|(flag, _)| flag).find(|flag| *flag != KEEP_COLUMNS)
    }

    /// The flag for which the table is read more than once, if there is one.
    pub(crate) fn reads_again(&self) -> Option<&'static str> {
        self.top_fraction.map(|_| "--top-fraction").or(self.sample.map(|_| "--sample"))
    }

    /// Whether the filters agree with each other.
    pub(crate) fn check(&self) -> Result<(), FiltersError> {
        for (flag, bound) in [("--min-score", self.min_score), ("--max-score", self.max_score)] {
            if bound.is_some_and(f32::is_nan) {
                return Err(FiltersError::NoNumber { flag });
            }
        }
        if let (Some(least), Some(most)) = (self.min_score, self.max_score)
            && least > most
        {
            return Err(FiltersError::NoScore { least, most });
        }
        if let Some(ratio) = self.pictures.max_aspect_ratio.filter(|ratio| ratio.is_nan() || *ratio < 1.0) {
            return Err(FiltersError::NoPicture { ratio });
        }
        if let Some(fraction) = self.top_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction <= 1.0)) {
            return Err(FiltersError::NoFraction { fraction });
        }
        if self.keep_columns.as_ref().is_some_and(|names| names.iter().any(String::is_empty)) {
            return Err(FiltersError::NoName);
        }
        Ok(())
    }
}

/// Filters that make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FiltersError {
    /// A bound that nothing can be compared with.
    #[error("{flag} is not a number, and no score is above or below it; give a number, e.g. 0.25")]
    NoNumber {
        /// The flag.
        flag: &'static str,
    },
    /// No score is between the bounds.
    #[error("no score is at least {least} (--min-score) and at most {most} (--max-score); swap them or drop one")]
    NoScore {
        /// The lower bound.
        least: f32,
        /// The upper bound.
        most: f32,
    },
    /// No picture is so square.
    #[error(
        "--max-aspect-ratio {ratio} lets no picture through: it is the longer edge by the shorter; give 1 or more, e.g. 3"
    )]
    NoPicture {
        /// The ratio.
        ratio: f64,
    },
    /// A part that is none.
    #[error(
        "--top-fraction {fraction} is no part of the rows; give a number above 0 and up to 1, e.g. 0.1 for a tenth"
    )]
    NoFraction {
        /// The part.
        fraction: f64,
    },
    /// A column without a name.
    #[error("--keep-columns has a column without a name; write the names with commas between them, e.g. id,url")]
    NoName,
    /// The table has to be read more than once.
    #[error("{flag} reads the table twice, and {input} can be read only once; save it to a file first")]
    OnlyOnce {
        /// The flag.
        flag: &'static str,
        /// The table.
        input: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_within() {
        let filters = |min_score, max_score| Filters { min_score, max_score, ..Filters::default() };
        let (too_low, too_high) = (Some(DropReason::MinScore), Some(DropReason::MaxScore));
        for (least, most, score, expected) in [
            (None, None, Some(0.5), None),
            (None, None, Some(f32::NAN), None),
            (Some(0.5), None, Some(0.5), None),
            (Some(0.5), None, Some(0.49), too_low),
            (Some(0.5), None, Some(f32::NAN), too_low),
            (Some(0.5), None, None, too_low),
            (None, Some(0.5), Some(0.5), None),
            (None, Some(0.5), Some(0.51), too_high),
            (None, Some(0.5), Some(f32::NAN), too_high),
            (Some(0.0), Some(0.5), Some(-0.0), None),
        ] {
            assert_eq!(filters(least, most).drops(score), expected, "{least:?} {most:?} {score:?}");
        }
    }

    #[test]
    fn pictures_are_measured_by_both_edges() {
        let limits = PictureLimits { min_size: NonZeroU32::new(100), max_aspect_ratio: Some(2.0) };
        for (size, expected) in [
            ([100, 100], None),
            ([200, 100], None),
            ([100, 200], None),
            ([99, 100], Some(DropReason::MinImageSize)),
            ([100, 99], Some(DropReason::MinImageSize)),
            ([201, 100], Some(DropReason::MaxAspectRatio)),
            ([100, 201], Some(DropReason::MaxAspectRatio)),
        ] {
            assert_eq!(limits.drops(size), expected, "{size:?}");
        }
        assert_eq!(PictureLimits::default().drops([1, 1000]), None);
    }

    #[test]
    fn filters_that_make_no_sense_are_refused() {
        let ratio = |ratio| PictureLimits { max_aspect_ratio: Some(ratio), ..PictureLimits::default() };
        for (name, filters) in [
            ("crossed bounds", Filters { min_score: Some(0.5), max_score: Some(0.4), ..Filters::default() }),
            ("no number", Filters { max_score: Some(f32::NAN), ..Filters::default() }),
            ("flatter than a square", Filters { pictures: ratio(0.9), ..Filters::default() }),
            ("no ratio", Filters { pictures: ratio(f64::NAN), ..Filters::default() }),
            ("no part", Filters { top_fraction: Some(0.0), ..Filters::default() }),
            ("more than all", Filters { top_fraction: Some(1.5), ..Filters::default() }),
            ("no number", Filters { top_fraction: Some(f64::NAN), ..Filters::default() }),
            ("no name", Filters { keep_columns: Some(vec!["a".to_owned(), String::new()]), ..Filters::default() }),
        ] {
            assert!(filters.check().is_err(), "{name}");
        }
        let equal = Filters { min_score: Some(0.5), max_score: Some(0.5), pictures: ratio(1.0), ..Filters::default() };
        assert_eq!(equal.check(), Ok(()));
        assert_eq!(Filters::default().check(), Ok(()));
    }
}
