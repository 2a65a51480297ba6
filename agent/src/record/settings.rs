use gleaner_model::{Bytes, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Whether and where ticks are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RecordSettings {
    /// The file; none: nothing is recorded.
    pub(crate) file: Option<PathBuf>,
    /// The most that one file takes.
    pub(crate) max_size: Bytes,
    /// How many older files are kept beside it.
    pub(crate) keep: u32,
    /// What is not older than this may be lost when the agent is killed.
    pub(crate) flush_after: Span,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { file: None, max_size: Bytes::new(64 << 20), keep: 4, flush_after: Span::new(Duration::from_secs(20)) }
    }
}

const SMALLEST: Bytes = Bytes::new(64 << 10);
const MOST_KEPT: u32 = 1000;

impl RecordSettings {
    /// Every problem, each beginning with its key.
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.file.as_ref().is_some_and(|file| file.file_name().is_none()) {
            problems.push("file: names no file".to_owned());
        }
        if self.max_size < SMALLEST {
            problems.push(format!("maxSize: {} is less than {SMALLEST}", self.max_size));
        }
        if self.keep > MOST_KEPT {
            problems.push(format!("keep: {} is more than {MOST_KEPT}", self.keep));
        }
        let after = self.flush_after.get();
        if after < Duration::from_secs(1) || after > Duration::from_secs(600) {
            problems.push(format!("flushAfter: {} is not between 1s and 10m", self.flush_after));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_names_its_key() {
        let wrong = r#"{"file": "/", "maxSize": "1Ki", "keep": 1001, "flushAfter": "1ms"}"#;
        let problems = serde_json::from_str::<RecordSettings>(wrong).unwrap().validate();
        let keys: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(keys, ["file", "maxSize", "keep", "flushAfter"], "{problems:?}");
        assert_eq!(RecordSettings::default().validate(), Vec::<String>::new());
    }
}
