use gleaner_model::MilliCpu;
use std::collections::VecDeque;

/// How far the promise has fallen from the highest of the last steps.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    /// Steps that are looked back at, besides the present one.
    window: u64,
    now: u64,
    /// Those that can still be the highest: later and lower ones after earlier and higher ones.
    highest: VecDeque<(u64, MilliCpu)>,
}

impl Cuts {
    pub(super) fn new(window: u64) -> Self {
        Self { window: window.max(1), now: 0, highest: VecDeque::new() }
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        self.highest.clear();
    }

    /// How far below the highest of the window this is.
    #[inline]
    pub(super) fn step(&mut self, promise: MilliCpu) -> MilliCpu {
        self.now += 1;
        while self.highest.back().is_some_and(|(_, lower)| *lower <= promise) {
            self.highest.pop_back();
        }
        self.highest.push_back((self.now, promise));
        while self.highest.front().is_some_and(|(at, _)| at + self.window < self.now) {
            self.highest.pop_front();
        }
        self.highest.front().map_or(MilliCpu::ZERO, |(_, highest)| highest.minus(promise))
    }
}
