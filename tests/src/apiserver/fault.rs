//! What goes wrong, for which requests and how often.

use super::seen::Seen;
use std::fmt;
use std::time::Duration;

/// How a watch ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As a server ends it.
    Clean,
    /// Between two lines.
    Abrupt,
    /// Within a line.
    MidLine,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This code instead of the answer, with the `Status` that goes with it.
    Answer(u16),
    /// A page of HTML with this code, as something between client and server sends.
    Page(u16),
    /// The answer comes later by this much.
    Delay(Duration),
    /// The connection ends without an answer, and nothing was done.
    HangUp,
    /// The connection ends without an answer, and it was done.
    LoseAnswer,
    /// There is never an answer, and nothing is done.
    Hang,
    /// Of a watch: it begins with an event that says that the version is too old.
    Gone,
    /// Of a watch: it ends after so many lines.
    Cut(usize, Cut),
    /// Of a watch: after so many lines comes one that is no JSON.
    Garble(usize),
}

type Predicate = dyn Fn(&Seen) -> bool + Send;

/// An effect, and the requests that it is for. All requests, unless it says otherwise.
pub struct Rule {
    pub(super) effect: Effect,
    verb: Option<&'static str>,
    resource: Option<String>,
    name: Option<String>,
    left: Option<usize>,
    when: Box<Predicate>,
}

impl Rule {
    /// For the next so many requests.
    #[must_use]
    pub fn next(times: usize, effect: Effect) -> Self {
        Self { left: Some(times), ..Self::always(effect) }
    }

    /// For all requests, until the server is healed.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self { effect, verb: None, resource: None, name: None, left: None, when: Box::new(|_| true) }
    }

    /// Of this verb only; see [`Seen::verb`].
    #[must_use]
    pub fn verb(self, verb: &'static str) -> Self {
        Self { verb: Some(verb), ..self }
    }

    /// Of this resource only, such as `nodes` or `nodes/status`; `*` behind the stroke stands for all parts.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    /// Of the object with this name only.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Of those only that answer this.
    #[must_use]
    pub fn when(self, when: impl Fn(&Seen) -> bool + Send + 'static) -> Self {
        Self { when: Box::new(when), ..self }
    }

    fn is_for(&self, seen: &Seen) -> bool {
        let watch_only = matches!(self.effect, Effect::Gone | Effect::Cut(..) | Effect::Garble(_));
        self.left != Some(0)
            && (!watch_only || seen.verb == "watch")
            && self.verb.is_none_or(|verb| verb == seen.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == seen.rule() || *resource == format!("{}/*", seen.resource))
            && self.name.as_ref().is_none_or(|name| seen.name.as_ref() == Some(name))
            && (self.when)(seen)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?} {:?} {:?}, left {:?}", self.effect, self.verb, self.resource, self.name, self.left)
    }
}

/// All that goes wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) latency: Duration,
    rules: Vec<Rule>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn heal(&mut self) {
        *self = Self::default();
    }

    /// The effect for a request: of the first rule that is for it.
    pub(super) fn of(&mut self, seen: &Seen) -> Option<Effect> {
        let rule = self.rules.iter_mut().find(|rule| rule.is_for(seen))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.effect.clone())
    }
}
