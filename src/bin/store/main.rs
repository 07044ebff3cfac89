//! The command `store`.
fn main() {}
