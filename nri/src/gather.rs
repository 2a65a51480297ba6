/// A header of `N` bytes, gathered from chunks that may end anywhere in it.
#[derive(Debug)]
pub(crate) struct Gather<const N: usize> {
    bytes: [u8; N],
    have: usize,
}

impl<const N: usize> Gather<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], have: 0 }
    }

    /// Takes from the front of a chunk what is missing; the whole when it is there, after which the next one begins.
    pub(crate) fn take(&mut self, chunk: &mut &[u8]) -> Option<[u8; N]> {
        let count = chunk.len().min(N.saturating_sub(self.have));
        let (now, rest) = chunk.split_at(count);
        for (place, byte) in self.bytes.iter_mut().skip(self.have).zip(now) {
            *place = *byte;
        }
        *chunk = rest;
        self.have += count;
        if self.have < N {
            return None;
        }
        self.have = 0;
        Some(self.bytes)
    }
}
