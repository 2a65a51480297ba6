//! Pressure stall information: reading it, and being woken by it (kernel, `accounting/psi.rst`).

mod watcher;

use gleaner_model::{Permille, Pressure, PressureLine};

pub use watcher::{PsiEvent, Trigger, Watcher};

/// Reads a pressure file: `some avg10=0.12 avg60=0.00 avg300=0.00 total=4321` and, if the kernel prints it, the same with `full`.
/// Percentages are rounded to the nearest thousandth. Lines and fields that are not known are passed over. The procfs crate's own
/// reader is not used because it demands a `full` line, which the CPU file lacks before Linux 5.13, and slices text unchecked.
///
/// # Errors
/// A sentence that names what is missing or no number.
pub fn parse(text: &str) -> Result<Pressure, String> {
    let (mut some, mut full) = (None, None);
    for line in text.lines() {
        let (kind, fields) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "some" => some = Some(parse_line(fields, line)?),
            "full" => full = Some(parse_line(fields, line)?),
            _ => {}
        }
    }
    Ok(Pressure { some: some.ok_or("no line `some`")?, full })
}

fn parse_line(fields: &str, line: &str) -> Result<PressureLine, String> {
    let (mut avg10, mut avg60, mut avg300, mut total) = (None, None, None, None);
    for field in fields.split_ascii_whitespace() {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("`{field}` in `{line}` is no name=value"))?;
        let broken = || format!("`{field}` in `{line}` is no number");
        match name {
            "avg10" => avg10 = Some(percentage(value).ok_or_else(broken)?),
            "avg60" => avg60 = Some(percentage(value).ok_or_else(broken)?),
            "avg300" => avg300 = Some(percentage(value).ok_or_else(broken)?),
            "total" => total = Some(value.parse::<u64>().map_err(|_| broken())?),
            _ => {}
        }
    }
    let missing = |name: &str| format!("`{line}` has no `{name}`");
    Ok(PressureLine {
        avg10: avg10.ok_or_else(|| missing("avg10"))?,
        avg60: avg60.ok_or_else(|| missing("avg60"))?,
        avg300: avg300.ok_or_else(|| missing("avg300"))?,
        total_us: total.ok_or_else(|| missing("total"))?,
    })
}

/// `12.34` percent, as the kernel prints it with two decimals, in thousandths.
fn percentage(text: &str) -> Option<Permille> {
    let (whole, hundredths) = text.split_once('.')?;
    if hundredths.len() != 2 || !hundredths.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let value = whole.checked_mul(100)?.checked_add(hundredths.parse().ok()?)?;
    Some(Permille::new((value.checked_add(5)?) / 10))
}

#[cfg(test)]
mod tests;
