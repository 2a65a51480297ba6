//! Kubernetes quantities, exactly: `1500m`, `2k`, `1.5Gi`, `1e3`.
//!
//! The grammar is that of apimachinery's `resource.Quantity`; the arithmetic is on decimal digits, since neither a float nor 128
//! bits hold every text that the grammar allows. Both readings round up, as `Quantity.Value` and `Quantity.MilliValue` do. Stricter than
//! apimachinery in three places, because a resource amount read wrongly is lent wrongly: a text without a digit is an error (there it is
//! zero), what is above 2^63 - 1 is an error (there it is cut), and so is what is below zero.

use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::error::QuantityError;

/// A count of thousandths; of a core, for all CPU amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliValue(u64);

/// A count of whole units; bytes, for all memory amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WholeValue(u64);

impl MilliValue {
    /// So many thousandths.
    #[must_use]
    pub const fn new(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// The number of thousandths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As written in manifests: `2`, or `1500m` when it is not whole.
    #[must_use]
    pub fn to_quantity(self) -> Quantity {
        Quantity(self.to_string())
    }
}

impl WholeValue {
    /// So many units.
    #[must_use]
    pub const fn new(units: u64) -> Self {
        Self(units)
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As written in manifests, without a suffix.
    #[must_use]
    pub fn to_quantity(self) -> Quantity {
        Quantity(self.to_string())
    }
}

impl fmt::Display for MilliValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

impl fmt::Display for WholeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The quantity in thousandths, rounded up: `0.1` is 100, `1n` is 1.
///
/// # Errors
/// When the text is not a quantity, is negative, or has more than 2^63 - 1 thousandths.
pub fn milli_value(text: &str) -> Result<MilliValue, QuantityError> {
    scaled(text, 3).map(MilliValue)
}

/// The quantity in whole units, rounded up: `1.5Ki` is 1536, `100m` is 1.
///
/// # Errors
/// When the text is not a quantity, is negative, or has more than 2^63 - 1 units.
pub fn value(text: &str) -> Result<WholeValue, QuantityError> {
    scaled(text, 0).map(WholeValue)
}

/// What a suffix multiplies by: a power of two, or a power of ten.
struct Scale {
    two: u32,
    ten: i64,
}

/// `text` times ten to the power of `shift`, rounded up.
fn scaled(text: &str, shift: i64) -> Result<u64, QuantityError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = split_digits(unsigned);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(after_point) => split_digits(after_point),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(QuantityError::NoDigits);
    }
    let scale = scale_of(suffix)?;

    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b.saturating_sub(b'0')).collect();
    if digits.iter().all(|&d| d == 0) {
        return Ok(0);
    }
    if negative {
        return Err(QuantityError::Negative);
    }
    digits = times_power_of_two(&digits, scale.two);
    let fraction_digits = i64::try_from(fraction.len()).map_err(|_| QuantityError::Overflow)?;
    let exponent = scale.ten.saturating_add(shift).saturating_sub(fraction_digits);
    round_up(&digits, exponent)
}

/// Leading digits, and what follows them.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn scale_of(suffix: &str) -> Result<Scale, QuantityError> {
    let two = |two| Ok(Scale { two, ten: 0 });
    let ten = |ten| Ok(Scale { two: 0, ten });
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        // Alone it is exa; with digits after it, an exponent.
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            exponent.parse().map_or(Err(QuantityError::Suffix), ten)
        }
    }
}

/// Decimal digits, most significant first, times 2^`power` for a power of at most 60.
fn times_power_of_two(digits: &[u8], power: u32) -> Vec<u8> {
    let factor = 1_u128 << power.min(60);
    let mut carry = 0_u128;
    let mut reversed = Vec::with_capacity(digits.len().saturating_add(19));
    for &digit in digits.iter().rev() {
        carry += u128::from(digit) * factor;
        reversed.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        reversed.push(last_digit(carry));
        carry /= 10;
    }
    reversed.reverse();
    reversed
}

fn last_digit(number: u128) -> u8 {
    u8::try_from(number % 10).unwrap_or(0)
}

/// The number `digits` times ten to the power of `exponent`, rounded up to a whole one.
fn round_up(digits: &[u8], exponent: i64) -> Result<u64, QuantityError> {
    // A fraction swallows the last digits; an exponent that swallows more than there are leaves no whole ones.
    let swallowed = usize::try_from(exponent.min(0).unsigned_abs()).unwrap_or(usize::MAX);
    let kept = digits.len().saturating_sub(swallowed);
    let (whole, rest) = digits.split_at_checked(kept).unwrap_or((digits, &[]));

    let limit = i64::MAX.unsigned_abs();
    let step = |number: u64, digit: u64| {
        let next = number.checked_mul(10).and_then(|tens| tens.checked_add(digit));
        next.filter(|&n| n <= limit).ok_or(QuantityError::Overflow)
    };
    let mut number = 0_u64;
    for &digit in whole {
        number = step(number, u64::from(digit))?;
    }
    if number > 0 {
        // Ends early, by overflow, however large the exponent.
        for _ in 0..exponent.max(0) {
            number = step(number, 0)?;
        }
    }
    if rest.iter().any(|&d| d != 0) {
        number = Some(number + 1).filter(|&n| n <= limit).ok_or(QuantityError::Overflow)?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests;
