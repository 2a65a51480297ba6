use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Nothing was read yet, or a rate has only its first of two samples.
    NotYet,
    /// The kernel or the hierarchy has no such file.
    NotOffered,
    /// The cgroup went away between being listed and being read.
    Vanished,
    /// The kernel refused, or printed what could not be understood.
    Unreadable(String),
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("not sampled yet"),
            Self::NotOffered => f.write_str("the kernel does not offer it"),
            Self::Vanished => f.write_str("the cgroup is gone"),
            Self::Unreadable(cause) => f.write_str(cause),
        }
    }
}

/// A value that was measured, with its age, or the reason why there is none. Missing is never zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// Measured.
    Present {
        /// The value.
        value: T,
        /// When it was measured.
        at: Timestamp,
    },
    /// Not known.
    Absent(Absence),
}

impl<T> Reading<T> {
    /// A value measured at this moment.
    pub const fn present(value: T, at: Timestamp) -> Self {
        Self::Present { value, at }
    }

    /// The value, however old.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Present { value, .. } => Some(value),
            Self::Absent(_) => None,
        }
    }

    /// The value, if it is at most `oldest` old at `now`.
    pub fn fresh(&self, now: Timestamp, oldest: Duration) -> Option<&T> {
        match self {
            Self::Present { value, at } if now.since(*at) <= oldest => Some(value),
            _ => None,
        }
    }

    /// The same reading of something derived from the value.
    pub fn map<U>(self, derive: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Present { value, at } => Reading::Present { value: derive(value), at },
            Self::Absent(absence) => Reading::Absent(absence),
        }
    }
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self::Absent(Absence::NotYet)
    }
}
