//! Sealstone import.
