//! DeleteGroups and OffsetDelete.

use super::effects::OffsetChange;
use super::group::{CONSUMER, Group, State};
use crate::protocol::ErrorCode;

impl Group {
    /// Deletions of everything, when the group may be deleted.
    ///
    /// # Errors
    /// `NON_EMPTY_GROUP` while it has members, `GROUP_ID_NOT_FOUND` when it is on its way out.
    pub(super) fn deletion(&self) -> Result<Vec<OffsetChange>, ErrorCode> {
        match self.state {
            State::Dead => Err(ErrorCode::GroupIdNotFound),
            State::Empty => Ok(self.offsets.deletions(|_, _| true)),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                Err(ErrorCode::NonEmptyGroup)
            }
        }
    }

    /// Whether single offsets may be deleted.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`; `NON_EMPTY_GROUP` when nobody knows what the members read.
    pub(super) fn check_offset_deletion(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Dead => Err(ErrorCode::GroupIdNotFound),
            State::Empty => Ok(()),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                if self.protocol_type.as_deref() == Some(CONSUMER) {
                    Ok(())
                } else {
                    Err(ErrorCode::NonEmptyGroup)
                }
            }
        }
    }
}
