//! How each part of the agent does. A part that fails degrades; the process goes on.

use gleaner_model::{Reason, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How one part does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartHealth {
    /// Since when it is so.
    pub(crate) since: Timestamp,
    /// What is wrong; `None` when it works.
    pub(crate) problem: Option<String>,
}

/// How every part does, by the part's name.
#[derive(Debug, Default)]
pub(crate) struct Health {
    parts: BTreeMap<Cow<'static, str>, PartHealth>,
}

impl Health {
    /// Notes how a part does. Returns the decision to record when that is news.
    pub(crate) fn note(&mut self, part: impl Into<Cow<'static, str>>, problem: Option<String>, now: Timestamp) -> Option<Reason> {
        let part = part.into();
        let old = self.parts.get(&part);
        let news = old.map_or(problem.is_some(), |old| old.problem.is_some() != problem.is_some());
        let since = old.filter(|_| !news).map_or(now, |old| old.since);
        self.parts.insert(part.clone(), PartHealth { since, problem: problem.clone() });
        news.then(|| Reason::Health { part: part.into_owned(), problem })
    }

    /// Every part.
    pub(crate) fn parts(&self) -> BTreeMap<String, PartHealth> {
        self.parts.iter().map(|(name, health)| (name.clone().into_owned(), health.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_a_change_between_good_and_bad_is_news() {
        let mut health = Health::default();
        let at = |s| Timestamp::since_boot(Duration::from_secs(s));
        assert_eq!(health.note("psi", None, at(1)), None);
        assert!(health.note("psi", Some("a".into()), at(2)).is_some());
        assert_eq!(health.note("psi", Some("b".into()), at(3)), None);
        assert_eq!(health.parts()["psi"], PartHealth { since: at(2), problem: Some("b".into()) });
        assert_eq!(health.note("psi", None, at(4)), Some(Reason::Health { part: "psi".into(), problem: None }));
    }
}
