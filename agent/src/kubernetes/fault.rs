//! What went wrong with a call, as one line for people.

use kube::core::Status;
use std::error::Error;

/// A server may send a whole page.
const LONGEST: usize = 300;

/// The cause of a failed call: the server's own words, else the chain of causes.
pub(crate) fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => said(status),
        kube::Error::Service(error) => chain(error.as_ref()),
        error => chain(error),
    }
}

/// What the server said.
pub(crate) fn said(status: &Status) -> String {
    one_line(&format!("{} ({})", if status.message.is_empty() { &status.reason } else { &status.message }, status.code))
}

/// An error and its causes. Many say their cause themselves; that is not repeated.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = source.source();
    }
    one_line(&text)
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_line_that_repeats_nothing() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection\nrefused");
        assert_eq!(cause(&kube::Error::ReadEvents(refused)), "Error reading events stream: Connection refused");
        let status = |message: &str| kube::Error::Api(Status::failure(message, "Forbidden").with_code(403).boxed());
        assert_eq!(cause(&status("pods is forbidden")), "pods is forbidden (403)");
        assert_eq!(cause(&status("")), "Forbidden (403)");
        let page = cause(&status(&"ä ".repeat(5000)));
        assert_eq!(page.chars().count(), LONGEST + 1, "{page}");
    }
}
