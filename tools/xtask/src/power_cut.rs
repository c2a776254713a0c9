//! `cargo xtask power-cut`: runs the power-cut rig, `tools/xtask/tests/power_cut`.

use crate::layer::{self, Words};
use anyhow::{Result, bail};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Options of `cargo xtask power-cut`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many images
    #[arg(long, default_value_t = 1500)]
    images: u64,
    /// The file system they are of
    #[arg(long, default_value = "ext4", value_parser = ["ext4", "xfs"])]
    fs: String,
    /// The seed of the first recording; each has 75 images
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Look again at this image of the recording `--from`, which a failure kept
    #[arg(long, conflicts_with_all = ["images", "record"])]
    image: Option<u64>,
    /// Add a line about this run to docs/proof-runs.jsonl
    #[arg(long)]
    record: bool,
    /// Plant this bug of engine/src/planted.rs, to see it found
    #[arg(long, conflicts_with = "record")]
    bug: Option<u8>,
}

/// What the last line of a run says.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    images: u64,
    checked: u64,
    lost: u64,
    others: u64,
}

impl Summary {
    /// Reads `power-cut: N images on ext4, A acknowledged batches checked, L lost, V other
    /// violations`.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("power-cut: ")?.split(", ");
        let mut part = |name: &str| parts.next()?.split_once(name)?.0.parse().ok();
        Some(Self {
            images: part(" images on ")?,
            checked: part(" acknowledged batches checked")?,
            lost: part(" lost")?,
            others: part(" other violations")?,
        })
    }
}

/// Runs the rig of the workspace at `root`.
///
/// # Errors
/// When an image lacks what it must hold, or the rig does not work.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let words = Words::default()
        .with("--images", args.images)
        .with("--fs", &args.fs)
        .with("--from", args.from)
        .with_some("--image", args.image)
        .with_some("--bug", args.bug);
    let begin = Instant::now();
    let is_good = layer::run(root, ("power_cut", words), args.record, |last, _| {
        let summary = Summary::read(last)?;
        Some(json!({
            "layer": "power-cut",
            "file_system": args.fs,
            "from": args.from,
            "images": summary.images,
            "acknowledged_batches_checked": summary.checked,
            "lost": summary.lost,
            "violations": summary.others,
            "seconds": begin.elapsed().as_secs(),
        }))
    })?;
    if !is_good {
        bail!("the power-cut rig found something");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_last_line_is_read_and_any_other_is_not() {
        let line = "power-cut: 150 images on ext4, 48304 acknowledged batches checked, 0 lost, 2 \
                    other violations";
        let summary = Summary {
            images: 150,
            checked: 48_304,
            lost: 0,
            others: 2,
        };
        assert_eq!(Summary::read(line), Some(summary));
        assert_eq!(Summary::read("power-cut: not run: /dev/fuse: absent"), None);
        assert_eq!(Summary::read("   118 unflushed writes torn"), None);
    }
}
