//! Sealstone boot.
