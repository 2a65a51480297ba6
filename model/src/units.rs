//! Quantities with their unit in the type. Arithmetic saturates: a quantity that cannot be represented is the nearest that can.

use crate::error::ValueError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);
            /// The quantity of this many units.
            #[must_use]
            pub const fn new(units: u64) -> Self {
                Self(units)
            }
            /// How many units.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
            /// Whether it is nothing.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
            /// The sum, at most the largest value.
            #[must_use]
            pub const fn plus(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
            /// The difference, at least zero.
            #[must_use]
            pub const fn minus(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
            /// This times `numerator / denominator`, rounded down; with a zero denominator, this unchanged.
            #[must_use]
            pub fn scaled(self, numerator: u64, denominator: u64) -> Self {
                match (u128::from(self.0) * u128::from(numerator)).checked_div(u128::from(denominator)) {
                    Some(value) => Self(u64::try_from(value).unwrap_or(u64::MAX)),
                    None => self,
                }
            }
            /// This times a share, rounded down.
            #[must_use]
            pub fn share(self, share: Permille) -> Self {
                self.scaled(u64::from(share.get()), 1000)
            }
        }

        impl std::iter::Sum for $name {
            fn sum<T: Iterator<Item = Self>>(values: T) -> Self {
                values.fold(Self::ZERO, Self::plus)
            }
        }
    };
}

macro_rules! as_text {
    ($name:ident, $expected:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Accepts the text, or a plain whole number as YAML and JSON authors write it.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged, expecting = $expected)]
                enum TextOrNumber {
                    Number(u64),
                    Text(String),
                }
                let text = match TextOrNumber::deserialize(deserializer)? {
                    TextOrNumber::Number(number) => number.to_string(),
                    TextOrNumber::Text(text) => text,
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

quantity!(
    /// CPU time per time, in thousandths of one CPU. Text is Kubernetes' quantity: `1500m`, `2`, `0.5`.
    MilliCpu
);
quantity!(
    /// An amount of memory in bytes. Text is Kubernetes' quantity: `512Mi`, `1G`, `4096`.
    Bytes
);
quantity!(
    /// A span of time in microseconds, as the kernel's CPU controllers count.
    Micros
);
as_text!(MilliCpu, "is no amount of CPU such as 500m or 2");
as_text!(Bytes, "is no amount of memory such as 512Mi");
as_text!(Permille, "is no share such as 10%");

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

impl MilliCpu {
    /// Whole CPUs.
    #[must_use]
    pub fn from_cpus(cpus: u32) -> Self {
        Self(u64::from(cpus) * 1000)
    }

    /// The fewest whole CPUs that cover it.
    #[must_use]
    pub fn ceil_cpus(self) -> u32 {
        u32::try_from(self.0.div_ceil(1000)).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { f.pad(&(self.0 / 1000).to_string()) } else { f.pad(&format!("{}m", self.0)) }
    }
}

impl FromStr for MilliCpu {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WHAT: &str = "an amount of CPU such as 1500m, 2 or 0.5";
        if let Some(milli) = text.strip_suffix('m') {
            return decimal(milli, 1).map(Self).ok_or_else(|| ValueError::malformed(text, WHAT));
        }
        decimal(text, 1000).map(Self).ok_or_else(|| ValueError::malformed(text, WHAT))
    }
}

const BINARY: [(&str, u64); 5] = [("Pi", 1 << 50), ("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
const DECIMAL: [(&str, u64); 6] =
    [("P", 1_000_000_000_000_000), ("T", 1_000_000_000_000), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1000), ("", 1)];

/// The exact quantity text with the largest binary suffix that divides it, so that text round-trips.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BINARY.iter().find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match exact {
            Some((suffix, unit)) => f.pad(&format!("{}{suffix}", self.0 / unit)),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl Bytes {
    /// For people: about three digits with a binary suffix, such as `1.5Gi`. Not exact.
    #[must_use]
    pub fn rounded(self) -> String {
        match BINARY.iter().find(|(_, unit)| self.0 >= *unit) {
            Some((suffix, unit)) if self.0 / unit < 10 => {
                let tenths = u128::from(self.0) * 10 / u128::from(*unit);
                format!("{}.{}{suffix}", tenths / 10, tenths % 10)
            }
            Some((suffix, unit)) => format!("{}{suffix}", self.0 / unit),
            None => self.0.to_string(),
        }
    }
}

impl FromStr for Bytes {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (number, unit) = BINARY
            .iter()
            .chain(&DECIMAL)
            .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, *unit)))
            .unwrap_or((text, 1));
        decimal(number, unit).map(Self).ok_or_else(|| ValueError::malformed(text, "an amount of memory such as 512Mi, 1G or 4096"))
    }
}

/// `digits[.digits]` times `unit`, exact or rounded up as Kubernetes does.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || fraction.len() > 15 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let total = whole.checked_mul(u128::from(unit))?.checked_add((fraction * u128::from(unit)).div_ceil(scale))?;
    u64::try_from(total).ok()
}

/// A share of something, in thousandths. Text is a percentage: `12.5%`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permille(u32);

impl Permille {
    /// This many thousandths.
    #[must_use]
    pub const fn new(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// How many thousandths.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As a decimal number where 1 is the whole: `1.05`.
    #[must_use]
    pub fn ratio(self) -> String {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// `part / whole`, rounded to the nearest thousandth; `None` when the whole is zero.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        let whole = u128::from(whole);
        let value = (u128::from(part) * 1000 + whole / 2).checked_div(whole)?;
        Some(Self(u32::try_from(value).unwrap_or(u32::MAX)))
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(10) { f.pad(&format!("{}%", self.0 / 10)) } else { f.pad(&format!("{}.{}%", self.0 / 10, self.0 % 10)) }
    }
}

impl FromStr for Permille {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let malformed = || ValueError::malformed(text, "a percentage such as 12.5%");
        let number = text.strip_suffix('%').ok_or_else(malformed)?;
        let value = decimal(number, 10).ok_or_else(malformed)?;
        u32::try_from(value).map(Self).map_err(|_| ValueError::out_of_range(text, "too large a percentage"))
    }
}

/// A bound that may be lifted; the kernel's text for no bound is `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit<T> {
    /// Bounded at this value.
    At(T),
    /// Not bounded.
    Max,
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(value) => value.fmt(f),
            Self::Max => f.pad("max"),
        }
    }
}

/// A moment on the machine's monotonic clock, as time since boot. It orders and measures; it is no date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The moment this long after boot.
    #[must_use]
    pub const fn since_boot(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since boot.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

#[cfg(test)]
mod tests;
