//! How ambiguous a layer may be.

/// What is done with a layer that readers of the field understand differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strictness {
    /// As [`Strictness::Normal`], but `..` in a path is resolved, clamped at the root, instead of refused.
    Lenient,
    /// What honest builders write is accepted; oddities are warned of.
    #[default]
    Normal,
    /// A layer is refused for what a scanner could read otherwise: duplicate paths, repeated extended headers, global
    /// headers that name paths or sizes, contradicting names, sizes on entries without a body.
    Strict,
}
