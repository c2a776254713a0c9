//! Requests in flight, by a key that also knows whether it is still the same request.

/// Names an element for as long as it is in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlabKey {
    index: u32,
    generation: u16,
}

/// Index bits of a key inside a ticket.
const INDEX_BITS: u32 = 20;
/// Elements of a slab at most.
pub const SLAB_MAX: usize = 1 << INDEX_BITS;

impl SlabKey {
    /// The key as 36 bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.index as u64) << 16 | self.generation as u64
    }

    /// The key of [`Self::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            index: (bits >> 16) as u32 & (SLAB_MAX as u32 - 1),
            generation: bits as u16,
        }
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u16,
    value: Option<T>,
}

/// Elements at stable keys; memory is kept for reuse.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Adds an element. The requests in flight of all connections are far fewer than
    /// [`SLAB_MAX`]; beyond it the element is given back.
    ///
    /// # Errors
    /// The slab is full.
    pub fn insert(&mut self, value: T) -> Result<SlabKey, T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.entries.len() >= SLAB_MAX => return Err(value),
            None => {
                self.entries.push(Entry {
                    generation: 0,
                    value: None,
                });
                (self.entries.len() - 1) as u32
            }
        };
        let entry = &mut self.entries[index as usize];
        entry.value = Some(value);
        self.len += 1;
        Ok(SlabKey {
            index,
            generation: entry.generation,
        })
    }

    /// The element, while it is there.
    pub fn get_mut(&mut self, key: SlabKey) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.generation == key.generation).then_some(entry.value.as_mut()?)
    }

    /// Takes the element out; its key is dead.
    pub fn remove(&mut self, key: SlabKey) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        self.len -= 1;
        Some(value)
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_dies_with_its_element_even_when_the_place_is_used_again() {
        let mut slab = Slab::default();
        let first = slab.insert("a").unwrap();
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b").unwrap();
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(
            slab.get_mut(SlabKey::from_bits(second.to_bits())),
            Some(&mut "b")
        );
        assert_eq!(slab.len(), 1);
    }
}
