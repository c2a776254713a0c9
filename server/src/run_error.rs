//! Why a broker could not be started: what, where, and what to do about it.

use crate::config::ConfigError;
use crate::serve_config::ServeConfig;
use millrace_engine::engine::EngineError;
use millrace_engine::ids::ShardId;
use millrace_engine::io::IoFailure;
use millrace_engine::io::group::SetupError;
use millrace_engine::shard::OpenError;
use std::net::SocketAddr;

/// Why a broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An option is wrong.
    #[error("{option} {value:?}: {problem}")]
    Option {
        /// Which.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The kernel does not let the shards run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A port cannot be listened on.
    #[error("cannot listen on {address}: {failure}{hint}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        failure: IoFailure,
        /// What it may be.
        hint: &'static str,
    },
    /// The data cannot be opened.
    #[error("{shard}: {error}{hint}")]
    Open {
        /// Which shard.
        shard: ShardId,
        /// Why.
        error: OpenError,
        /// What to do.
        hint: &'static str,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another shard could not start; its error says why.
    #[error("stopped because another shard could not start")]
    Stopped,
}

/// An engine that could not be opened, with what to do about it.
pub(crate) fn open_failed(shard: ShardId, error: OpenError) -> RunError {
    let hint = match &error {
        OpenError::Io { failure, .. } if failure.is_out_of_files() => {
            "; raise the limit of open files with LimitNOFILE (systemd), --ulimit nofile \
             (containers) or ulimit -n"
        }
        OpenError::Io { failure, .. } if failure.is_full() => {
            "; free space on the disk of --data-dir or --journal-dir"
        }
        OpenError::Io { .. } | OpenError::Refused { .. } => "",
    };
    RunError::Open { shard, error, hint }
}

/// The engine's names of what the command line has options for.
pub(crate) fn option_named(error: EngineError, config: &ServeConfig) -> RunError {
    match error {
        EngineError::Config(wrong) if wrong.key == "memory_bytes" => RunError::Option {
            option: "--memory",
            value: format!("{} MiB", config.memory_bytes >> 20),
            problem: format!(
                "{} to {} MiB are allowed; each shard needs 16 MiB at least, fewer --cores need \
                 less",
                wrong.min >> 20,
                wrong.max >> 20
            ),
        },
        EngineError::Config(wrong) if wrong.key == "cores" => RunError::Option {
            option: "--cores",
            value: format!("{} cores", wrong.value),
            problem: format!("{} to {} are allowed", wrong.min, wrong.max),
        },
        other => RunError::Engine(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_opening_says_what_to_raise_or_free() {
        let said = |errno| {
            let object = "0001.0000.jnl".to_owned();
            let failure = IoFailure::Os(errno);
            open_failed(ShardId(1), OpenError::Io { object, failure }).to_string()
        };
        // EMFILE, ENOSPC, EIO.
        assert!(said(24).contains("0001.0000.jnl") && said(24).contains("LimitNOFILE"));
        assert!(said(28).contains("free space"));
        assert!(!said(5).contains(';'));
    }
}
