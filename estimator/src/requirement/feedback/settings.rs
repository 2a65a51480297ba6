use gleaner_model::{Permille, Span};
use serde::{Deserialize, Serialize};

/// Settings of the policy. Gains are for an error of 1, which is a figure at 2.7 times its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FeedbackSettings {
    /// Target of `cpu_pressure`: the share of time in which some task of the worst container has no CPU. 20 % by default: a service with
    /// many threads shows several per cent on an idle node, because they wake together. `None`: not looked at.
    pub cpu_pressure: Option<Permille>,
    /// Target of `throttled`: the share of quota periods in which the worst container was stopped by its own limit. `None` by default: only a
    /// higher limit ends that, not more CPU for its region. Where what such a container wants but cannot use shall be kept free, 5 %.
    pub throttled: Option<Permille>,
    /// Target of `cpu_sched_wait`: on the mean CPU of the region, the time that tasks waited for it over time. 30 % by default: while less
    /// than every third CPU has a task waiting, the next free one is near. `None`: not looked at.
    pub cpu_sched_wait: Option<Permille>,
    /// How far above its target a figure may be without effect, so that noise moves nothing.
    pub tolerance_above: Permille,
    /// How far below its target a figure must be before anything is given back. Much more than above: pressure falls steeply with the CPU
    /// that a region has, and what is given back to the last per cent is missed soon.
    pub tolerance_below: Permille,
    /// By how much of what is wanted the margin grows in a second.
    pub protect: Permille,
    /// By how much of what is wanted the margin grows when the error does, whatever time that takes.
    pub protect_at_once: Permille,
    /// By how much of what is wanted the margin shrinks in a second.
    pub give_back: Permille,
    /// For how long all targets must have been met before the margin shrinks. It is longer than the delay with which indicators follow.
    pub give_back_after: Span,
    /// The most by which the figure rises in a second beyond what was in force. What is wanted now is asked for at once all the same.
    pub rise_per_second: Permille,
    /// The most by which the figure falls in a second.
    pub fall_per_second: Permille,
    /// The margin does not grow while the region would use less than this share of what is asked for. Zero lifts that bound.
    pub in_use: Permille,
    /// The largest margin.
    pub largest_margin: Permille,
}

impl Default for FeedbackSettings {
    fn default() -> Self {
        Self {
            cpu_pressure: Some(Permille::new(200)),
            throttled: None,
            cpu_sched_wait: Some(Permille::new(300)),
            tolerance_above: Permille::new(50),
            tolerance_below: Permille::new(500),
            protect: Permille::new(20),
            protect_at_once: Permille::new(100),
            give_back: Permille::new(1),
            give_back_after: Span::from_secs(60),
            rise_per_second: Permille::new(100),
            fall_per_second: Permille::new(10),
            in_use: Permille::new(500),
            largest_margin: Permille::new(2000),
        }
    }
}

impl FeedbackSettings {
    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Every problem, each beginning with the name of its field; never empty.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let bounds = [
            ("cpuPressure", self.cpu_pressure, 1, 1000),
            ("throttled", self.throttled, 1, 1000),
            ("cpuSchedWait", self.cpu_sched_wait, 1, u32::MAX),
            ("toleranceAbove", Some(self.tolerance_above), 0, 7000),
            ("toleranceBelow", Some(self.tolerance_below), 0, 875),
            ("protect", Some(self.protect), 1, 1000),
            ("protectAtOnce", Some(self.protect_at_once), 0, 1000),
            ("giveBack", Some(self.give_back), 1, self.protect.get()),
            ("risePerSecond", Some(self.rise_per_second), 1, 10_000),
            ("fallPerSecond", Some(self.fall_per_second), 1, 1000),
            ("inUse", Some(self.in_use), 0, 1000),
            ("largestMargin", Some(self.largest_margin), 1, 10_000),
        ];
        let outside = |(field, value, least, most): (&str, Option<Permille>, u32, u32)| {
            let value = value.filter(|value| value.get() < least || value.get() > most)?;
            Some(format!("{field}: {value} is not between {} and {}", Permille::new(least), Permille::new(most)))
        };
        let problems: Vec<String> = bounds.into_iter().filter_map(outside).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_round_trip() {
        let settings = FeedbackSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<FeedbackSettings>(&text).unwrap(), settings, "{text}");
    }

    #[test]
    fn a_target_can_be_set_or_switched_off() {
        let settings: FeedbackSettings = serde_json::from_str(r#"{"throttled": "5%", "cpuPressure": null}"#).unwrap();
        let expected = FeedbackSettings { throttled: Some(Permille::new(50)), cpu_pressure: None, ..FeedbackSettings::default() };
        assert_eq!(settings, expected);
    }

    #[test]
    fn every_problem_names_its_field() {
        let (none, much) = (Permille::new(0), Permille::new(u32::MAX));
        let settings = FeedbackSettings {
            cpu_pressure: Some(none),
            throttled: Some(much),
            cpu_sched_wait: Some(none),
            tolerance_above: much,
            tolerance_below: Permille::new(1000),
            protect: none,
            protect_at_once: much,
            give_back: Permille::new(21),
            give_back_after: Span::from_secs(0),
            rise_per_second: none,
            fall_per_second: Permille::new(1001),
            in_use: Permille::new(1001),
            largest_margin: none,
        };
        let problems = settings.validate().unwrap_err();
        let fields: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        let expected = [
            "cpuPressure",
            "throttled",
            "cpuSchedWait",
            "toleranceAbove",
            "toleranceBelow",
            "protect",
            "protectAtOnce",
            "giveBack",
            "risePerSecond",
            "fallPerSecond",
            "inUse",
            "largestMargin",
        ];
        assert_eq!(fields, expected, "{problems:?}");
        assert!(problems.iter().any(|p| p == "giveBack: 2.1% is not between 0.1% and 0%"), "{problems:?}");
    }
}
