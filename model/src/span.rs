//! A span of time as people write it in a configuration.

use crate::error::ValueError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time. Text is whole numbers with units, largest first by custom: `300ms`, `30s`, `5m`, `1h`, `1m30s`; a bare number is
/// refused, since it does not say its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

const SECOND: u128 = 1_000_000_000;

/// Units in nanoseconds, largest first.
const UNITS: [(&str, u128); 6] = [("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

impl Span {
    /// A span of this length.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Its length.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it has no length.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(length: Duration) -> Self {
        Self(length)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// One number with the largest unit that divides the span, so that text round-trips: `90s`, `5m`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match UNITS.iter().find(|(_, unit)| nanos != 0 && nanos.is_multiple_of(*unit)) {
            Some((suffix, unit)) => f.pad(&format!("{}{suffix}", nanos / unit)),
            None => f.pad("0s"),
        }
    }
}

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let malformed = || ValueError::malformed(text, "a span of time such as 300ms, 30s, 5m or 1h");
        let out_of_range = || ValueError::out_of_range(text, "too long a span of time");
        let mut nanos: u128 = 0;
        let mut rest = text;
        loop {
            let (number, after) = rest.split_at_checked(leading(rest, |b| b.is_ascii_digit())).ok_or_else(malformed)?;
            let (unit, next) = after.split_at_checked(leading(after, |b| b.is_ascii_alphabetic())).ok_or_else(malformed)?;
            let (_, unit) = UNITS.iter().find(|(suffix, _)| *suffix == unit).ok_or_else(malformed)?;
            if number.is_empty() {
                return Err(malformed());
            }
            let part = number.parse::<u128>().ok().and_then(|n| n.checked_mul(*unit)).ok_or_else(out_of_range)?;
            nanos = nanos.checked_add(part).ok_or_else(out_of_range)?;
            if next.is_empty() {
                break;
            }
            rest = next;
        }
        let seconds = u64::try_from(nanos / SECOND).map_err(|_| out_of_range())?;
        let below = u32::try_from(nanos % SECOND).map_err(|_| out_of_range())?;
        Ok(Self(Duration::new(seconds, below)))
    }
}

/// How many bytes at the beginning are of a kind.
fn leading(text: &str, kind: impl Fn(&u8) -> bool) -> usize {
    text.as_bytes().iter().take_while(|b| kind(b)).count()
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        let table =
            [("300ms", 300), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1m30s", 90_000), ("0s", 0), ("1h0m1s500ms", 3_601_500)];
        for (text, millis) in table {
            assert_eq!(text.parse::<Span>(), Ok(Span::new(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn what_does_not_say_its_unit_is_refused() {
        for bad in ["", "30", "s", "30 s", " 30s", "-1s", "+1s", "1.5s", "1d", "30S", "30s5", "1µs", "m5"] {
            assert!(matches!(bad.parse::<Span>(), Err(ValueError::Malformed { .. })), "{bad:?}");
        }
        let long = format!("{}h", u64::MAX);
        assert!(matches!(long.parse::<Span>(), Err(ValueError::OutOfRange { .. })), "{long}");
        assert!(serde_json::from_str::<Span>("30").is_err());
    }

    #[test]
    fn text_shows_the_largest_unit_that_divides() {
        for (millis, text) in [(0, "0s"), (90_000, "90s"), (300_000, "5m"), (7_200_000, "2h"), (1500, "1500ms")] {
            assert_eq!(Span::new(Duration::from_millis(millis)).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(seconds: u64, nanos in 0u32..1_000_000_000) {
            let span = Span::new(Duration::new(seconds, nanos));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            let json = serde_json::to_string(&span).unwrap();
            prop_assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[0-9hmsnu]{0,50}") {
            let _ = text.parse::<Span>();
        }
    }
}
