//! The parts that a recording is made of: each a gzip member of its own (RFC 1952), written as a whole. So a file can be unpacked by anybody, an agent that is
//! killed loses only the part that it had not written yet, and what was cut off at the end is found without unpacking what is before it: a member says in an
//! extra field how long it is.

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The extra field: two letters of ours, the length of the number, and the number of bytes of the whole member, little endian.
const EXTRA: [u8; 8] = [b'G', b'l', 4, 0, 0, 0, 0, 0];
/// A gzip header with such a field: ten bytes, two for the length of all extra fields, the field.
const HEADER: usize = 20;
/// Where the number is in it.
const LENGTH: std::ops::Range<usize> = 16..20;

/// Lines that are not on disk yet.
pub(super) struct Member {
    encoder: GzEncoder<Vec<u8>>,
    /// Bytes before packing.
    pub(super) raw: u64,
    /// Ticks in it.
    pub(super) ticks: u64,
}

impl Member {
    /// Without any line.
    pub(super) fn new() -> Self {
        // The fastest level would need two thirds more disk.
        let encoder = GzBuilder::new().extra(EXTRA.as_slice()).write(Vec::new(), Compression::default());
        Self { encoder, raw: 0, ticks: 0 }
    }

    /// Adds a line; its end is added.
    ///
    /// # Errors
    /// Never, as long as there is memory.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.encoder.write_all(text.as_bytes())?;
        self.encoder.write_all(b"\n")?;
        self.raw = self.raw.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX)).saturating_add(1);
        Ok(())
    }

    /// The member's bytes.
    ///
    /// # Errors
    /// When it is longer than 4 GiB.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut bytes = self.encoder.finish()?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let place = bytes.get_mut(LENGTH).ok_or_else(|| io::Error::other("a gzip member without its header"))?;
        place.copy_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }
}

/// How many bytes of a file are whole members of ours, from its beginning on.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn whole(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at < end {
        let mut header = [0; HEADER];
        file.seek(SeekFrom::Start(at))?;
        match file.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        let Some(next) = length(&header).and_then(|length| at.checked_add(length)).filter(|next| *next <= end) else { break };
        at = next;
    }
    Ok(at)
}

/// The length that a header tells; `None` when it is none of ours.
fn length(header: &[u8; HEADER]) -> Option<u64> {
    let ours = header.starts_with(&[0x1f, 0x8b, 8, 4]) && header.get(12..16) == EXTRA.get(..4);
    let number = u32::from_le_bytes(header.get(LENGTH)?.try_into().ok()?);
    (ours && usize::try_from(number).is_ok_and(|number| number > HEADER)).then_some(u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Cursor;

    fn member(lines: &[&str]) -> Vec<u8> {
        let mut member = Member::new();
        lines.iter().for_each(|line| member.line(line).unwrap());
        member.finish().unwrap()
    }

    #[test]
    fn members_one_after_the_other_are_one_gzip_file() {
        let mut text = String::new();
        let file = [member(&["a", "b"]), member(&[]), member(&["c"])].concat();
        MultiGzDecoder::new(file.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb\nc\n");
    }

    #[test]
    fn what_was_cut_off_is_found_wherever_it_was_cut() {
        let (one, two) = (member(&["a"]), member(&["b", "c"]));
        for cut in 0..=two.len() {
            let file = [&one[..], &two[..cut]].concat();
            let expected = if cut == two.len() { file.len() } else { one.len() };
            assert_eq!(whole(&mut Cursor::new(file)).unwrap(), expected as u64, "{cut} of {} bytes of the second member", two.len());
        }
    }

    #[test]
    fn what_is_no_recording_has_no_whole_members() {
        let mut foreign = GzEncoder::new(Vec::new(), Compression::default());
        foreign.write_all(b"another's gzip file, which is long enough").unwrap();
        for file in [Vec::new(), vec![0; 100], b"root:x:0:0:root:/root:/bin/sh\n".to_vec(), foreign.finish().unwrap()] {
            assert_eq!(whole(&mut Cursor::new(file.clone())).unwrap(), 0, "{file:?}");
        }
    }
}
