//! What the disk is told, a line an order.

use std::path::PathBuf;
use xtask::images::cut::Extents;

/// Something that goes wrong with one write or flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The one after so many is refused with EIO and changes nothing.
    Error { after: u64 },
    /// The one after so many, and all behind it, wait.
    Stall { after: u64, ms: u64 },
}

impl Fault {
    pub(crate) const fn after(&self) -> u64 {
        let (Self::Error { after } | Self::Stall { after, .. }) = self;
        *after
    }
}

/// How the disks keep their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// What a flush takes.
    pub(crate) flush_us: u64,
    /// Writes that wait while later ones pass.
    pub(crate) held_per_thousand: u64,
    /// How long, at most.
    pub(crate) held_us_max: u64,
}

/// An order to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// What the disk holds now is what `Reset` brings back.
    SetEmpty,
    Reset,
    /// Begin a recording.
    Record,
    /// End it; images are made from it.
    Keep,
    /// How many events the kept recording has.
    Count,
    /// Where data lies in the kept recording.
    Data(Extents),
    Fault(Fault),
    /// Until the content is replaced; with a seed.
    Pace(Pace, u64),
    /// Become the image of a cut behind so many events of the kept recording, and begin to record.
    Cut {
        events: usize,
        seed: u64,
    },
    /// The same of what was recorded since.
    CutAgain {
        events: usize,
        seed: u64,
    },
    /// The kept recording goes to a file.
    Save(PathBuf),
    Load(PathBuf),
}

impl Order {
    pub(crate) fn write(&self) -> String {
        match self {
            Self::SetEmpty => "set-empty".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Record => "record".to_owned(),
            Self::Keep => "keep".to_owned(),
            Self::Count => "count".to_owned(),
            Self::Data(extents) => {
                let mut line = "data".to_owned();
                for (first, behind) in extents.stretches() {
                    line.push_str(&format!(" {first} {behind}"));
                }
                line
            }
            Self::Fault(Fault::Error { after }) => format!("error {after}"),
            Self::Fault(Fault::Stall { after, ms }) => format!("stall {after} {ms}"),
            Self::Pace(pace, seed) => {
                let Pace {
                    flush_us,
                    held_per_thousand,
                    held_us_max,
                } = pace;
                format!("pace {flush_us} {held_per_thousand} {held_us_max} {seed}")
            }
            Self::Cut { events, seed } => format!("cut {events} {seed}"),
            Self::CutAgain { events, seed } => format!("cut-again {events} {seed}"),
            Self::Save(path) => format!("save {}", path.display()),
            Self::Load(path) => format!("load {}", path.display()),
        }
    }

    pub(crate) fn read(line: &str) -> Result<Self, String> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Vec<u64> = rest.split(' ').flat_map(str::parse).collect();
        Ok(match (name, &numbers[..]) {
            ("set-empty", []) => Self::SetEmpty,
            ("reset", []) => Self::Reset,
            ("record", []) => Self::Record,
            ("keep", []) => Self::Keep,
            ("count", []) => Self::Count,
            ("data", numbers) => {
                let pairs = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                Self::Data(Extents::new(pairs.collect()))
            }
            ("error", &[after]) => Self::Fault(Fault::Error { after }),
            ("stall", &[after, ms]) => Self::Fault(Fault::Stall { after, ms }),
            ("pace", &[flush_us, held_per_thousand, held_us_max, seed]) => {
                let pace = Pace {
                    flush_us,
                    held_per_thousand,
                    held_us_max,
                };
                Self::Pace(pace, seed)
            }
            ("cut", &[events, seed]) => Self::Cut {
                events: events as usize,
                seed,
            },
            ("cut-again", &[events, seed]) => Self::CutAgain {
                events: events as usize,
                seed,
            },
            ("save", _) => Self::Save(rest.into()),
            ("load", _) => Self::Load(rest.into()),
            _ => return Err(format!("`{line}` is no order")),
        })
    }
}
