//! One question to the API server and its answer, whole and bounded: with the code, the server's own sentence, and when it wants to be asked again.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use std::error::Error;
use std::time::Duration;

/// What the API server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The code of HTTP.
    pub(crate) code: u16,
    /// When it wants to be asked again, by its header `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// Whether the question was granted.
    pub(crate) const fn is_good(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    /// The body as the API server's `Status`; `None` when it is something else, such as the plain text of a proxy or of an overloaded server.
    pub(crate) fn status(&self) -> Option<Status> {
        let status: Status = serde_json::from_str(&self.body).ok()?;
        (status.status.is_some() || !status.reason.is_empty()).then_some(status)
    }

    /// What the server said, as one line for people, with its code.
    pub(crate) fn sentence(&self) -> String {
        const LONGEST: usize = 300;
        let text = self.status().map_or_else(|| self.body.clone(), |status| status.message);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut = line.floor_char_boundary(LONGEST);
        let shown = line.get(..cut).unwrap_or_default();
        if shown.is_empty() { format!("HTTP {}", self.code) } else { format!("{shown} (HTTP {})", self.code) }
    }
}

/// Asks the API server once. The client must not ask again by itself (`Config::default_retry` off): it would hold back answers that say to wait, for
/// minutes, and no one would be told.
///
/// # Errors
/// Why there is no answer: no connection, none within `patience`, or one above `largest` bytes.
pub(crate) async fn ask(client: &Client, request: Request<Vec<u8>>, patience: Duration, largest: usize) -> Result<Answer, String> {
    let asked = async {
        let response = client.send(request.map(Body::from)).await.map_err(|error| with_causes(&error))?;
        let (head, body) = response.into_parts();
        let bytes = Limited::new(body, largest).collect().await.map_err(|error| with_causes(error.as_ref()))?.to_bytes();
        Ok(Answer {
            code: head.status.as_u16(),
            retry_after: retry_after(&head.headers),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
}

/// The header's whole seconds; the API server sends no date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An error with those that caused it: the outermost alone says no more than that a request failed.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, body: &str) -> Answer {
        Answer { code, retry_after: None, body: body.to_owned() }
    }

    #[test]
    fn the_sentence_is_the_servers_own_on_one_line() {
        let status = r#"{"kind":"Status","status":"Failure","message":"pods \"a\" not\nfound","reason":"NotFound","code":404}"#;
        assert_eq!(answer(404, status).sentence(), "pods \"a\" not found (HTTP 404)");
        assert_eq!(answer(502, "bad\n gateway\n").sentence(), "bad gateway (HTTP 502)");
        assert_eq!(answer(500, "").sentence(), "HTTP 500");
        assert!(answer(500, &"ä".repeat(400)).sentence().len() < 320, "a long page is cut");
    }

    #[test]
    fn only_a_status_is_taken_for_one() {
        for text in ["", "{}", "null", "[]", "too many requests", r#"{"kind":"Pod","metadata":{"name":"a"}}"#] {
            assert_eq!(answer(429, text).status(), None, "{text:?}");
        }
    }

    #[test]
    fn seconds_of_the_header_are_read_and_nothing_else() {
        let table = [("10", Some(10)), (" 3 ", Some(3)), ("soon", None), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)];
        for (text, seconds) in table {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
