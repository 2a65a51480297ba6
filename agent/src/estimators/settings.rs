use gleaner_model::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// One estimator in another process: an entry of the section `estimators` of the configuration, under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct EstimatorSettings {
    /// The unix socket that it serves.
    pub(crate) socket: PathBuf,
    /// How often it is asked.
    pub(crate) period: Span,
    /// How long it has for an answer.
    pub(crate) deadline: Span,
    /// How long an answer holds at most.
    pub(crate) valid_for: Span,
}

impl Default for EstimatorSettings {
    fn default() -> Self {
        Self { socket: PathBuf::new(), period: Span::from_secs(10), deadline: Span::from_secs(1), valid_for: Span::from_secs(60) }
    }
}

/// So many names are more than a mistake.
pub(super) const LONGEST_NAME: usize = 63;

impl EstimatorSettings {
    /// What is wrong with it, each problem with its key.
    pub(crate) fn validate(&self, name: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(legal) {
            problems.push(format!("{name:?} is no name of 1 to {LONGEST_NAME} small letters, digits and dashes"));
        }
        if !self.socket.is_absolute() {
            problems.push(format!("{name}.socket: {:?} is not an absolute path", self.socket));
        }
        let spans = [
            ("period", self.period, Duration::from_secs(1)),
            ("deadline", self.deadline, Duration::from_millis(10)),
            ("validFor", self.valid_for, Duration::from_secs(1)),
        ];
        for (key, span, least) in spans {
            if span.get() < least || span.get() > Duration::from_secs(3600) {
                problems.push(format!("{name}.{key}: {span} is not between {} and 1h", Span::new(least)));
            }
        }
        if self.deadline > self.period {
            problems.push(format!("{name}.deadline: {} is longer than the period of {}", self.deadline, self.period));
        }
        problems
    }
}
