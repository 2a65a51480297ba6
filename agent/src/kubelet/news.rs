//! What of all that was read is news: pure.

use super::config::KubeletConfig;
use super::follow::Found;
use super::{KubeletEvent, KubeletPart};
use crate::kubernetes::{backoff, jitter};
use gleaner_model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two questions for the configuration, which changes only when the kubelet is started anew.
pub(super) const ASK: Duration = Duration::from_secs(600);
/// After the file changed: the kubelet must be started anew to take it up.
const AFTER_CHANGE: Duration = Duration::from_secs(60);
/// The first wait after a question without an answer.
const FIRST: Duration = Duration::from_secs(15);
/// The longest such wait.
const LONGEST: Duration = Duration::from_secs(300);

/// What was read and told last.
#[derive(Debug)]
pub(super) struct News {
    node: String,
    /// Whether the kubelet can be asked at all.
    asking: bool,
    /// When it is asked next.
    due: Timestamp,
    tries: u32,
    questions: u64,
    /// What it answered last, and why it did not since.
    answer: Option<KubeletConfig>,
    unanswered: Option<String>,
    /// What its file holds; `None` before the first look.
    file: Option<Found>,
    told: Option<KubeletEvent>,
    problems: BTreeMap<KubeletPart, String>,
}

impl News {
    pub(super) fn new(node: &str, asking: bool) -> Self {
        Self {
            node: node.to_owned(),
            asking,
            due: Timestamp::default(),
            tries: 0,
            questions: 0,
            answer: None,
            unanswered: None,
            file: None,
            told: None,
            problems: BTreeMap::new(),
        }
    }

    /// Takes what a file holds now.
    pub(super) fn found(&mut self, part: KubeletPart, found: Found, now: Timestamp) -> Vec<KubeletEvent> {
        if part == KubeletPart::Config {
            if self.file.replace(found).is_some() {
                self.due = self.due.min(now.after(AFTER_CHANGE));
            }
            return Vec::new();
        }
        match found {
            Ok(found) => {
                let mended = self.problem(part, None);
                mended.into_iter().chain([found.unwrap_or(KubeletEvent::Absent(part))]).collect()
            }
            Err(cause) => self.problem(part, Some(cause)).into_iter().collect(),
        }
    }

    /// Whether the kubelet is to be asked for its configuration now.
    pub(super) fn asks(&self, now: Timestamp) -> bool {
        self.asking && now >= self.due
    }

    /// Takes its answer.
    pub(super) fn asked(&mut self, answer: Result<KubeletConfig, String>, now: Timestamp) {
        self.questions = self.questions.wrapping_add(1);
        let wait = match answer {
            Ok(config) => {
                (self.answer, self.unanswered, self.tries) = (Some(config), None, 0);
                ASK.saturating_add(jitter(ASK / 4, &self.node, self.questions))
            }
            Err(cause) => {
                (self.unanswered, self.tries) = (Some(cause), self.tries.saturating_add(1));
                backoff(FIRST, LONGEST, self.tries, &self.node, self.questions)
            }
        };
        self.due = now.after(wait);
    }

    /// What is new about the configuration: the kubelet's own answer counts before its file.
    pub(super) fn configuration(&mut self) -> Vec<KubeletEvent> {
        let part = KubeletPart::Config;
        let unanswered = self.unanswered.as_ref().map(|cause| format!("configz: {cause}"));
        let (event, problem) = match (&self.answer, &self.file) {
            (Some(config), _) => (Some(KubeletEvent::Config(Box::new(config.clone()))), None),
            // Asked, but not answered yet.
            (None, _) if self.asking && unanswered.is_none() => (None, None),
            (None, Some(Ok(Some(config)))) => (Some(config.clone()), None),
            (None, Some(Ok(None)) | None) => match unanswered {
                Some(cause) => (None, Some(format!("{cause}; and there is no file"))),
                None => (Some(KubeletEvent::Absent(part)), None),
            },
            (None, Some(Err(cause))) => (None, Some(unanswered.map_or(cause.clone(), |asked| format!("{asked}; {cause}")))),
        };
        let mut events: Vec<KubeletEvent> = self.problem(part, problem).into_iter().collect();
        if let Some(event) = event.filter(|event| self.told.as_ref() != Some(event)) {
            self.told = Some(event.clone());
            events.push(event);
        }
        events
    }

    /// Notes a problem, and returns what is to be told when it is another than before.
    fn problem(&mut self, part: KubeletPart, problem: Option<String>) -> Option<KubeletEvent> {
        let old = match &problem {
            Some(problem) => self.problems.insert(part, problem.clone()),
            None => self.problems.remove(&part),
        };
        (old != problem).then_some(KubeletEvent::Problem(part, problem))
    }
}

#[cfg(test)]
mod tests;
