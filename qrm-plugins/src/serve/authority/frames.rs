//! The bytes that a client sends, frame by frame (RFC 9113, section 4): header blocks are rewritten, all else passes as it is.

use super::headers::{BadBlock, HeaderBlocks};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a frame's payload.
const HEAD: usize = 9;
/// The largest payload of a frame: the default of RFC 9113, since our server announces no other.
const MAX_FRAME: usize = 16 * 1024;
/// The most that the frames of one header block may come to, their heads included: empty ones must end, too.
const BLOCK_CAP: usize = 64 * 1024;
/// Bytes of the priority fields of a HEADERS frame.
const PRIORITY_FIELDS: usize = 5;

mod kind {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const CONTINUATION: u8 = 9;
}

mod flag {
    pub(super) const END_STREAM: u8 = 0x1;
    pub(super) const END_HEADERS: u8 = 0x4;
    pub(super) const PADDED: u8 = 0x8;
    pub(super) const PRIORITY: u8 = 0x20;
}

/// Why a connection cannot go on.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Broken {
    /// The first bytes are not those of HTTP/2.
    #[error("this is no HTTP/2")]
    Preface,
    /// A header block that is not continued, or a continuation of none.
    #[error("a frame of kind {0} where none may be")]
    OutOfPlace(u8),
    /// A frame of headers above [`MAX_FRAME`].
    #[error("a frame of headers with {0} bytes, at most {MAX_FRAME}")]
    FrameTooLarge(usize),
    /// A header block above [`BLOCK_CAP`].
    #[error("a header block of more than {BLOCK_CAP} bytes")]
    BlockTooLarge,
    /// More padding, or more fields, than the frame has bytes.
    #[error("a frame of headers is shorter than its flags say")]
    Short,
    /// What is in the block.
    #[error(transparent)]
    Block(#[from] BadBlock),
}

/// A frame without its payload.
#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    /// With the reserved bit as it came.
    stream: u32,
}

