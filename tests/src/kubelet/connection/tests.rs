//! What goes over the socket, frame by frame, with a server that says just what a test needs.

use super::*;
use loona_hpack::Decoder;
use std::io::Read;
use std::os::unix::net::UnixListener;

const LIMIT: Duration = Duration::from_secs(30);
const METHOD: &str = "/a.B/C";

/// The other end of a connection.
struct Server {
    stream: UnixStream,
    decoder: Decoder<'static>,
}

impl Server {
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        Frame::new(kind, flags, stream, payload).write(&mut self.stream).unwrap();
    }

    /// The next frame of this kind; others are left out.
    fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = Frame::read(&mut self.stream).unwrap().expect("the client is still there");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The next request: the length of its header block, and its fields as lines.
    fn request(&mut self) -> (u32, usize, Vec<String>) {
        let frame = self.next(frame::HEADERS);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let fields = self.decoder.decode(&frame.payload).unwrap();
        (frame.stream, frame.payload.len(), fields.into_iter().map(|(name, value)| format!("{} {}", text(name), text(value))).collect())
    }

    fn fields(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let block = Encoder::new(HeaderStyle::Literal).encode(fields);
        self.send(frame::HEADERS, frame::END_HEADERS | flags, stream, &block);
    }

    fn answer(&mut self, stream: u32, message: &[u8]) {
        self.fields(stream, 0, &[(":status", "200"), ("content-type", "application/grpc")]);
        let framed = [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message].concat();
        self.send(frame::DATA, 0, stream, &framed);
        self.fields(stream, frame::END_STREAM, &[("grpc-status", "0")]);
    }
}

/// Runs a server that greets with these settings, and a client of it. The client begins when its settings are acknowledged.
fn meet<T: Send>(
    caller: Caller,
    settings: &[u8],
    serve: impl FnOnce(&mut Server) + Send,
    call: impl FnOnce(&Connection, &Path) -> T + Send,
) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (ready, begin) = channel();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut server = Server { stream, decoder: Decoder::new() };
            let mut preface = [0; PREFACE.len()];
            server.stream.read_exact(&mut preface).unwrap();
            assert_eq!(preface, PREFACE);
            assert_eq!(server.next(frame::SETTINGS).flags, 0, "the client's own SETTINGS come first");
            server.send(frame::SETTINGS, 0, 0, settings);
            assert_eq!(server.next(frame::SETTINGS).flags, frame::ACK);
            ready.send(()).unwrap();
            serve(&mut server);
        });
        let connection = Connection::open(&path, caller).unwrap();
        begin.recv_timeout(LIMIT).expect("the client acknowledges SETTINGS");
        let result = call(&connection, &path);
        drop(connection);
        server.join().unwrap();
        result
    })
}

#[test]
fn the_authority_is_written_as_told() {
    let authorities = [Authority::RawPath, Authority::EscapedPath, Authority::Localhost, Authority::Empty];
    for (authority, headers) in authorities.into_iter().flat_map(|a| [(a, HeaderStyle::Go), (a, HeaderStyle::Literal)]) {
        let (sender, found) = channel();
        let serve = move |server: &mut Server| {
            for _ in 0..2 {
                let (stream, length, lines) = server.request();
                server.answer(stream, &[7]);
                sender.send((length, lines)).unwrap();
            }
        };
        let path = meet(Caller { authority, headers }, &[], serve, |connection, path| {
            for _ in 0..2 {
                assert_eq!(connection.call(METHOD, &[], LIMIT), Ok(vec![7]));
            }
            path.to_str().unwrap().to_owned()
        });
        let text = match authority {
            Authority::RawPath => path,
            Authority::EscapedPath => path.replace('/', "%2F"),
            Authority::Localhost => "localhost".to_owned(),
            Authority::Empty => String::new(),
        };
        let all: Vec<_> = found.try_iter().collect();
        for (_, lines) in &all {
            let wanted = [":method POST", ":scheme http", ":path /a.B/C", &format!(":authority {text}")];
            assert_eq!(lines[..4], wanted, "{headers:?}");
            assert_eq!(lines[4..7], ["content-type application/grpc", "user-agent grpc-go/1.40.0", "te trailers"]);
        }
        let (first, second) = (all[0].0, all[1].0);
        match headers {
            HeaderStyle::Go => assert!(second < 20 && second < first, "{second} bytes after {first}: the table is not used"),
            HeaderStyle::Literal => assert_eq!(first, second),
        }
    }
}

#[test]
fn the_window_of_the_server_is_kept() {
    // INITIAL_WINDOW_SIZE is 10.
    let settings = [0, 4, 0, 0, 0, 10];
    let serve = |server: &mut Server| {
        let (stream, ..) = server.request();
        let first = server.next(frame::DATA);
        assert_eq!((first.payload.len(), first.has(frame::END_STREAM)), (10, false));
        server.send(frame::WINDOW_UPDATE, 0, stream, &20u32.to_be_bytes());
        let second = server.next(frame::DATA);
        assert_eq!((second.payload.len(), second.has(frame::END_STREAM)), (20, false));
        // A larger initial window is one for open streams too.
        server.send(frame::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]);
        let last = server.next(frame::DATA);
        assert_eq!((last.payload.len(), last.has(frame::END_STREAM)), (75, true), "100 bytes and 5 of the message's frame");
        server.answer(stream, &[]);
    };
    let answer = meet(Caller::default(), &settings, serve, |connection, _| connection.call(METHOD, &[1; 100], LIMIT));
    assert_eq!(answer, Ok(vec![]));
}

