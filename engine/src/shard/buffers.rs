//! Buffers that the shard must never lack: commits and checkpoints are written from them, so that
//! memory pressure can always be relieved. They are taken at start and never given back.

use crate::io::arena::{Arena, ArenaBuf, ArenaSlice};

/// A fixed set of equal buffers, each either free, being filled, or held by a write in flight.
#[derive(Debug)]
pub(super) struct BufferPool {
    bytes: usize,
    free: Vec<ArenaBuf>,
    /// Written, but the write's own handle may not have been dropped yet.
    returning: Vec<ArenaSlice>,
}

impl BufferPool {
    /// Takes `count` buffers of `bytes` each. `None` when the arena has less.
    pub(super) fn new(arena: &mut Arena, count: usize, bytes: usize) -> Option<Self> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            free.push(arena.alloc(bytes)?);
        }
        Some(Self {
            bytes,
            free,
            returning: Vec::with_capacity(count),
        })
    }

    /// Bytes of each buffer.
    pub(super) const fn buffer_bytes(&self) -> usize {
        self.bytes
    }

    /// An empty buffer, if one is free.
    pub(super) fn take(&mut self) -> Option<ArenaBuf> {
        if self.free.is_empty() {
            self.collect();
        }
        self.free.pop()
    }

    /// Whether [`Self::take`] would give one.
    pub(super) fn has_free(&mut self) -> bool {
        if self.free.is_empty() {
            self.collect();
        }
        !self.free.is_empty()
    }

    /// Gives back a buffer whose write has ended.
    pub(super) fn give(&mut self, slice: ArenaSlice) {
        self.returning.push(slice);
    }

    fn collect(&mut self) {
        for _ in 0..self.returning.len() {
            let slice = self.returning.swap_remove(0);
            match slice.reclaim() {
                Ok(buf) => self.free.push(buf),
                Err(slice) => self.returning.push(slice),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BufferPool;
    use crate::io::arena::Arena;

    #[test]
    fn a_buffer_comes_back_once_nobody_reads_it_any_more() {
        let mut arena = Arena::new(2 << 20).unwrap();
        let mut pool = BufferPool::new(&mut arena, 2, 4096).unwrap();
        let first = pool.take().unwrap().freeze();
        let second = pool.take().unwrap();
        assert!(pool.take().is_none());
        let in_flight = first.clone();
        pool.give(first);
        assert!(!pool.has_free(), "the write still holds it");
        drop(in_flight);
        assert!(pool.take().is_some());
        pool.give(second.freeze());
        assert!(pool.has_free());
    }
}
