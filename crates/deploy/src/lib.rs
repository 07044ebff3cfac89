//! Sealstone deploy.
