//! What kind of file system a directory is on, as far as durability and direct writes care.

use std::io::Result;
use std::path::Path;

/// What a file system's kind means for a log that writes in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Writes in place on a local disk: what the engine is made for.
    InPlace,
    /// Every overwrite goes to a new place, so preparing space ahead does not help.
    CopyOnWrite,
    /// Elsewhere: durability and O_DIRECT are up to a server.
    Network,
    /// In memory: a restart of the machine empties it.
    Memory,
    /// A layer over others, as containers have for their image.
    Layered,
    /// Not known here.
    Unknown,
}

/// A directory's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its usual name.
    pub name: &'static str,
    /// What that means.
    pub nature: Nature,
    /// Bytes that can still be written by this user.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Numbers by which the kernel tells file systems, from its `magic.h` and the drivers' own headers.
const KINDS: &[(u64, &str, Nature)] = &[
    (0xEF53, "ext4", Nature::InPlace),
    (0x5846_5342, "xfs", Nature::InPlace),
    (0xF2F5_2010, "f2fs", Nature::InPlace),
    (0x9123_683E, "btrfs", Nature::CopyOnWrite),
    (0x2FC1_2FC1, "zfs", Nature::CopyOnWrite),
    (0xCA45_1A4E, "bcachefs", Nature::CopyOnWrite),
    (0x6969, "nfs", Nature::Network),
    (0xFF53_4D42, "cifs", Nature::Network),
    (0xFE53_4D42, "smb2", Nature::Network),
    (0x00C3_6400, "ceph", Nature::Network),
    (0x0BD0_0BD0, "lustre", Nature::Network),
    (0x0102_1997, "9p", Nature::Network),
    (0x6573_5546, "fuse", Nature::Network),
    (0x0102_1994, "tmpfs", Nature::Memory),
    (0x8584_58F6, "ramfs", Nature::Memory),
    (0x794C_7630, "overlayfs", Nature::Layered),
];

/// The file system that holds `dir`.
///
/// # Errors
/// What the system says about the path.
pub fn of(dir: &Path) -> Result<FileSystem> {
    let found = rustix::fs::statfs(dir)?;
    // The type's width differs between architectures; the numbers have 32 bits.
    let magic = found.f_type as u64 & 0xFFFF_FFFF;
    let (name, nature) = kind(magic);
    let block = u64::try_from(found.f_bsize).unwrap_or(0);
    Ok(FileSystem {
        name,
        nature,
        free_bytes: found.f_bavail.saturating_mul(block),
        total_bytes: found.f_blocks.saturating_mul(block),
    })
}

fn kind(magic: u64) -> (&'static str, Nature) {
    let known = KINDS.iter().find(|(number, ..)| *number == magic);
    known.map_or(("an unknown file system", Nature::Unknown), |known| {
        (known.1, known.2)
    })
}

impl FileSystem {
    /// What is bad about keeping a log there, and what to do; `None`: nothing.
    #[must_use]
    pub const fn objection(&self) -> Option<&'static str> {
        match self.nature {
            Nature::InPlace => None,
            Nature::CopyOnWrite => Some(
                "is copy-on-write: durable writes cost more and space cannot be prepared; use ext4 \
                 or xfs",
            ),
            Nature::Network => Some(
                "is not on this machine: whether a write is durable is up to its server; use ext4 \
                 or xfs on a local disk",
            ),
            Nature::Memory => Some(
                "is in memory: a restart of the machine loses every record, acknowledged or not; \
                 use ext4 or xfs on a disk",
            ),
            Nature::Layered => Some(
                "is the layer of a container, which goes with it; mount a volume on ext4 or xfs",
            ),
            Nature::Unknown => Some("is not known here; ext4 and xfs are"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_number_and_objected_to_by_nature() {
        assert_eq!(kind(0xEF53), ("ext4", Nature::InPlace));
        assert_eq!(kind(0x0102_1994).1, Nature::Memory);
        assert_eq!(kind(0x1234).1, Nature::Unknown);
        for (magic, name, nature) in KINDS {
            assert_eq!(kind(*magic), (*name, *nature), "each number comes once");
        }
    }

    #[test]
    fn memory_is_recognised_where_it_is_mounted_and_its_danger_said() {
        let found = of(Path::new("/dev/shm")).unwrap();
        assert_eq!(found.nature, Nature::Memory);
        assert!(found.objection().unwrap().contains("loses every record"));
        assert!(of(Path::new("/no/such/place")).is_err());
    }
}
