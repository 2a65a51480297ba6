//! Label selectors as text, in Kubernetes' whole grammar: `pool in (a,b), !edge, generation>3`.

use std::collections::{BTreeMap, BTreeSet};

/// Conditions on labels, all of which must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, BTreeSet<String>),
    /// Holds for a missing label too, as in Kubernetes.
    NotIn(String, BTreeSet<String>),
    Above(String, i64),
    Below(String, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// One of `! ( ) , = == != < >`.
    Sign(&'a str),
}

impl Selector {
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let mut requirements = Vec::new();
        loop {
            requirements.push(requirement(&mut rest)?);
            match rest {
                [] => return Ok(Self(requirements)),
                [Token::Sign(","), after @ ..] => rest = after,
                [other, ..] => return Err(format!("{other} where a comma or the end should be")),
            }
        }
    }

    /// Whether all conditions hold.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Above(key, bound) => number(key).is_some_and(|number| number > *bound),
            Self::Below(key, bound) => number(key).is_some_and(|number| number < *bound),
        }
    }
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Word(text) | Self::Sign(text)) = self;
        write!(f, "{text:?}")
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    const SIGNS: [&str; 8] = ["==", "!=", "!", "(", ")", ",", "=", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let sign = SIGNS.into_iter().chain([">"]).find(|sign| rest.starts_with(sign));
        let end = sign.map_or_else(|| rest.find(|c: char| c.is_whitespace() || "!(),=<>".contains(c)).unwrap_or(rest.len()), str::len);
        let (token, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        tokens.push(if sign.is_some() { Token::Sign(token) } else { Token::Word(token) });
        rest = after.trim_start();
    }
    tokens
}

fn requirement(rest: &mut &[Token<'_>]) -> Result<Requirement, String> {
    match *rest {
        [Token::Sign("!"), Token::Word(word), after @ ..] => {
            *rest = after;
            Ok(Requirement::Missing(key(word)?))
        }
        [Token::Word(word), after @ ..] => {
            let key = key(word)?;
            *rest = after;
            operation(key, rest)
        }
        [other, ..] => Err(format!("{other} where the name of a label should be")),
        [] => Err("ends where the name of a label should be".to_owned()),
    }
}

fn operation(key: String, rest: &mut &[Token<'_>]) -> Result<Requirement, String> {
    match *rest {
        [] | [Token::Sign(","), ..] => Ok(Requirement::Exists(key)),
        [Token::Sign("=" | "=="), after @ ..] => {
            *rest = after;
            Ok(Requirement::In(key, [one_value(rest)?].into()))
        }
        [Token::Sign("!="), after @ ..] => {
            *rest = after;
            Ok(Requirement::NotIn(key, [one_value(rest)?].into()))
        }
        [Token::Sign(">"), Token::Word(bound), after @ ..] => {
            *rest = after;
            Ok(Requirement::Above(key, whole(bound)?))
        }
        [Token::Sign("<"), Token::Word(bound), after @ ..] => {
            *rest = after;
            Ok(Requirement::Below(key, whole(bound)?))
        }
        [Token::Word("in"), Token::Sign("("), after @ ..] => {
            *rest = after;
            Ok(Requirement::In(key, values(rest)?))
        }
        [Token::Word("notin"), Token::Sign("("), after @ ..] => {
            *rest = after;
            Ok(Requirement::NotIn(key, values(rest)?))
        }
        [Token::Word("in" | "notin"), ..] => Err(format!("a list in brackets should follow {key:?} with in or notin")),
        [Token::Sign("<" | ">"), ..] => Err(format!("a whole number should follow {key:?} with < or >")),
        [other, ..] => Err(format!("{other} where one of = == != in notin < > should be")),
    }
}

/// The value after a sign; none is the empty one.
fn one_value(rest: &mut &[Token<'_>]) -> Result<String, String> {
    let [Token::Word(word), after @ ..] = *rest else { return Ok(String::new()) };
    *rest = after;
    value(word)
}

/// Values up to the closing bracket, which is taken too.
fn values(rest: &mut &[Token<'_>]) -> Result<BTreeSet<String>, String> {
    let mut values = BTreeSet::new();
    loop {
        values.insert(one_value(rest)?);
        match *rest {
            [Token::Sign(","), after @ ..] => *rest = after,
            [Token::Sign(")"), after @ ..] => {
                *rest = after;
                return Ok(values);
            }
            [other, ..] => return Err(format!("{other} in a list of values")),
            [] => return Err("a list of values does not end".to_owned()),
        }
    }
}

fn whole(word: &str) -> Result<i64, String> {
    word.parse().map_err(|_| format!("{word:?} is not a whole number"))
}

/// A label's name: `[domain/]name`.
fn key(word: &str) -> Result<String, String> {
    let (domain, name) = word.split_once('/').map_or((None, word), |(domain, name)| (Some(domain), name));
    let label = |part: &str| part.len() <= 63 && framed(part, |c| matches!(c, 'a'..='z' | '0'..='9')) && !part.contains(['_', '.']);
    let right = domain.is_none_or(|domain| domain.len() <= 253 && domain.split('.').all(label))
        && name.len() <= 63
        && framed(name, |c| c.is_ascii_alphanumeric());
    if right { Ok(word.to_owned()) } else { Err(format!("{word:?} is not the name of a label")) }
}

fn value(word: &str) -> Result<String, String> {
    let right = word.len() <= 63 && framed(word, |c| c.is_ascii_alphanumeric());
    if right { Ok(word.to_owned()) } else { Err(format!("{word:?} is not the value of a label")) }
}

/// Whether a text has such characters at both ends, and these, `-`, `_` and `.` between them.
fn framed(text: &str, of_end: impl Fn(char) -> bool) -> bool {
    text.starts_with(&of_end) && text.ends_with(&of_end) && text.chars().all(|c| of_end(c) || "-_.".contains(c))
}
