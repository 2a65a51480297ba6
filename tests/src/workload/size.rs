//! Sizes as Kubernetes writes them.

/// Bytes of `16Mi`, `2G`, `4096`. Whole numbers only; an unknown suffix or a size beyond 64 bits is an error that quotes the input.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = text.strip_prefix(digits).unwrap_or_default();
    let unit: u64 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => {
            return Err(format!("unknown unit in {text:?}: use k, M, G, T, Ki, Mi, Gi, Ti or none"));
        }
    };
    // `u64::from_str` takes a sign, Kubernetes' own sizes of memory do not need one.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text:?} is not a whole number with a unit"));
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(|| format!("{text:?} is more than 64 bits hold"))
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_kubernetes_writes_them() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("3k", 3000), ("16Mi", 16 << 20), ("2G", 2_000_000_000), ("1Ti", 1 << 40)] {
            assert_eq!(parse(text), Ok(bytes), "input {text:?}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_its_text() {
        for text in ["", "Mi", "-1", "+1", "1.5Gi", "16mi", "16 Mi", "99999999999999999999", "17179869184Gi"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(&format!("{text:?}")), "{text:?}: {error}");
        }
    }
}