impl Head {
    fn read(bytes: [u8; HEAD]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = bytes;
        let length = (usize::from(l1) << 16) | (usize::from(l2) << 8) | usize::from(l3);
        Self { length, kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]) }
    }

    fn write(self, out: &mut Vec<u8>) {
        let [.., l1, l2, l3] = self.length.to_be_bytes();
        out.extend_from_slice(&[l1, l2, l3, self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Stage {
    Preface,
    Head,
    /// The payload of a frame that passes: so many bytes are left.
    Pass(usize),
    /// The payload of a frame with a part of a header block.
    Payload(Head),
}

/// A header block of which more frames are to come.
struct Open {
    first: Head,
    /// Its priority fields; empty when it has none.
    priority: Vec<u8>,
    block: Vec<u8>,
    /// Counts towards [`BLOCK_CAP`].
    spent: usize,
}

/// Takes what a client sends in pieces of any size. How it is cut into pieces changes nothing.
pub(super) struct Rewriter {
    stage: Stage,
    /// The bytes so far of what can only be judged as a whole: preface, head, payload with headers.
    held: Vec<u8>,
    open: Option<Open>,
    headers: HeaderBlocks,
}

impl Default for Rewriter {
    fn default() -> Self {
        Self { stage: Stage::Preface, held: Vec::new(), open: None, headers: HeaderBlocks::default() }
    }
}

impl Rewriter {
    /// Takes the next bytes and appends to `out` what can be passed on.
    ///
    /// # Errors
    /// When the connection cannot go on. What was appended before is right; what comes after has no meaning.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let want = match self.stage {
                Stage::Preface => PREFACE.len(),
                Stage::Head => HEAD,
                Stage::Payload(head) => head.length,
                Stage::Pass(left) => {
                    let (now, later) = at_most(bytes, left);
                    out.extend_from_slice(now);
                    bytes = later;
                    self.stage = passing(left - now.len());
                    continue;
                }
            };
            let (now, later) = at_most(bytes, want.saturating_sub(self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == want {
                let whole = std::mem::take(&mut self.held);
                self.whole(&whole, out)?;
            }
        }
        Ok(())
    }

    /// The part that was waited for is there.
    fn whole(&mut self, part: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        match self.stage {
            Stage::Preface if part != PREFACE => return Err(Broken::Preface),
            Stage::Preface => {
                out.extend_from_slice(part);
                self.stage = Stage::Head;
            }
            Stage::Head => {
                let head = Head::read(part.try_into().map_err(|_| Broken::Short)?);
                self.stage = self.begin(head, out)?;
                // A frame without a payload is whole already.
                if matches!(self.stage, Stage::Payload(head) if head.length == 0) {
                    return self.whole(&[], out);
                }
            }
            Stage::Payload(head) => {
                self.stage = Stage::Head;
                self.part_of_block(head, part, out)?;
            }
            Stage::Pass(_) => {}
        }
        Ok(())
    }

    /// Decides what becomes of a frame.
    fn begin(&mut self, head: Head, out: &mut Vec<u8>) -> Result<Stage, Broken> {
        let of_block = matches!(head.kind, kind::HEADERS | kind::CONTINUATION);
        let in_place = match &self.open {
            Some(open) => head.kind == kind::CONTINUATION && head.stream == open.first.stream,
            // Clients promise nothing, and a promise would have a header block.
            None => !matches!(head.kind, kind::CONTINUATION | kind::PUSH_PROMISE),
        };
        if !in_place {
            return Err(Broken::OutOfPlace(head.kind));
        }
        if !of_block {
            // A payload that is too large is the server's to refuse; it is not kept here.
            head.write(out);
            return Ok(passing(head.length));
        }
        if head.length > MAX_FRAME {
            return Err(Broken::FrameTooLarge(head.length));
        }
        if self.open.as_ref().map_or(0, |open| open.spent) + HEAD + head.length > BLOCK_CAP {
            return Err(Broken::BlockTooLarge);
        }
        Ok(Stage::Payload(head))
    }

    fn part_of_block(&mut self, head: Head, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut open = match self.open.take() {
            Some(mut open) => {
                open.block.extend_from_slice(payload);
                open
            }
            None => first_part(head, payload)?,
        };
        open.spent += HEAD + head.length;
        if head.has(flag::END_HEADERS) {
            let block = self.headers.rewrite(&open.block)?;
            write_block(&open, &block, out);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }
}

/// The stage in which so many bytes of a payload are left to pass.
fn passing(left: usize) -> Stage {
    if left == 0 { Stage::Head } else { Stage::Pass(left) }
}

/// A HEADERS frame without its padding.
fn first_part(head: Head, payload: &[u8]) -> Result<Open, Broken> {
    let (padding, rest) = match payload.split_first() {
        Some((padding, rest)) if head.has(flag::PADDED) => (usize::from(*padding), rest),
        None if head.has(flag::PADDED) => return Err(Broken::Short),
        _ => (0, payload),
    };
    let fields = if head.has(flag::PRIORITY) { PRIORITY_FIELDS } else { 0 };
    let (priority, rest) = rest.split_at_checked(fields).ok_or(Broken::Short)?;
    let length = rest.len().checked_sub(padding).ok_or(Broken::Short)?;
    let (block, _) = at_most(rest, length);
    Ok(Open { first: head, priority: priority.to_owned(), block: block.to_owned(), spent: 0 })
}

/// Writes a block into as many frames as it needs, without padding.
fn write_block(open: &Open, block: &[u8], out: &mut Vec<u8>) {
    let ends = |rest: &[u8]| if rest.is_empty() { flag::END_HEADERS } else { 0 };
    let stream = open.first.stream;
    let (now, mut rest) = at_most(block, MAX_FRAME - PRIORITY_FIELDS);
    let flags = (open.first.flags & (flag::END_STREAM | flag::PRIORITY)) | ends(rest);
    Head { length: open.priority.len() + now.len(), kind: kind::HEADERS, flags, stream }.write(out);
    out.extend_from_slice(&open.priority);
    out.extend_from_slice(now);
    while !rest.is_empty() {
        let (now, later) = at_most(rest, MAX_FRAME);
        Head { length: now.len(), kind: kind::CONTINUATION, flags: ends(later), stream }.write(out);
        out.extend_from_slice(now);
        rest = later;
    }
}

/// The first bytes, at most so many, and the others.
fn at_most(bytes: &[u8], most: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(most).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests;
