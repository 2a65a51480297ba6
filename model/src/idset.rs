//! A set of ids as bits, with the kernel's list text (`0-3,8`) both ways.

use crate::error::ValueError;
use crate::ids::{CpuId, Id, NumaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A set of CPUs.
pub type CpuSet = IdSet<CpuId>;
/// A set of NUMA nodes.
pub type NumaSet = IdSet<NumaId>;

const WORD: u32 = u64::BITS;

/// A set of ids. Iteration and text are in rising order; two sets are equal when they hold the same ids.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdSet<I> {
    // Never ends in a zero word, so that derived equality is set equality.
    words: Vec<u64>,
    ids: PhantomData<I>,
}

impl<I: Id> IdSet<I> {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new(), ids: PhantomData }
    }

    /// The set of one id.
    #[must_use]
    pub fn of(id: I) -> Self {
        std::iter::once(id).collect()
    }

    /// Adds an id and says whether it is new. An id above [`Id::MAX`] is not added.
    pub fn insert(&mut self, id: I) -> bool {
        if id.index() > I::MAX {
            return false;
        }
        let (word, bit) = split(id.index());
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words.get_mut(word).is_some_and(|w| {
            let new = *w & bit == 0;
            *w |= bit;
            new
        })
    }

    /// Takes an id out and says whether it was there.
    pub fn remove(&mut self, id: I) -> bool {
        let (word, bit) = split(id.index());
        let was = self.words.get_mut(word).is_some_and(|w| {
            let was = *w & bit != 0;
            *w &= !bit;
            was
        });
        self.trim();
        was
    }

    /// Whether the id is in the set.
    #[must_use]
    pub fn contains(&self, id: I) -> bool {
        let (word, bit) = split(id.index());
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// How many ids are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| usize::try_from(w.count_ones()).unwrap_or(0)).sum()
    }

    /// [`IdSet::len`] as a count of parts of the machine; sets are bounded by [`Id::MAX`], so it always fits.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// Whether the set has no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The lowest id.
    #[must_use]
    pub fn first(&self) -> Option<I> {
        self.iter().next()
    }

    /// The ids in rising order.
    pub fn iter(&self) -> impl Iterator<Item = I> + '_ {
        (0u32..).zip(&self.words).flat_map(|(word, bits)| {
            // The lowest bit goes in each step: the cost is that of the ids in the set, not of those that could be.
            let rest = std::iter::successors(Some(*bits), |bits| Some(bits & bits.wrapping_sub(1)));
            rest.take_while(|bits| *bits != 0).map(move |bits| I::from_index(word * WORD + bits.trailing_zeros()))
        })
    }

    /// Ids in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let longest = self.words.len().max(other.words.len());
        Self::trimmed((0..longest).map(|at| self.word(at) | other.word(at)).collect())
    }

    /// Ids in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::trimmed(self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect())
    }

    /// Ids of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self::trimmed(self.words.iter().enumerate().map(|(at, word)| word & !other.word(at)).collect())
    }

    /// Whether every id of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().enumerate().all(|(at, word)| word & !other.word(at) == 0)
    }

    /// Whether no id is in both sets.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & b == 0)
    }

    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    fn trimmed(words: Vec<u64>) -> Self {
        let mut set = Self { words, ids: PhantomData };
        set.trim();
        set
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// Runs of neighbouring ids, first and last included.
    fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for id in self.iter().map(Id::index) {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == id => *last = id,
                _ => runs.push((id, id)),
            }
        }
        runs
    }
}

fn split(index: u32) -> (usize, u64) {
    // A u32 always fits a usize on the 64-bit machines that Linux agents run on; the fallback only makes the conversion total.
    (usize::try_from(index / WORD).unwrap_or(usize::MAX), 1 << (index % WORD))
}

impl<I: Id> Default for IdSet<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id> FromIterator<I> for IdSet<I> {
    fn from_iter<T: IntoIterator<Item = I>>(ids: T) -> Self {
        let mut set = Self::new();
        set.extend(ids);
        set
    }
}

impl<I: Id> Extend<I> for IdSet<I> {
    fn extend<T: IntoIterator<Item = I>>(&mut self, ids: T) {
        for id in ids {
            self.insert(id);
        }
    }
}

impl<I: Id> PartialOrd for IdSet<I> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Sets are ordered by their ids in rising order, as lists are.
impl<I: Id> Ord for IdSet<I> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().map(Id::index).cmp(other.iter().map(Id::index))
    }
}

/// The kernel's list text: `0-3,8`; the empty set is the empty text.
impl<I: Id> fmt::Display for IdSet<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs: Vec<String> = self
            .runs()
            .into_iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
            .collect();
        f.pad(&runs.join(","))
    }
}

impl<I: Id> fmt::Debug for IdSet<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

const LIST: &str = "a list of numbers such as \"0-3,8\"";

/// Reads the kernel's list text. Surrounding white space and a final newline are accepted, an empty text is the empty set; a
/// descending range, a sign or a number above [`Id::MAX`] is an error.
impl<I: Id> FromStr for IdSet<I> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut set = Self::new();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(set);
        }
        for part in trimmed.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first, text)?, number(last, text)?),
                None => (number(part, text)?, number(part, text)?),
            };
            if first > last {
                return Err(ValueError::malformed(text, LIST));
            }
            if last > I::MAX {
                return Err(ValueError::out_of_range(text, "the kernel knows no such id"));
            }
            set.extend((first..=last).map(I::from_index));
        }
        Ok(set)
    }
}

fn number(part: &str, whole: &str) -> Result<u32, ValueError> {
    let part = part.trim();
    // `u32::from_str` takes a leading plus sign, the kernel's text has none.
    if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::malformed(whole, LIST));
    }
    part.parse().map_err(|_| ValueError::out_of_range(whole, "the kernel knows no such id"))
}

impl<I: Id> Serialize for IdSet<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, I: Id> Deserialize<'de> for IdSet<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
