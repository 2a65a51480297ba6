use super::millis;
use gleaner_model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is not seen for this long is not in use, and may make room.
const UNUSED: Duration = Duration::from_secs(10 * 60);
/// How often is looked for what was not seen for too long.
const SWEEP: Duration = Duration::from_secs(3600);

/// A history that knows when it was added to.
pub trait Remembered {
    /// The last addition, in history time; zero before the first.
    fn last_seen(&self) -> Timestamp;
    /// Gives back memory that it does not need now.
    fn compact(&mut self);
}

/// Histories by their keys, bounded in number. When it is full, the one not seen for longest makes room; but not one that is in use, else twice as many as there
/// is room for would push each other out for ever and none was any good. Then the new one is not remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize + Ord, V: Serialize", deserialize = "K: DeserializeOwned + Ord, V: DeserializeOwned"))]
pub struct Store<K, V> {
    /// What the boot clock is behind history time, in milliseconds.
    offset: i64,
    swept: Timestamp,
    /// Until then all are in use.
    full_until: Timestamp,
    #[serde(with = "pairs")]
    entries: BTreeMap<K, Box<V>>,
}

impl<K, V> Default for Store<K, V> {
    fn default() -> Self {
        Self { offset: 0, swept: Timestamp::default(), full_until: Timestamp::default(), entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Remembered + Default> Store<K, V> {
    /// Adds to the history of a key, which is made when there is none and there is room; `add` is given the moment in history time. `at` is on the
    /// boot clock.
    pub(super) fn add(&mut self, key: &K, at: Timestamp, most: u32, forget_after: Duration, add: impl FnOnce(&mut V, Timestamp)) {
        let at = self.history_time(at);
        if at.since(self.swept) >= SWEEP {
            self.swept = at;
            self.entries.retain(|_, history| at.since(history.last_seen()) < forget_after);
        }
        if let Some(history) = self.entries.get_mut(key) {
            add(history, at);
        } else if self.make_room(at, most) {
            add(self.entries.entry(key.clone()).or_default(), at);
        }
    }

    fn make_room(&mut self, at: Timestamp, most: u32) -> bool {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        while self.entries.len() >= most {
            if at < self.full_until {
                return false;
            }
            let oldest = self.entries.iter().min_by_key(|(_, history)| history.last_seen());
            let Some((key, seen)) = oldest.map(|(key, history)| (key.clone(), history.last_seen())) else { return false };
            // None will be seen earlier than this one was, since time does not go back.
            self.full_until = seen.after(UNUSED);
            if at < self.full_until {
                return false;
            }
            self.entries.remove(&key);
        }
        true
    }

    /// The history of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(AsRef::as_ref)
    }

    /// All, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, history)| (key, history.as_ref()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A moment of the boot clock in history time.
    #[must_use]
    pub fn history_time(&self, at: Timestamp) -> Timestamp {
        let ahead = Duration::from_millis(self.offset.unsigned_abs());
        if self.offset >= 0 { at.after(ahead) } else { Timestamp::since_boot(at.since(Timestamp::since_boot(ahead))) }
    }

    /// Goes on at `now` of this boot as if the moment `then` of the boot before was `pause` ago.
    pub(super) fn go_on(&mut self, then: Timestamp, pause: Duration, now: Timestamp) {
        let signed = |at: Timestamp| i64::try_from(millis(at.elapsed())).unwrap_or(i64::MAX);
        let moved = signed(then.after(pause)).saturating_sub(signed(now));
        self.offset = self.offset.saturating_add(moved);
        self.entries.values_mut().for_each(|history| history.compact());
    }
}

/// JSON has no keys but text, so a map is a list of pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, Box<V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, K: Deserialize<'de> + Ord, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, Box<V>>, D::Error> {
        Vec::<(K, Box<V>)>::deserialize(deserializer).map(|pairs| pairs.into_iter().collect())
    }
}
