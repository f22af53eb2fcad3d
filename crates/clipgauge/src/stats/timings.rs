//! Where a run's time went: in which stages, and whether the encoders had to wait for images.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::{Stage, Stats, add};

/// Where the time of a run went. `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// The stages, in the order in which a row goes through them.
    pub stages: Vec<StageTiming>,
    /// What the encoders did.
    pub encoders: Occupancy,
    /// How many images were fetched at once, on average, those that waited for their turn included.
    pub fetches_at_once: f64,
}

/// The time of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageTiming {
    /// The stage.
    pub stage: &'static str,
    /// How long it worked, over all threads; for `fetch`, over all images, the wait for their turn included.
    pub seconds: f64,
    /// How much of the encoders' time that is, from 0 to 1; `None` for a stage that others do.
    pub share: Option<f64>,
    /// How many rows, pictures or captions it worked on. Equal ones are encoded once.
    pub items: u64,
    /// How long it took for each, in milliseconds.
    pub milliseconds_per_item: Option<f64>,
}

/// What the encoders did with their time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Occupancy {
    /// How many there were.
    pub count: u64,
    /// From their start to the last one's end.
    pub seconds: f64,
    /// The part of that time, from 0 to 1, in which they worked.
    pub busy: f64,
    /// The part in which they waited for images.
    pub waiting: f64,
    /// The part in which they had ended before the last one.
    pub ended: f64,
}

impl Stage {
    /// Whether the encoders do it.
    fn is_of_encoders(self) -> bool {
        !matches!(self, Self::Load | Self::Read | Self::Fetch | Self::Write)
    }
}

impl Stats {
    /// An encoder waited so long for images.
    pub(crate) fn encoder_waited(&self, time: Duration) {
        add(&self.waited, nanoseconds(time));
    }

    /// An encoder worked so long on images and captions.
    pub(crate) fn encoder_worked(&self, time: Duration) {
        add(&self.worked, nanoseconds(time));
    }

    /// So many encoders were there for so long.
    pub(crate) fn encoders(&self, count: usize, time: Duration) {
        add(&self.encoders, count as u64);
        add(&self.encoding, nanoseconds(time));
    }

    /// Where the time went, now that the run has ended.
    pub(super) fn timings(&self) -> Timings {
        let seconds = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64 / 1e9;
        let (count, time) = (self.encoders.load(Ordering::Relaxed), seconds(&self.encoding));
        let part = |spent: f64| if spent > 0.0 { (spent / (time * count as f64)).min(1.0) } else { 0.0 };
        let stages = Stage::ALL.iter().map(|stage| {
            let (seconds, items) =
                (seconds(&self.nanoseconds[*stage as usize]), self.items[*stage as usize].load(Ordering::Relaxed));
            StageTiming {
                stage: stage.name(),
                seconds,
                share: stage.is_of_encoders().then(|| part(seconds)),
                items,
                milliseconds_per_item: (items > 0).then(|| seconds * 1e3 / items as f64),
            }
        });
        let (busy, waiting) = (part(seconds(&self.worked)), part(seconds(&self.waited)));
        let ended = (1.0 - busy - waiting).max(0.0);
        let fetching = seconds(&self.nanoseconds[Stage::Fetch as usize]);
        Timings {
            stages: stages.collect(),
            encoders: Occupancy { count, seconds: time, busy, waiting, ended },
            fetches_at_once: if time > 0.0 { fetching / time } else { 0.0 },
        }
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14}{:>10}{:>9}{:>10}{:>11}", "stage", "seconds", "share", "items", "ms each")?;
        for StageTiming { stage, seconds, share, items, milliseconds_per_item } in &self.stages {
            let share = share.map(percent).unwrap_or_default();
            let each = milliseconds_per_item.map(|each| format!("{each:.3}")).unwrap_or_default();
            writeln!(f, "{}", format!("{stage:<14}{seconds:>10.3}{share:>9}{items:>10}{each:>11}").trim_end())?;
        }
        let Occupancy { count, seconds, busy, waiting, ended } = &self.encoders;
        let encoders = if *count == 1 { "encoder" } else { "encoders" };
        write!(
            f,
            "{count} {encoders} for {seconds:.1} s: busy {}, waiting for images {}, done before the last {}\n\
             {:.1} images fetched at once, on average",
            percent(*busy),
            percent(*waiting),
            percent(*ended),
            self.fetches_at_once
        )
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_where_the_time_went() {
        let stats = Stats::new(1);
        let milliseconds = Duration::from_millis;
        stats.stage(Stage::Load, 1, milliseconds(600));
        stats.stage(Stage::Read, 40, milliseconds(4));
        stats.stage(Stage::Fetch, 40, milliseconds(8000));
        stats.stage(Stage::Decode, 40, milliseconds(400));
        stats.stage(Stage::EncodeImages, 10, milliseconds(1600));
        [200, 600].into_iter().for_each(|time| stats.encoder_waited(milliseconds(time)));
        [1000, 2000].into_iter().for_each(|time| stats.encoder_worked(milliseconds(time)));
        stats.encoders(2, milliseconds(2000));
        assert_eq!(
            stats.timings().to_string(),
            "\
stage            seconds    share     items    ms each
load               0.600                  1    600.000
read               0.004                 40      0.100
fetch              8.000                 40    200.000
decode             0.400   10.0 %        40     10.000
preprocess         0.000    0.0 %         0
tokenize           0.000    0.0 %         0
encode_images      1.600   40.0 %        10    160.000
encode_texts       0.000    0.0 %         0
compare            0.000    0.0 %         0
write              0.000                  0
2 encoders for 2.0 s: busy 75.0 %, waiting for images 20.0 %, done before the last 5.0 %
4.0 images fetched at once, on average"
        );
        let nothing = Stats::new(1).timings();
        assert_eq!((nothing.encoders.busy, nothing.encoders.count, nothing.fetches_at_once), (0.0, 0, 0.0));
    }
}
