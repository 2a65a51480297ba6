//! Settings of what can be lent.

use gleaner_model::{Bytes, MilliCpu, Permille};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the promise follows what is left. In a configuration every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeadroomSettings {
    /// What is too little to be offered.
    pub fragments: Fragments,
    /// The part of a NUMA node's page cache not used lately that counts as free: some of it has to be written to a disk first.
    pub inactive_file: Permille,
    /// The part of zram that must be free; what it falls short of is kept back, since the kernel could not move so much out of the way.
    pub zram_free: Permille,
    /// What waiting for memory does.
    pub pressure: PressureSettings,
    /// How far the promise is raised when little of it is used.
    pub utilisation: Utilisation,
}

impl Default for HeadroomSettings {
    fn default() -> Self {
        Self {
            fragments: Fragments::default(),
            inactive_file: Permille::new(800),
            zram_free: Permille::new(200),
            pressure: PressureSettings::default(),
            utilisation: Utilisation::default(),
        }
    }
}

/// Amounts below which nothing is offered, neither CPU nor memory: no pod could live in what is there. On a NUMA node and on the whole node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fragments {
    /// Of CPU.
    pub cpu: MilliCpu,
    /// Of memory.
    pub memory: Bytes,
}

impl Default for Fragments {
    fn default() -> Self {
        Self { cpu: MilliCpu::new(100), memory: Bytes::new(100 << 20) }
    }
}

/// Shares of the last 10 s in which some task waited for memory (`some avg10` of the kernel's pressure files), of the node or of a pod that is
/// not reclaimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PressureSettings {
    /// Above it memory does not rise.
    pub hold: Permille,
    /// Above it memory falls.
    pub fall: Permille,
    /// By how much in a second, as a share of the capacity.
    pub fall_per_second: Permille,
}

impl Default for PressureSettings {
    fn default() -> Self {
        Self { hold: Permille::new(50), fall: Permille::new(100), fall_per_second: Permille::new(20) }
    }
}

/// Promises of more than there is, as long as reclaimed pods use little of what they were promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Utilisation {
    /// Below this use of the promised CPU the promise of CPU is raised. `off`: never.
    #[serde(serialize_with = "or_off", deserialize_with = "off_or")]
    pub target: Option<Permille>,
    /// The same of memory, which cannot be taken away as fast as CPU.
    #[serde(serialize_with = "or_off", deserialize_with = "off_or")]
    pub memory_target: Option<Permille>,
    /// The most that is promised, as a share of what there is.
    pub ceiling: Permille,
    /// The most by which the promise is raised in a minute, as a share of what there is. It falls at once.
    pub rise_per_minute: Permille,
}

impl Default for Utilisation {
    fn default() -> Self {
        Self { target: None, memory_target: None, ceiling: Permille::new(1200), rise_per_minute: Permille::new(20) }
    }
}

const OFF: &str = "off";

#[allow(clippy::ref_option, reason = "the shape that serde wants")]
fn or_off<S: Serializer>(target: &Option<Permille>, serializer: S) -> Result<S::Ok, S::Error> {
    match target {
        Some(target) => target.serialize(serializer),
        None => serializer.serialize_str(OFF),
    }
}

/// `off` without quotes is `false` to YAML parsers of version 1.1.
fn off_or<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Permille>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "is a percentage such as 60%, or off")]
    enum OffOr {
        Switch(bool),
        Text(String),
    }
    match OffOr::deserialize(deserializer)? {
        OffOr::Switch(false) => Ok(None),
        OffOr::Switch(true) => Err(serde::de::Error::custom("is a percentage such as 60%, or off")),
        OffOr::Text(text) if text == OFF => Ok(None),
        OffOr::Text(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

const WHOLE: Permille = Permille::new(1000);
/// Three times what there is: what is more would be cut by evictions before it was of use.
const HIGHEST_CEILING: Permille = Permille::new(3000);

impl HeadroomSettings {
    /// Every problem, each beginning with the name of its field in the policy; empty when there is none.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Self { pressure, utilisation, .. } = self;
        let mut check = |wrong: bool, field: &str, problem: String| {
            if wrong {
                problems.push(format!("headroom.{field}: {problem}"));
            }
        };
        let parts = [
            ("inactiveFile", self.inactive_file),
            ("zramFree", self.zram_free),
            ("pressure.hold", pressure.hold),
            ("pressure.fall", pressure.fall),
        ];
        for (field, part) in parts {
            check(part > WHOLE, field, format!("{part} is more than 100%"));
        }
        check(pressure.fall < pressure.hold, "pressure.fall", format!("{} is less than hold, {}", pressure.fall, pressure.hold));
        let rates = [("pressure.fallPerSecond", pressure.fall_per_second), ("utilisation.risePerMinute", utilisation.rise_per_minute)];
        let targets = [("utilisation.target", utilisation.target), ("utilisation.memoryTarget", utilisation.memory_target)];
        let targets = targets.into_iter().filter_map(|(field, target)| Some((field, target?)));
        for (field, share) in rates.into_iter().chain(targets) {
            check(share.get() == 0 || share > WHOLE, field, format!("{share} is not above 0% and at most 100%"));
        }
        let ceiling = utilisation.ceiling;
        let wrong = ceiling < WHOLE || ceiling > HIGHEST_CEILING;
        check(wrong, "utilisation.ceiling", format!("{ceiling} is not from {WHOLE} to {HIGHEST_CEILING}"));
        problems
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_percentage_or_off() {
        let table = [(r#""off""#, None), ("false", None), (r#""60%""#, Some(Permille::new(600)))];
        for (text, expected) in table {
            let read: Utilisation = serde_json::from_str(&format!(r#"{{"target": {text}}}"#)).unwrap();
            assert_eq!(read.target, expected, "{text}");
        }
        for text in ["true", "60", r#""on""#] {
            assert!(serde_json::from_str::<Utilisation>(&format!(r#"{{"target": {text}}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn every_problem_names_its_field() {
        let much = Permille::new(1001);
        let settings = HeadroomSettings {
            inactive_file: much,
            zram_free: much,
            pressure: PressureSettings { hold: much, fall: Permille::new(1), fall_per_second: Permille::new(0) },
            utilisation: Utilisation {
                target: Some(Permille::new(0)),
                memory_target: Some(much),
                ceiling: Permille::new(999),
                rise_per_minute: much,
            },
            ..HeadroomSettings::default()
        };
        let problems = settings.problems();
        let fields: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        let expected = [
            "inactiveFile",
            "zramFree",
            "pressure.hold",
            "pressure.fall",
            "pressure.fallPerSecond",
            "utilisation.risePerMinute",
            "utilisation.target",
            "utilisation.memoryTarget",
            "utilisation.ceiling",
        ];
        assert_eq!(fields, expected.map(|field| format!("headroom.{field}")), "{problems:#?}");
        assert_eq!(HeadroomSettings::default().problems(), Vec::<String>::new());
    }
}
