//! The commands, one module each: arguments, then `run`.

pub(crate) mod completions;
pub(crate) mod consume;
pub(crate) mod doctor;
pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod produce;
pub(crate) mod serve;
mod table;
mod time;
pub(crate) mod topic;

/// Whether a command failed only because nobody reads its output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Splits `key=value`.
fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not key=value")),
    }
}
