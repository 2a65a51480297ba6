//! The half of a connection that reads: answers what HTTP/2 wants answered, and hands the rest to the calls.

use super::connection::{Event, Shared, State};
use super::frame::{self, Frame};
use super::status::{Status, reset_name};
use loona_hpack::Decoder;
use std::os::unix::net::UnixStream;

/// What Go's client sends to find out how far away the server is.
const PROBE: [u8; 8] = [2, 4, 16, 16, 9, 14, 7, 7];
const TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW: u16 = 4;
const MAX_FRAME: u16 = 5;

/// Reads until the connection ends.
pub(super) fn run(shared: &Shared, stream: UnixStream) {
    let mut reader = Reader { shared, stream, decoder: Decoder::new(), block: None, greeted: false };
    let why = loop {
        match reader.next() {
            Ok(()) => {}
            Err(status) => break status,
        }
    };
    shared.close(why);
}

/// A header block whose end has not come.
struct Block {
    stream: u32,
    bytes: Vec<u8>,
    end_stream: bool,
}

struct Reader<'a> {
    shared: &'a Shared,
    stream: UnixStream,
    decoder: Decoder<'static>,
    block: Option<Block>,
    greeted: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<(), Status> {
        let read = Frame::read(&mut self.stream).map_err(Status::unavailable)?;
        let frame = read.ok_or_else(|| Status::unavailable("the server hung up"))?;
        if !self.greeted && (frame.kind != frame::SETTINGS || frame.has(frame::ACK)) {
            return Err(Status::broken("the first frame is not SETTINGS"));
        }
        self.greeted = true;
        if self.block.as_ref().is_some_and(|block| frame.kind != frame::CONTINUATION || frame.stream != block.stream) {
            return Err(Status::broken("a frame inside a header block"));
        }
        match frame.kind {
            frame::DATA => self.data(&frame),
            frame::HEADERS => {
                let bytes = frame.content().ok_or_else(|| Status::broken("padding"))?.to_vec();
                self.block = Some(Block { stream: frame.stream, bytes, end_stream: frame.has(frame::END_STREAM) });
                self.headers(frame.has(frame::END_HEADERS))
            }
            frame::CONTINUATION => {
                let block = self.block.as_mut().ok_or_else(|| Status::broken("CONTINUATION of nothing"))?;
                block.bytes.extend_from_slice(&frame.payload);
                self.headers(frame.has(frame::END_HEADERS))
            }
            frame::RST_STREAM => {
                let code = frame.number(0).ok_or_else(|| Status::broken("a short RST_STREAM"))?;
                self.hand(frame.stream, Event::Reset(code), true);
                Ok(())
            }
            frame::SETTINGS => self.settings(&frame),
            frame::PUSH_PROMISE => Err(Status::broken("PUSH_PROMISE")),
            frame::PING => self.ping(&frame),
            frame::GOAWAY => self.goaway(&frame),
            frame::WINDOW_UPDATE => self.window(&frame),
            // A client skips what it does not know.
            _ => Ok(()),
        }
    }

    /// A server that has closed its end may have answered before: it is still read to the last byte.
    fn send(&self, frame: &Frame) {
        let _ = self.shared.writer.lock().unwrap().send(frame);
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.notify_all();
        changed
    }

    /// What is of no call any more is dropped: a call may have been given up.
    fn hand(&self, stream: u32, event: Event, last: bool) {
        self.with(|state| {
            if let Some(open) = state.open.get(&stream) {
                let _ = open.events.send(event);
            }
            if last {
                state.open.remove(&stream);
            }
        });
    }

    fn data(&mut self, frame: &Frame) -> Result<(), Status> {
        let content = frame.content().ok_or_else(|| Status::broken("padding"))?.to_vec();
        let (end, length) = (frame.has(frame::END_STREAM), u32::try_from(frame.payload.len()).unwrap());
        self.hand(frame.stream, Event::Data(content, end), end);
        if length > 0 {
            self.send(&Frame::new(frame::WINDOW_UPDATE, 0, 0, length.to_be_bytes()));
        }
        if length > 0 && !end {
            self.send(&Frame::new(frame::WINDOW_UPDATE, 0, frame.stream, length.to_be_bytes()));
        }
        if !self.with(|state| std::mem::replace(&mut state.pinging, true)) {
            self.send(&Frame::new(frame::PING, 0, 0, PROBE));
        }
        Ok(())
    }

    fn headers(&mut self, whole: bool) -> Result<(), Status> {
        let Some(block) = self.block.take_if(|_| whole) else { return Ok(()) };
        let fields = self.decoder.decode(&block.bytes).map_err(|e| Status::broken(format!("header block: {e:?}")))?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| Status::broken("a field that is no text"));
        let fields = fields.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_, Status>>()?;
        self.hand(block.stream, Event::Headers(fields, block.end_stream), block.end_stream);
        Ok(())
    }

    fn settings(&mut self, frame: &Frame) -> Result<(), Status> {
        if frame.has(frame::ACK) {
            return Ok(());
        }
        for entry in frame.payload.chunks(6) {
            let [a, b, rest @ ..] = entry else { return Err(Status::broken("SETTINGS of a wrong length")) };
            let value = u32::from_be_bytes(rest.try_into().map_err(|_| Status::broken("SETTINGS of a wrong length"))?);
            let size = usize::try_from(value).unwrap();
            match u16::from_be_bytes([*a, *b]) {
                TABLE_SIZE => self.shared.writer.lock().unwrap().encoder.allow(size),
                INITIAL_WINDOW => self.with(|state| {
                    let more = i64::from(value) - state.initial_window;
                    state.initial_window += more;
                    state.open.values_mut().for_each(|open| open.window += more);
                }),
                MAX_FRAME => self.with(|state| state.longest = size),
                _ => {}
            }
        }
        self.send(&Frame::new(frame::SETTINGS, frame::ACK, 0, []));
        Ok(())
    }

    fn ping(&mut self, frame: &Frame) -> Result<(), Status> {
        if !frame.has(frame::ACK) {
            self.send(&Frame::new(frame::PING, frame::ACK, 0, frame.payload.clone()));
            return Ok(());
        }
        let asked = self.with(|state| std::mem::replace(&mut state.pinging, false));
        if asked && frame.payload == PROBE { Ok(()) } else { Err(Status::broken("a PING answered that was not sent")) }
    }

    fn goaway(&mut self, frame: &Frame) -> Result<(), Status> {
        let (last, code) = frame.number(0).zip(frame.number(4)).ok_or_else(|| Status::broken("a short GOAWAY"))?;
        let text = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
        self.with(|state| {
            state.closed.get_or_insert(Status::unavailable(format!("GOAWAY {} {text}", reset_name(code).0)));
            state.open.retain(|stream, _| *stream <= last);
        });
        Ok(())
    }

    fn window(&mut self, frame: &Frame) -> Result<(), Status> {
        let more = frame.number(0).filter(|more| *more > 0).ok_or_else(|| Status::broken("WINDOW_UPDATE by nothing"))?;
        self.with(|state| match frame.stream {
            0 => state.window += i64::from(more),
            stream => {
                if let Some(open) = state.open.get_mut(&stream) {
                    open.window += i64::from(more);
                }
            }
        });
        Ok(())
    }
}
