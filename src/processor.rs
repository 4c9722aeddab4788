//! The kind of processor that this build is for.

/// Whether it needs what processors of level `x86-64-v3` can do (AVX2 and what came with it: Intel since 2013, AMD since 2015).
/// `.cargo/rustc` decides that. It is for `main` to look, since nothing else is built for older ones.
pub const IS_V3: bool = cfg!(target_feature = "avx2");
