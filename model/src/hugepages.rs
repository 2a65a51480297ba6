//! Huge pages: their sizes and how many there are.

use crate::error::ValueError;
use crate::units::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The size of one huge page, never zero. Text is Kubernetes' quantity: `2Mi`, `1Gi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(Bytes);

impl PageSize {
    /// What the names of Kubernetes' resources begin with; the size follows.
    pub const RESOURCE_PREFIX: &str = "hugepages-";

    /// Pages of this size; `None` for zero.
    #[must_use]
    pub const fn new(size: Bytes) -> Option<Self> {
        if size.is_zero() { None } else { Some(Self(size)) }
    }

    /// The size in a resource name such as `hugepages-2Mi`; `None` when it is the name of another resource.
    ///
    /// # Errors
    /// When the name is one of huge pages, and what follows is no size.
    pub fn of_resource(name: &str) -> Option<Result<Self, ValueError>> {
        name.strip_prefix(Self::RESOURCE_PREFIX).map(str::parse)
    }

    /// The size.
    #[must_use]
    pub const fn bytes(self) -> Bytes {
        self.0
    }

    /// How much memory so many pages are.
    #[must_use]
    pub const fn times(self, count: PageCount) -> Bytes {
        Bytes::new(self.0.get().saturating_mul(count.get()))
    }

    /// How many pages an amount is; `None` when it is no multiple of the size.
    #[must_use]
    pub fn count_in(self, amount: Bytes) -> Option<PageCount> {
        amount.get().is_multiple_of(self.0.get()).then_some(PageCount::new(amount.get() / self.0.get()))
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PageSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::new(text.parse()?).ok_or_else(|| ValueError::out_of_range(text, "a page has at least one byte"))
    }
}

// As text, so that it can be the key of a JSON object.
impl Serialize for PageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How many huge pages of one size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageCount(u64);

impl PageCount {
    /// So many pages.
    #[must_use]
    pub const fn new(pages: u64) -> Self {
        Self(pages)
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PageCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn resource_names_of_huge_pages_have_a_size_and_others_have_none() {
        let size = |name: &str| PageSize::of_resource(name).map(|size| size.map(|s| s.bytes().get()).map_err(|e| e.to_string()));
        assert_eq!(size("hugepages-2Mi"), Some(Ok(2 << 20)));
        assert_eq!(size("hugepages-1Gi"), Some(Ok(1 << 30)));
        assert_eq!(size("hugepages-2048Ki"), Some(Ok(2 << 20)));
        assert_eq!(size("memory"), None);
        for bad in ["hugepages-", "hugepages-0", "hugepages-big", "hugepages--2Mi"] {
            assert!(size(bad).is_some_and(|size| size.is_err()), "{bad}: {:?}", size(bad));
        }
    }

    #[test]
    fn a_size_is_the_key_of_a_json_object() {
        let pages = BTreeMap::from([("2Mi".parse::<PageSize>().unwrap(), PageCount::new(512))]);
        let text = serde_json::to_string(&pages).unwrap();
        assert_eq!(text, r#"{"2Mi":512}"#);
        assert_eq!(serde_json::from_str::<BTreeMap<PageSize, PageCount>>(&text).unwrap(), pages);
        assert!(serde_json::from_str::<BTreeMap<PageSize, PageCount>>(r#"{"0":1}"#).is_err());
    }

    #[test]
    fn only_whole_pages_are_counted() {
        let size: PageSize = "2Mi".parse().unwrap();
        assert_eq!(size.count_in(Bytes::new(4 << 20)), Some(PageCount::new(2)));
        assert_eq!(size.count_in(Bytes::new(3 << 20)), None);
        assert_eq!(size.times(PageCount::new(3)), Bytes::new(6 << 20));
        assert_eq!(size.times(PageCount::new(u64::MAX)), Bytes::new(u64::MAX), "saturates");
    }
}