#[test]
fn pings_are_answered_and_asked_as_go_does() {
    let serve = |server: &mut Server| {
        let (stream, ..) = server.request();
        server.send(frame::PING, 0, 0, b"12345678");
        let pong = server.next(frame::PING);
        assert_eq!((pong.flags, &pong.payload[..]), (frame::ACK, &b"12345678"[..]));
        server.answer(stream, &[1, 2, 3]);
        let updates: Vec<_> = (0..2).map(|_| server.next(frame::WINDOW_UPDATE)).map(|f| (f.stream, f.number(0))).collect();
        assert_eq!(updates, [(0, Some(8)), (stream, Some(8))]);
        let probe = server.next(frame::PING);
        assert_eq!(probe.flags, 0);
        server.send(frame::PING, frame::ACK, 0, &probe.payload);
        let (stream, ..) = server.request();
        server.answer(stream, &[4]);
        server.next(frame::PING);
    };
    meet(Caller::default(), &[], serve, |connection, _| {
        assert_eq!(connection.call(METHOD, &[], LIMIT), Ok(vec![1, 2, 3]));
        assert_eq!(connection.call(METHOD, &[], LIMIT), Ok(vec![4]));
    });
}

#[test]
fn a_call_past_its_deadline_is_cancelled_and_the_connection_lives_on() {
    let serve = |server: &mut Server| {
        let (first, ..) = server.request();
        let cancelled = server.next(frame::RST_STREAM);
        assert_eq!((cancelled.stream, cancelled.number(0)), (first, Some(8)));
        // Too late, and of no harm.
        server.answer(first, &[1]);
        let (second, ..) = server.request();
        server.answer(second, &[2]);
    };
    meet(Caller::default(), &[], serve, |connection, _| {
        let late = connection.call(METHOD, &[], Duration::from_millis(50)).unwrap_err();
        assert_eq!(late.code, Code::DeadlineExceeded, "{late}");
        assert_eq!(connection.call(METHOD, &[], LIMIT), Ok(vec![2]));
    });
}

/// The status of a call that a server deals with in this way.
fn check(wanted: Code, words: &str, deal: impl FnOnce(&mut Server, u32) + Send) {
    let serve = |server: &mut Server| {
        let (stream, ..) = server.request();
        deal(server, stream);
    };
    let failed = meet(Caller::default(), &[], serve, |connection, _| connection.call(METHOD, &[], LIMIT)).unwrap_err();
    assert!(failed.code == wanted && failed.message.contains(words), "{failed}, not {wanted:?} with {words:?}");
}

#[test]
fn what_a_server_does_wrong_is_said() {
    check(Code::Unavailable, "transport", |_, _| {});
    check(Code::Unavailable, "GOAWAY ENHANCE_YOUR_CALM too many", |server, _| {
        server.send(frame::GOAWAY, 0, 0, &[&[0, 0, 0, 0, 0, 0, 0, 11], &b"too many"[..]].concat());
        // Read until the client leaves, so that it is not the end of the connection that it notices.
        while Frame::read(&mut server.stream).is_ok_and(|frame| frame.is_some()) {}
    });
    check(Code::Unavailable, "REFUSED_STREAM", |server, stream| server.send(frame::RST_STREAM, 0, stream, &7u32.to_be_bytes()));
    check(Code::Internal, "a frame inside a header block", |server, stream| {
        server.send(frame::HEADERS, 0, stream, &[]);
        server.send(frame::PING, 0, 0, &[0; 8]);
    });
    check(Code::Internal, "no grpc-status", |server, stream| {
        server.fields(stream, frame::END_STREAM, &[(":status", "200"), ("content-type", "application/grpc")]);
    });
    check(Code::NotFound, "no such pod", |server, stream| {
        let head = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no such%20pod")];
        server.fields(stream, frame::END_STREAM, &head);
    });
}

#[test]
fn header_blocks_may_come_in_pieces_and_with_padding() {
    let serve = |server: &mut Server| {
        let (stream, ..) = server.request();
        let block = Encoder::new(HeaderStyle::Literal).encode(&[(":status", "200"), ("content-type", "application/grpc")]);
        let (one, two) = block.split_at(7);
        // PADDED, by two bytes.
        server.send(frame::HEADERS, 8, stream, &[&[2], one, &[0, 0]].concat());
        server.send(frame::CONTINUATION, frame::END_HEADERS, stream, two);
        server.send(frame::DATA, 8, stream, &[1, 0, 0, 0, 0, 1, 9, 0]);
        server.fields(stream, frame::END_STREAM, &[("grpc-status", "0")]);
    };
    let answer = meet(Caller::default(), &[], serve, |connection, _| connection.call(METHOD, &[], LIMIT));
    assert_eq!(answer, Ok(vec![9]));
}
