//! Amounts in the form in which the server gives them back: `3000` as `3k`, `1024Mi` as `1Gi`.

use super::resource::{CNRS, NODES, PODS, Resource};
use serde_json::Value;

/// Fields whose values are amounts by resource name.
const LISTS: [&str; 5] = ["capacity", "allocatable", "requests", "limits", "overhead"];
const NANO: i128 = 1_000_000_000;

/// Which suffixes the amount was written with, and is written back with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Exponent,
    Binary,
}

/// The canonical form: the largest suffix that leaves no fraction, of the kind that was written. `None` for what is no quantity.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let (nano, form) = parse(text.trim())?;
    let small = nano > -1024 * NANO && nano < 1024 * NANO;
    match form {
        _ if nano == 0 => Some("0".to_owned()),
        Form::Binary if !small && nano % NANO == 0 => Some(binary(nano / NANO)),
        Form::Binary | Form::Decimal => Some(decimal(nano, false)),
        Form::Exponent => Some(decimal(nano, true)),
    }
}

/// Whether the amount is a whole number.
pub(super) fn is_whole(text: &str) -> bool {
    parse(text).is_some_and(|(nano, _)| nano % NANO == 0 && nano >= 0)
}

/// Billionths, rounded away from zero.
fn parse(text: &str) -> Option<(i128, Form)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (two, ten, form) = scale(suffix)?;
    let ten = ten + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(1_i128 << two)?;
    let power = 10_i128.checked_pow(ten.unsigned_abs())?;
    let nano = if ten >= 0 { scaled.checked_mul(power)? } else { (scaled + power - 1) / power };
    // Above this the server cuts; nothing of this size is a node's.
    (nano / NANO <= i128::from(i64::MAX)).then_some((sign * nano, form))
}

fn scale(suffix: &str) -> Option<(u32, i32, Form)> {
    let at = |all: &[&str]| all.iter().position(|each| *each == suffix).and_then(|at| u32::try_from(at).ok());
    if let Some(at) = at(&["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        return Some(((at + 1) * 10, 0, Form::Binary));
    }
    if let Some(at) = at(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        return Some((0, i32::try_from(at).ok()? * 3 - 9, Form::Decimal));
    }
    Some((0, suffix.strip_prefix(['e', 'E'])?.parse().ok()?, Form::Exponent))
}

fn binary(mut units: i128) -> String {
    let mut suffix = "";
    for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
        if units % 1024 != 0 {
            break;
        }
        (units, suffix) = (units / 1024, next);
    }
    format!("{units}{suffix}")
}

fn decimal(mut nano: i128, exponent: bool) -> String {
    let mut power = -9;
    while nano % 1000 == 0 && power < 18 {
        (nano, power) = (nano / 1000, power + 3);
    }
    let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    match (power, exponent) {
        (0, true) => nano.to_string(),
        (_, true) => format!("{nano}e{power}"),
        (_, false) => format!("{nano}{}", usize::try_from((power + 9) / 3).ok().and_then(|at| suffixes.get(at)).unwrap_or(&"")),
    }
}

/// Brings all amounts in an object to their canonical form, if it is of a kind that has amounts.
///
/// # Errors
/// The path of what is no amount, and its text.
pub(super) fn normalise(resource: &Resource, object: &mut Value) -> Result<(), (String, String)> {
    if [NODES, PODS, CNRS].contains(resource) { walk(object, "") } else { Ok(()) }
}

fn walk(object: &mut Value, path: &str) -> Result<(), (String, String)> {
    match object {
        Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                Value::Object(amounts) if LISTS.contains(&key.as_str()) => amounts.iter_mut().try_for_each(|(name, amount)| {
                    let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
                    *amount = canonical(&text).map(Value::String).ok_or((format!("{path}[{name}]"), text))?;
                    Ok(())
                }),
                value => walk(value, &path),
            }
        }),
        Value::Array(items) => items.iter_mut().enumerate().try_for_each(|(at, item)| walk(item, &format!("{path}[{at}]"))),
        _ => Ok(()),
    }
}
