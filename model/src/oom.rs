use crate::error::ValueError;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the kernel adds to a process's badness when memory has run out, in thousandths of the memory that there is; the process with the
/// most is killed (kernel, `filesystems/proc.rst` 3.1). -1000 is never, 1000 is first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OomScoreAdj(i16);

impl OomScoreAdj {
    /// Never killed (`OOM_SCORE_ADJ_MIN`).
    pub const MIN: Self = Self(-1000);
    /// Killed first (`OOM_SCORE_ADJ_MAX`).
    pub const MAX: Self = Self(1000);

    /// The score; `None` outside -1000..=1000.
    #[must_use]
    pub fn new(score: i32) -> Option<Self> {
        i16::try_from(score).ok().map(Self).filter(|score| (Self::MIN..=Self::MAX).contains(score))
    }

    /// The number that the kernel's file holds.
    #[must_use]
    pub fn get(self) -> i32 {
        i32::from(self.0)
    }
}

impl fmt::Display for OomScoreAdj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OomScoreAdj {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        // `i32::from_str` takes a leading plus sign, the kernel's text has none.
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ValueError::malformed(text, "a score such as 500 or -100"));
        }
        text.parse().ok().and_then(Self::new).ok_or_else(|| ValueError::out_of_range(text, "scores are -1000 to 1000"))
    }
}

impl<'de> Deserialize<'de> for OomScoreAdj {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let score = i32::deserialize(deserializer)?;
        Self::new(score).ok_or_else(|| serde::de::Error::custom(ValueError::out_of_range(&score.to_string(), "scores are -1000 to 1000")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_within_the_kernels_bounds_or_refused() {
        let read = |text: &str| text.parse::<OomScoreAdj>().map(OomScoreAdj::get).map_err(|e| e.to_string());
        assert_eq!((read("-1000"), read("0"), read("1000")), (Ok(-1000), Ok(0), Ok(1000)));
        for bad in ["1001", "-1001", "99999999999", "", "-", "+5", "5 ", "x"] {
            assert!(read(bad).is_err(), "{bad:?} was read as {:?}", read(bad));
        }
        assert!(serde_json::from_str::<OomScoreAdj>("1001").is_err());
        assert_eq!(serde_json::from_str::<OomScoreAdj>("-998").ok().map(OomScoreAdj::get), Some(-998));
    }
}
