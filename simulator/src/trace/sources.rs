use super::TraceError;
use std::collections::BTreeMap;

/// The files that make one set, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Virtual machines: `NAME_avg.csv` and `NAME_max.csv`.
    Machines {
        /// The set.
        name: String,
        /// The file of averages.
        average: String,
        /// The file of highest values.
        max: String,
    },
    /// One node: `NAME_dayN.csv`, with their numbers.
    Node {
        /// The set.
        name: String,
        /// The files of its days.
        days: Vec<(u32, String)>,
    },
}

#[derive(Default)]
struct Parts {
    average: Vec<String>,
    max: Vec<String>,
    days: Vec<(u32, String)>,
}

/// The sets that a folder with these files holds, by name; each file may end in `.csv` or `.csv.gz`. Files that are called otherwise are no traces.
///
/// # Errors
/// A file of averages without one of highest values or the other way round, both a packed and an unpacked one, or two sets of one name.
pub fn sources(files: &[String]) -> Result<Vec<Source>, TraceError> {
    let mut sets: BTreeMap<&str, Parts> = BTreeMap::new();
    for file in files {
        let Some(stem) = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".csv") else { continue };
        let Some((name, part)) = stem.rsplit_once('_').filter(|(name, _)| !name.is_empty()) else { continue };
        let day = part.strip_prefix("day").and_then(|day| day.parse().ok());
        match (part, day) {
            ("avg", _) => sets.entry(name).or_default().average.push(file.clone()),
            ("max", _) => sets.entry(name).or_default().max.push(file.clone()),
            (_, Some(day)) => sets.entry(name).or_default().days.push((day, file.clone())),
            _ => {}
        }
    }
    sets.into_iter().map(|(name, parts)| source(name, parts)).collect()
}

fn source(name: &str, parts: Parts) -> Result<Source, TraceError> {
    let Parts { average, max, days } = parts;
    let name = name.to_owned();
    match (average.as_slice(), max.as_slice(), days.is_empty()) {
        ([average], [max], true) => Ok(Source::Machines { name, average: average.clone(), max: max.clone() }),
        ([], [], false) => Ok(Source::Node { name, days }),
        (average, max, _) => {
            let (averages, maxima, of_days) = (average.len(), max.len(), days.len());
            let cause = format!(
                "a set is one file {name}_avg.csv and one {name}_max.csv, or files {name}_dayN.csv; there are {averages}, {maxima} and {of_days}"
            );
            Err(TraceError { file: name, line: None, column: None, cause })
        }
    }
}
