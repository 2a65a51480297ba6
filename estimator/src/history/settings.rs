use super::histogram::Buckets;
use gleaner_model::{Permille, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much is remembered, and how finely. In a configuration every field may be left out. What a changed setting makes unreadable (buckets, half-life, slots)
/// is begun anew; the rest is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HistorySettings {
    /// For how many seconds back each second's use is known.
    pub seconds: u32,
    /// For how many minutes back the maximum and the mean of each minute are known.
    pub minutes: u32,
    /// The largest value of the first bucket of a histogram: ten-thousandths of a region's requests, or milli-CPU of a container.
    pub first_bucket: u32,
    /// By how much each bucket is wider than the one before. A percentile is too large by at most this share of it and the first bucket's width.
    pub bucket_growth: Permille,
    /// How many buckets a histogram has at most; the last one takes all that is larger.
    pub buckets: u32,
    /// After this long a value counts half in a histogram.
    pub half_life: Span,
    /// The parts that a profile cuts the day into.
    pub slot: Span,
    /// How much the newest day counts in a profile's mean.
    pub day_weight: Permille,
    /// By how much of the difference a profile's peak falls each day that stays below it; it rises at once.
    pub peak_fade: Permille,
    /// How many regions are remembered; of more, those not seen for longest are forgotten.
    pub regions: u32,
    /// How many containers of workloads are remembered; of more, those not seen for longest are forgotten.
    pub workloads: u32,
    /// After not being seen for this long, region and workload are forgotten.
    pub forget_after: Span,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            seconds: 120,
            minutes: 1440,
            first_bucket: 10,
            bucket_growth: Permille::new(50),
            buckets: 160,
            half_life: Span::from_secs(24 * 3600),
            slot: Span::from_secs(30 * 60),
            day_weight: Permille::new(300),
            peak_fade: Permille::new(150),
            regions: 64,
            workloads: 1000,
            forget_after: Span::from_secs(14 * 24 * 3600),
        }
    }
}

const HOUR: u64 = 3600;

impl HistorySettings {
    /// Every problem, each beginning with the name of its field; none when the settings can work.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let numbers = [
            ("seconds", self.seconds, 10, 600),
            ("minutes", self.minutes, 10, 2880),
            ("firstBucket", self.first_bucket, 1, 1000),
            ("buckets", self.buckets, 10, 400),
            ("regions", self.regions, 1, 256),
            ("workloads", self.workloads, 0, 10_000),
        ];
        let number = numbers.iter().filter(|(_, value, least, most)| !(least..=most).contains(&value));
        let mut problems: Vec<String> =
            number.map(|(field, value, least, most)| format!("{field}: {value} is not from {least} to {most}")).collect();
        let shares = [
            ("bucketGrowth", self.bucket_growth, 10, 1000),
            ("dayWeight", self.day_weight, 10, 1000),
            ("peakFade", self.peak_fade, 0, 1000),
        ];
        let share = shares.iter().filter(|(_, value, least, most)| !(least..=most).contains(&&value.get()));
        problems.extend(share.map(|(field, value, least, most)| {
            format!("{field}: {value} is not from {} to {}", Permille::new(*least), Permille::new(*most))
        }));
        let spans = [("halfLife", self.half_life, HOUR, 14 * 24 * HOUR), ("forgetAfter", self.forget_after, HOUR, 366 * 24 * HOUR)];
        let span = spans
            .iter()
            .filter(|(_, value, least, most)| !(Duration::from_secs(*least)..=Duration::from_secs(*most)).contains(&value.get()));
        problems.extend(span.map(|(field, value, least, most)| {
            format!("{field}: {value} is not from {} to {}", Span::from_secs(*least), Span::from_secs(*most))
        }));
        if ![15, 20, 30, 60].map(|minutes| Span::from_secs(minutes * 60)).contains(&self.slot) {
            problems.push(format!("slot: {} is not 15m, 20m, 30m or 1h", self.slot));
        }
        problems
    }

    /// The buckets of histograms.
    #[must_use]
    pub fn histogram_buckets(&self) -> Buckets {
        Buckets { first: self.first_bucket, growth: self.bucket_growth.get(), count: self.buckets }
    }

    /// Bytes at most that one region takes, by the formula of the module.
    #[must_use]
    pub fn bytes_of_region(&self) -> u64 {
        220 + self.bytes_of_workload() + 4 * u64::from(self.seconds) + 8 * u64::from(self.minutes)
    }

    /// Bytes at most that one container of a workload takes, by the formula of the module.
    #[must_use]
    pub fn bytes_of_workload(&self) -> u64 {
        360 + 4 * u64::from(self.buckets) + 24 * (24 * HOUR / self.slot.get().as_secs().max(1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_round_trips() {
        let settings = HistorySettings::default();
        assert_eq!(settings.validate(), Vec::<String>::new());
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<HistorySettings>(&text).unwrap(), settings, "{text}");
        let error = serde_json::from_str::<HistorySettings>(r#"{"half_life": "1h"}"#).unwrap_err().to_string();
        assert!(error.contains("half_life"), "{error}");
    }

    #[test]
    fn every_problem_names_its_field() {
        let settings = HistorySettings {
            seconds: 0,
            minutes: u32::MAX,
            first_bucket: 0,
            bucket_growth: Permille::new(0),
            buckets: 0,
            half_life: Span::default(),
            slot: Span::from_secs(7 * 60),
            day_weight: Permille::new(1001),
            peak_fade: Permille::new(u32::MAX),
            regions: 0,
            workloads: u32::MAX,
            forget_after: Span::new(Duration::MAX),
        };
        let mut problems = settings.validate();
        problems.sort();
        let fields: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        let expected = [
            "bucketGrowth",
            "buckets",
            "dayWeight",
            "firstBucket",
            "forgetAfter",
            "halfLife",
            "minutes",
            "peakFade",
            "regions",
            "seconds",
            "slot",
            "workloads",
        ];
        assert_eq!(fields, expected, "{problems:?}");
    }
}
