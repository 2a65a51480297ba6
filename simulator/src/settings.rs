use gleaner_model::{MilliCpu, ValueError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What nodes are like and how they are judged. Spans of time are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// CPUs of a node.
    pub cores: u32,
    /// CPU that is never lent.
    pub reserve: MilliCpu,
    /// Nodes of each set of virtual machines.
    pub nodes: u32,
    /// Days of each node, or all that the traces hold.
    pub days: Option<u32>,
    /// Where all that is drawn comes from.
    pub seed: u64,
    /// From the sample to the promise that came of it.
    pub delay: u64,
    /// From one decision to the next.
    pub step: u32,
    /// What of a longer step counts.
    pub step_demand: StepDemand,
    /// How far the clairvoyant looks.
    pub horizon: Horizon,
    /// How many days a virtual machine stays on average; for ever when not given.
    pub lifetime: Option<u32>,
    /// At the beginning of each node, not scored.
    pub warm_up: u64,
    /// Which columns of a trace are used.
    pub split: Split,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cores: 48,
            reserve: MilliCpu::from_cpus(4),
            nodes: 20,
            days: None,
            seed: 1,
            delay: 2,
            step: 1,
            step_demand: StepDemand::Max,
            horizon: Horizon::Seconds(3600),
            lifetime: None,
            warm_up: 86_400,
            split: Split::All,
        }
    }
}

const MOST_CORES: u32 = 1024;
const MOST_NODES: u32 = 10_000;
const LONGEST_STEP: u32 = 3600;
const LONGEST_DELAY: u64 = 3600;
const LONGEST_LIFETIME: u32 = 3650;

impl Settings {
    /// Checks that nodes can be made and judged.
    ///
    /// # Errors
    /// The first thing that is wrong, beginning with its flag.
    pub fn validate(&self) -> Result<(), String> {
        let within = |flag: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(format!("--{flag}: {value} is not from {least} to {most}")) }
        };
        within("cores", self.cores.into(), 1, MOST_CORES.into())?;
        within("nodes", self.nodes.into(), 1, MOST_NODES.into())?;
        within("step", self.step.into(), 1, LONGEST_STEP.into())?;
        within("delay", self.delay, 0, LONGEST_DELAY)?;
        if let Some(days) = self.days {
            within("days", days.into(), 1, MOST_NODES.into())?;
        }
        if let Some(days) = self.lifetime {
            within("lifetime", days.into(), 1, LONGEST_LIFETIME.into())?;
        }
        if self.reserve >= MilliCpu::from_cpus(self.cores) {
            return Err(format!("--reserve: {} leaves nothing of {} CPUs to lend", self.reserve, self.cores));
        }
        match self.horizon {
            Horizon::Seconds(seconds) if seconds < u64::from(self.step) => {
                Err(format!("--horizon: {seconds}s is less than a step of {}s", self.step))
            }
            _ => Ok(()),
        }
    }
}

/// What of a step of several seconds counts as what a machine wanted in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepDemand {
    /// Its highest second.
    #[default]
    Max,
    /// The average of its seconds.
    Average,
}

impl FromStr for StepDemand {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self::Max),
            "average" => Ok(Self::Average),
            _ => Err(format!("{text:?} is none of max, average")),
        }
    }
}

/// How far the clairvoyant looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// So many seconds, the present one included.
    Seconds(u64),
    /// To the end of each pod that runs now.
    Lifetime,
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => f.pad(&gleaner_model::Span::from_secs(*seconds).to_string()),
            Self::Lifetime => f.pad("lifetime"),
        }
    }
}

impl FromStr for Horizon {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "lifetime" {
            return Ok(Self::Lifetime);
        }
        text.parse().map(|span: gleaner_model::Span| Self::Seconds(span.get().as_secs()))
    }
}

impl Serialize for Horizon {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which columns of a trace are used, counted from 0, so that what was chosen on some can be judged on the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// The first, the third and so on.
    Even,
    /// The second, the fourth and so on.
    Odd,
    /// Each.
    #[default]
    All,
}

impl Split {
    /// Whether it has this column.
    #[must_use]
    pub fn has(self, column: usize) -> bool {
        match self {
            Self::Even => column.is_multiple_of(2),
            Self::Odd => !column.is_multiple_of(2),
            Self::All => true,
        }
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Odd => "odd",
            Self::All => "all",
        }
    }
}

impl FromStr for Split {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::Even, Self::Odd, Self::All].into_iter().find(|split| split.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is none of even, odd, all"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_its_flag() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let change = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().unwrap_err()
        };
        assert_eq!(change(|s| s.cores = 0), "--cores: 0 is not from 1 to 1024");
        assert_eq!(change(|s| s.nodes = 0), "--nodes: 0 is not from 1 to 10000");
        assert_eq!(change(|s| s.step = 0), "--step: 0 is not from 1 to 3600");
        assert_eq!(change(|s| s.delay = 3601), "--delay: 3601 is not from 0 to 3600");
        assert_eq!(change(|s| s.days = Some(0)), "--days: 0 is not from 1 to 10000");
        assert_eq!(change(|s| s.lifetime = Some(0)), "--lifetime: 0 is not from 1 to 3650");
        assert_eq!(change(|s| s.cores = 4), "--reserve: 4 leaves nothing of 4 CPUs to lend");
        assert_eq!(change(|s| s.horizon = Horizon::Seconds(0)), "--horizon: 0s is less than a step of 1s");
    }

    #[test]
    fn a_horizon_is_a_span_or_a_lifetime() {
        assert_eq!("6h".parse(), Ok(Horizon::Seconds(21_600)));
        assert_eq!("lifetime".parse(), Ok(Horizon::Lifetime));
        assert!("6".parse::<Horizon>().is_err());
        assert_eq!(Horizon::Seconds(21_600).to_string(), "6h");
    }

    #[test]
    fn even_and_odd_share_all_columns() {
        for column in 0..5 {
            assert!(Split::Even.has(column) != Split::Odd.has(column) && Split::All.has(column), "{column}");
        }
        assert_eq!("odd".parse(), Ok(Split::Odd));
        assert_eq!("x".parse::<Split>(), Err("\"x\" is none of even, odd, all".to_owned()));
    }
}
