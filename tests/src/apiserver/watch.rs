//! Watches: what changed after a version, line by line, for as long as the client stays.

use super::failure::Failure;
use super::fault::{Cut, Effect};
use super::read::{selector, shown};
use super::resource::Resource;
use super::selector::Selector;
use super::service::Core;
use super::state::{Call, State};
use super::store::Change;
use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{Sleep, sleep};

/// Something that a test makes running watches do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// They tell the version, if the client wants that.
    Bookmark,
    /// They say that the version is too old, and end.
    Gone,
    /// They send a line that is no JSON, and go on.
    Garble,
    /// They end.
    Cut(Cut),
}

/// A push, the version at which it came, and whom it is for.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) push: Push,
    pub(super) version: u64,
    pub(super) resource: Option<Resource>,
}

/// A server ends a watch by itself after at least this time.
const LONGEST: Duration = Duration::from_secs(1800);
const GARBAGE: &str = "{\"type\":\"MODIFIED\",\"object\":oops}\n";
const HALF: &str = "{\"type\":\"MODIFIED\",\"object\":{\"kind\":";

enum Item {
    Line(String),
    End(Cut),
}

struct Watch {
    core: Arc<Core>,
    changed: Receiver<u64>,
    deadline: Pin<Box<Sleep>>,
    resource: Resource,
    namespace: Option<String>,
    selector: Selector,
    partial: bool,
    bookmarks: bool,
    /// Everything up to this version is told or is in `items`.
    at: u64,
    /// So many commands are obeyed.
    obeyed: usize,
    items: VecDeque<Item>,
    sent: usize,
    fault: Option<Effect>,
    over: bool,
}

/// A watch as the body of an answer.
pub(super) fn open(core: &Arc<Core>, state: &State, call: &Call, fault: Option<Effect>) -> Result<Body, Failure> {
    call.query.check("watch")?;
    let query = &call.query;
    let (initial, bookmarks) = (query.flag("sendInitialEvents")?, query.flag("allowWatchBookmarks")?);
    match (initial, query.text("resourceVersionMatch")) {
        (true, "NotOlderThan") if bookmarks => {}
        (true, "NotOlderThan") => return Err(Failure::bad("sendInitialEvents needs allowWatchBookmarks")),
        (true, _) => return Err(Failure::bad("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")),
        (false, "") => {}
        (false, _) => return Err(Failure::bad("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")),
    }
    let from = query.number("resourceVersion")?.unwrap_or(0);
    let known = from > 0 && !initial;
    let gone = known && from < state.store.compacted();
    if gone && state.gone_by_status {
        return Err(Failure::expired(format!("too old resource version: {from} ({})", state.store.compacted())));
    }
    let time = query.number("timeoutSeconds")?.map_or(LONGEST, Duration::from_secs);
    let mut watch = Watch {
        core: Arc::clone(core),
        changed: core.subscribe(),
        deadline: Box::pin(sleep(time)),
        resource: call.target.resource,
        namespace: call.target.namespace.clone(),
        selector: selector(call)?,
        partial: call.partial,
        bookmarks,
        at: if known { from } else { state.store.version() },
        obeyed: state.commands.len(),
        items: VecDeque::new(),
        sent: 0,
        fault,
        over: false,
    };
    if !known {
        watch.present(state, initial);
    }
    if gone || watch.fault == Some(Effect::Gone) {
        watch.gone();
    }
    Ok(Body::from_stream(stream::unfold(watch, Watch::next)))
}

impl Watch {
    /// What is there already.
    fn present(&mut self, state: &State, mark: bool) {
        let objects = state.store.at(self.at, &self.resource, self.namespace.as_deref());
        for (_, object) in objects {
            if self.selector.matches(&object) {
                self.line("ADDED", &shown(&object, self.partial));
            }
        }
        if mark {
            self.bookmark(&json!({"k8s.io/initial-events-end": "true"}));
        }
    }

    fn line(&mut self, kind: &str, object: &Value) {
        self.items.push_back(Item::Line(format!("{}\n", json!({"type": kind, "object": object}))));
    }

