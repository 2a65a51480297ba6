use gleaner_model::{Permille, Span};
use serde::{Deserialize, Serialize};

/// When reclaimed pods must go. In a configuration every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// CPU promised to all reclaimed pods over CPU that they can get, up to which they only run slowly. A pod may ask for less
    /// (`suppression_tolerance_rate`), not for more.
    pub suppression_tolerance: Permille,
    /// How long more than that must last.
    pub suppression_after: Span,
    /// Share of 10 s in which some task of the node waited for memory, from which pods must go.
    pub memory_pressure_some_avg10: Permille,
    /// How long that must last; not at all, with a third of the share, when a pressure trigger of the kernel fired.
    pub memory_pressure_after: Span,
    /// Available memory over the kernel's low watermark, below which pods must go.
    pub memory_available_watermark_factor: Permille,
    /// How long that must last; not at all below the watermark itself.
    pub memory_low_after: Span,
    /// A pod that holds less of the node's memory than this is no victim of the memory rules: its end would free nothing.
    pub memory_victim_share: Permille,
    /// The most victims of suppression in one round; 0 switches the rule off.
    pub cpu_budget: u32,
    /// The most victims of the memory rules in one round; 0 switches them off. Pressure takes one: it does not say how much is missing.
    pub memory_budget: u32,
    /// How long after an eviction there is no other.
    pub cool_down: Span,
    /// The longest that an evicted pod may take to end, however long its own grace period is.
    pub reclaimed_grace: Span,
    /// A reading older than this counts as missing. It is also the longest pause between two ticks that counts as time in which a
    /// cause lasted.
    pub stale_after: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            suppression_tolerance: Permille::new(5000),
            suppression_after: Span::from_secs(300),
            memory_pressure_some_avg10: Permille::new(150),
            memory_pressure_after: Span::from_secs(15),
            memory_available_watermark_factor: Permille::new(2000),
            memory_low_after: Span::from_secs(10),
            memory_victim_share: Permille::new(1),
            cpu_budget: 1,
            memory_budget: 3,
            cool_down: Span::from_secs(35),
            reclaimed_grace: Span::from_secs(60),
            stale_after: Span::from_secs(10),
        }
    }
}

impl Policy {
    /// Checks that the policy can work.
    ///
    /// # Errors
    /// Every problem, each beginning with the name of its field; never empty.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let whole = Permille::new(1000);
        let mut problems = Vec::new();
        if self.suppression_tolerance < whole {
            problems.push(format!("suppressionTolerance: {} would evict pods that get all they were promised", self.suppression_tolerance));
        }
        if self.memory_pressure_some_avg10.get() == 0 || self.memory_pressure_some_avg10 > whole {
            problems.push(format!("memoryPressureSomeAvg10: {} is not above 0% and at most 100%", self.memory_pressure_some_avg10));
        }
        if self.memory_available_watermark_factor < whole {
            let factor = self.memory_available_watermark_factor;
            problems.push(format!("memoryAvailableWatermarkFactor: {factor} is below the watermark itself, which is 100%"));
        }
        if self.memory_victim_share > whole {
            problems.push(format!("memoryVictimShare: {} is more than the node has", self.memory_victim_share));
        }
        if self.stale_after.is_zero() {
            problems.push(format!("staleAfter: {} makes every reading stale", self.stale_after));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_valid_and_round_trips() {
        let policy = Policy::default();
        assert_eq!(policy.validate(), Ok(()));
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy, "{text}");
    }

    #[test]
    fn a_field_left_out_has_its_default_and_an_unknown_one_is_refused() {
        let policy: Policy = serde_json::from_str(r#"{"suppressionTolerance": "200%", "suppressionAfter": "5m", "cpuBudget": 0}"#).unwrap();
        let expected = Policy { suppression_tolerance: Permille::new(2000), cpu_budget: 0, ..Policy::default() };
        assert_eq!(policy, expected);
        let error = serde_json::from_str::<Policy>(r#"{"coolDowns": "1s"}"#).unwrap_err().to_string();
        assert!(error.contains("coolDowns"), "{error}");
    }

    #[test]
    fn every_problem_names_its_field() {
        let policy = Policy {
            suppression_tolerance: Permille::new(999),
            memory_pressure_some_avg10: Permille::new(0),
            memory_available_watermark_factor: Permille::new(999),
            memory_victim_share: Permille::new(1001),
            stale_after: Span::from_secs(0),
            ..Policy::default()
        };
        let problems = policy.validate().unwrap_err();
        let fields: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        let expected =
            ["suppressionTolerance", "memoryPressureSomeAvg10", "memoryAvailableWatermarkFactor", "memoryVictimShare", "staleAfter"];
        assert_eq!(fields, expected, "{problems:?}");
    }
}
