//! Tables of what a shard has open. A handle is a place and a generation, so that a handle kept
//! after a close names nothing instead of something else.

/// Bits of a handle that name the place.
const PLACE_BITS: u32 = 20;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;

#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Which place the next [`Self::insert`] takes.
    pub(super) fn next_place(&self) -> u32 {
        let next = self.free.last().copied();
        next.unwrap_or(self.entries.len() as u32)
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            assert!(self.entries.len() < PLACE_MASK as usize, "table is full");
            self.entries.push(Entry {
                generation: 0,
                value: None,
            });
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[place as usize];
        entry.value = Some(value);
        entry.generation << PLACE_BITS | place
    }

    pub(super) fn get(&self, handle: u32) -> Option<&T> {
        let entry = self.entries.get(Self::place(handle) as usize)?;
        let is_same = entry.generation == handle >> PLACE_BITS;
        entry.value.as_ref().filter(|_| is_same)
    }

    pub(super) fn get_mut(&mut self, handle: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(Self::place(handle) as usize)?;
        let is_same = entry.generation == handle >> PLACE_BITS;
        entry.value.as_mut().filter(|_| is_same)
    }

    pub(super) fn remove(&mut self, handle: u32) -> Option<T> {
        self.get(handle)?;
        let entry = &mut self.entries[Self::place(handle) as usize];
        entry.generation = (entry.generation + 1) & (u32::MAX >> PLACE_BITS);
        self.free.push(Self::place(handle));
        entry.value.take()
    }

    pub(super) const fn place(handle: u32) -> u32 {
        handle & PLACE_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_kept_after_removal_names_nothing() {
        let mut table = Table::new();
        let first = table.insert('a');
        assert_eq!(table.next_place(), 1);
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b');
        assert_eq!(Table::<char>::place(first), Table::<char>::place(second));
        assert_eq!((table.get(first), table.get(second)), (None, Some(&'b')));
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut 'b'));
    }
}