    fn bookmark(&mut self, annotations: &Value) {
        let mut meta = json!({"resourceVersion": self.at.to_string(), "creationTimestamp": null});
        if !annotations.is_null() {
            meta["annotations"] = annotations.clone();
        }
        let (kind, version) = (self.resource.kind, self.resource.api_version());
        self.line("BOOKMARK", &json!({"kind": kind, "apiVersion": version, "metadata": meta}));
    }

    fn gone(&mut self) {
        let failure = Failure::expired(format!("too old resource version: {}", self.at));
        self.line("ERROR", &failure.status());
        self.items.push_back(Item::End(Cut::Clean));
    }

    /// Takes what is new from the store: changes and commands in the order in which they came.
    fn fill(&mut self, state: &State) {
        let resource = self.resource;
        let own = |command: &&Command| command.resource.is_none_or(|wanted| wanted == resource);
        for command in state.commands.iter().skip(self.obeyed).filter(own) {
            self.tell(state, command.version);
            match command.push {
                Push::Bookmark if self.bookmarks => self.bookmark(&Value::Null),
                Push::Bookmark => {}
                Push::Gone => self.gone(),
                Push::Garble => self.items.push_back(Item::Line(GARBAGE.to_owned())),
                Push::Cut(cut) => self.items.push_back(Item::End(cut)),
            }
        }
        self.obeyed = state.commands.len();
        self.tell(state, state.store.version());
    }

    fn tell(&mut self, state: &State, until: u64) {
        for change in state.store.since(self.at).iter().take_while(|change| change.version <= until) {
            let own =
                change.key.resource == self.resource && self.namespace.as_ref().is_none_or(|namespace| change.key.namespace == *namespace);
            if let Some((kind, object)) = own.then(|| self.event(change)).flatten() {
                self.line(kind, &shown(&object, self.partial));
            }
        }
        self.at = self.at.max(until);
    }

    /// What a change is for one who sees only what the selector lets pass.
    fn event(&self, change: &Change) -> Option<(&'static str, Value)> {
        let seen =
            |object: &Option<Arc<Value>>| object.as_ref().filter(|object| self.selector.matches(object)).map(|object| Value::clone(object));
        match (seen(&change.before), seen(&change.after)) {
            (None, Some(after)) => Some(("ADDED", after)),
            (Some(_), Some(after)) => Some(("MODIFIED", after)),
            (Some(mut before), None) => {
                before["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(("DELETED", before))
            }
            (None, None) => None,
        }
    }

    fn inject(&mut self) {
        match self.fault {
            Some(Effect::Cut(after, cut)) if self.sent >= after => self.items.push_front(Item::End(cut)),
            Some(Effect::Garble(after)) if self.sent >= after => self.items.push_front(Item::Line(GARBAGE.to_owned())),
            _ => return,
        }
        self.fault = None;
    }

    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        let broken = || Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
        loop {
            if self.over {
                // The half line is out: now the end.
                return self.items.pop_front().map(|_| (broken(), self));
            }
            self.inject();
            match self.items.pop_front() {
                Some(Item::Line(line)) => {
                    self.sent += 1;
                    return Some((Ok(Bytes::from(line)), self));
                }
                Some(Item::End(cut)) => {
                    self.over = true;
                    self.items = VecDeque::from_iter((cut == Cut::MidLine).then_some(Item::End(Cut::Abrupt)));
                    match cut {
                        Cut::Clean => return None,
                        Cut::Abrupt => return Some((broken(), self)),
                        Cut::MidLine => return Some((Ok(Bytes::from_static(HALF.as_bytes())), self)),
                    }
                }
                None => {}
            }
            self.changed.borrow_and_update();
            let core = Arc::clone(&self.core);
            core.with(|state| self.fill(state));
            if self.items.is_empty() {
                tokio::select! {
                    changed = self.changed.changed() => changed.ok()?,
                    () = self.deadline.as_mut() => return None,
                }
            }
        }
    }
}
