//! A recording in a file, so that an image can be made again later.

use super::blocks::{BLOCK_BYTES, Blocks};
use super::cut::Extents;
use super::{Event, Recording};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"mlrcrec2";
const WRITE: u64 = 1;
const FLUSH: u64 = 2;
/// No single write of a disk is longer.
const WRITE_BYTES_MAX: u64 = 16 << 20;

/// Writes `recording`, and which blocks hold data, to `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn save(recording: &Recording, data: &Extents, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut file = BufWriter::new(file);
    file.write_all(MAGIC)?;
    let before = recording.before();
    put(
        &mut file,
        &[before.bytes(), before.written().count() as u64],
    )?;
    for (index, block) in before.written() {
        put(&mut file, &[index as u64])?;
        file.write_all(block)?;
    }
    put(&mut file, &[data.stretches().len() as u64])?;
    for &(first, behind) in data.stretches() {
        put(&mut file, &[first, behind])?;
    }
    put(&mut file, &[recording.count() as u64])?;
    for event in recording.events() {
        match event {
            Event::Write { position, bytes } => {
                put(&mut file, &[WRITE, *position, bytes.len() as u64])?;
                file.write_all(bytes)?;
            }
            Event::Flush {
                first,
                behind,
                covers,
            } => put(&mut file, &[FLUSH, *first, *behind, *covers as u64])?,
        }
    }
    file.flush().context("write a recording")
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// When the file cannot be read or is none.
pub fn load(path: &Path) -> Result<(Recording, Extents)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut file = BufReader::new(file);
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    ensure!(magic == *MAGIC, "{} is no recording", path.display());
    let mut before = Blocks::new(get(&mut file)?);
    let mut block = [0; BLOCK_BYTES];
    for _ in 0..get(&mut file)? {
        let index = get(&mut file)?;
        file.read_exact(&mut block)?;
        before.write(index * BLOCK_BYTES as u64, &block);
    }
    let mut stretches = Vec::new();
    for _ in 0..get(&mut file)? {
        stretches.push((get(&mut file)?, get(&mut file)?));
    }
    let mut recording = Recording::new(before);
    for _ in 0..get(&mut file)? {
        recording.add(match get(&mut file)? {
            WRITE => {
                let (position, length) = (get(&mut file)?, get(&mut file)?);
                ensure!(length <= WRITE_BYTES_MAX, "a write of {length} bytes");
                let mut bytes = vec![0; length as usize];
                file.read_exact(&mut bytes)?;
                Event::Write {
                    position,
                    bytes: bytes.into(),
                }
            }
            FLUSH => Event::Flush {
                first: get(&mut file)?,
                behind: get(&mut file)?,
                covers: get(&mut file)? as usize,
            },
            other => bail!("{}: event of kind {other}", path.display()),
        });
    }
    Ok((recording, Extents::new(stretches)))
}

fn put(file: &mut impl Write, numbers: &[u64]) -> Result<()> {
    for number in numbers {
        file.write_all(&number.to_le_bytes())?;
    }
    Ok(())
}

fn get(file: &mut impl Read) -> Result<u64> {
    let mut number = [0; 8];
    file.read_exact(&mut number).context("a number")?;
    Ok(u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flush, write};
    use super::*;

    #[test]
    fn a_recording_is_the_same_after_it_was_saved() {
        let mut before = Blocks::new(8 * 4096);
        before.write(4096, &[4; 10]);
        let mut recording = Recording::new(before);
        recording.add(write(100, 1, 512));
        recording.add(flush(1));
        let data = Extents::new(vec![(1, 3), (5, 6)]);
        let path = std::env::temp_dir().join(format!("millrace-file-{}", std::process::id()));
        save(&recording, &data, &path).unwrap();
        let (found, found_data) = load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(found.events(), recording.events());
        assert_eq!(found_data, data);
        assert!(found.before().written().eq(recording.before().written()));
        assert_eq!(found.before().bytes(), 8 * 4096);
    }
}
