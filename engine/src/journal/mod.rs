//! journal (skeleton).
