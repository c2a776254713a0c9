//! segment (skeleton).
