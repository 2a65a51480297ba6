//! What gRPC asks of an answer, held against what came.

use super::status::Status;
use tonic::Code;

type Fields = Vec<(String, String)>;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Response {
    begun: bool,
    body: Vec<u8>,
    trailers: Option<Fields>,
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
}

impl Response {
    /// Headers, or the fields behind the body. Whether the answer is whole.
    pub(super) fn headers(&mut self, fields: Fields, end: bool) -> Result<bool, Status> {
        if let Some(field) = fields.iter().find(|field| field.0.is_empty() || field.0.chars().any(|c| c.is_ascii_uppercase())) {
            return Err(Status::broken(format!("a field named {:?}", field.0)));
        }
        if self.begun {
            if !end {
                return Err(Status::broken("a second header block that does not end the stream"));
            }
        } else {
            first(&fields)?;
            self.begun = true;
        }
        if end {
            self.trailers = Some(fields);
        }
        Ok(end)
    }

    /// A part of the body. Whether the answer is whole.
    pub(super) fn data(&mut self, bytes: &[u8], end: bool) -> Result<bool, Status> {
        if !self.begun {
            return Err(Status::broken("a body before the headers"));
        }
        self.body.extend_from_slice(bytes);
        Ok(end)
    }

    /// The one message.
    pub(super) fn finish(self) -> Result<Vec<u8>, Status> {
        let trailers = self.trailers.ok_or_else(|| Status::broken("the stream ends with a body and without grpc-status"))?;
        let text = find(&trailers, "grpc-status").ok_or_else(|| Status::broken(format!("no grpc-status in {trailers:?}")))?;
        let number: i32 = text.parse().map_err(|_| Status::broken(format!("grpc-status {text:?}")))?;
        if number != 0 {
            return Err(Status::new(Code::from_i32(number), unescape(find(&trailers, "grpc-message").unwrap_or(""))));
        }
        let (head, message) = self.body.split_at_checked(5).ok_or_else(|| Status::broken("status OK without a message"))?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        if head[0] != 0 {
            return Err(Status::broken("a compressed message; nothing of the kind was offered"));
        }
        if usize::try_from(length).ok() != Some(message.len()) {
            return Err(Status::broken(format!("a message of {length} bytes in a body with {}", message.len())));
        }
        Ok(message.to_vec())
    }
}

fn first(fields: &Fields) -> Result<(), Status> {
    let status = find(fields, ":status");
    if status != Some("200") {
        return Err(Status::broken(format!(":status {status:?}")));
    }
    if fields.iter().filter(|field| field.0.starts_with(':')).count() != 1 || !fields[0].0.starts_with(':') {
        return Err(Status::broken(format!("pseudo fields among {fields:?}")));
    }
    let kind = find(fields, "content-type").unwrap_or("");
    if kind != "application/grpc" && kind != "application/grpc+proto" {
        return Err(Status::broken(format!("content-type {kind:?}")));
    }
    Ok(())
}

/// A grpc-message without its escapes; bytes that are no text stay visible.
fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok()).and_then(|two| u8::from_str_radix(two, 16).ok());
        match hex.filter(|_| *byte == b'%') {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn begun() -> Response {
        let mut response = Response::default();
        assert_eq!(response.headers(fields(&[(":status", "200"), ("content-type", "application/grpc")]), false), Ok(false));
        response
    }

    fn check(body: &[u8], trailers: &[(&str, &str)], wanted: &str) {
        let mut response = begun();
        response.data(body, false).unwrap();
        response.headers(fields(trailers), true).unwrap();
        let found = response.finish().map_or_else(|status| status.to_string(), |message| format!("{message:?}"));
        assert!(found.contains(wanted), "{body:?} {trailers:?}: {found}, not {wanted}");
    }

    #[test]
    fn an_answer_is_one_whole_message_and_a_status() {
        let ok = [("grpc-status", "0")];
        check(&[0, 0, 0, 0, 2, 7, 8], &ok, "[7, 8]");
        check(&[0, 0, 0, 0, 0], &ok, "[]");
        check(&[], &ok, "without a message");
        check(&[0, 0, 0, 0, 2, 7], &ok, "a message of 2 bytes in a body with 1");
        check(&[1, 0, 0, 0, 0], &ok, "compressed");
        check(&[0, 0, 0, 0, 0], &[], "no grpc-status");
        check(&[], &[("grpc-status", "8"), ("grpc-message", "no%20CPU 100%")], "ResourceExhausted: no CPU 100%");
    }

    #[test]
    fn headers_must_be_those_of_grpc() {
        for (wrong, wanted) in [
            (fields(&[(":status", "404"), ("content-type", "application/grpc")]), ":status"),
            (fields(&[(":status", "200"), ("content-type", "text/html")]), "content-type"),
            (fields(&[(":status", "200"), ("Content-Type", "application/grpc")]), "a field named"),
        ] {
            let found = Response::default().headers(wrong.clone(), false).unwrap_err().to_string();
            assert!(found.contains(wanted), "{wrong:?}: {found}");
        }
        assert!(begun().headers(fields(&[("more", "x")]), false).is_err(), "a second block must be the last");
    }
}
