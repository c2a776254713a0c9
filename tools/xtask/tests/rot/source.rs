//! A simulated disk as `millrace log verify` sees one.

use millrace_engine::inspect::Source;
use millrace_engine::io::simulated::World;
use millrace_engine::io::{Dir, FilePath};
use std::cell::RefCell;
use std::collections::BTreeMap;

const BLOCK_BYTES: u64 = 4096;

/// A file's bytes and the blocks of it that cannot be read.
type Content = (Vec<u8>, Vec<u64>);

pub(crate) struct DiskSource<'a> {
    world: &'a World,
    contents: RefCell<BTreeMap<(u8, String), Content>>,
}

impl<'a> DiskSource<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self {
            world,
            contents: RefCell::default(),
        }
    }
}

impl Source for DiskSource<'_> {
    fn list(&self, dir: Dir) -> Result<Vec<(String, u64)>, String> {
        let size = |name: String| {
            let content = self.world.content(&FilePath::new(dir, name.clone()));
            (name, content.map_or(0, |content| content.len() as u64))
        };
        Ok(self.world.names(dir).into_iter().map(size).collect())
    }

    fn read(&self, dir: Dir, name: &str, position: u64, out: &mut [u8]) -> Result<(), String> {
        let mut contents = self.contents.borrow_mut();
        let key = (dir as u8, name.to_owned());
        if !contents.contains_key(&key) {
            let path = FilePath::new(dir, name);
            let content = self.world.content(&path).ok_or("is missing")?;
            let unreadable = self.world.unreadable_blocks(&path);
            contents.insert(key.clone(), (content, unreadable));
        }
        let (content, unreadable) = &contents[&key];
        let end = position + out.len() as u64;
        let touches =
            |block: &&u64| position < (**block + 1) * BLOCK_BYTES && **block * BLOCK_BYTES < end;
        if let Some(block) = unreadable.iter().find(touches) {
            return Err(format!("block {block} cannot be read"));
        }
        let bytes = content.get(position as usize..end as usize);
        out.copy_from_slice(bytes.ok_or("the file ends before")?);
        Ok(())
    }
}
