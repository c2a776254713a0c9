//! record_batch (skeleton).
