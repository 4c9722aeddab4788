//! firedoor: see the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if firedoor::processor::IS_V3 && !is_v3() {
        eprintln!(
            "firedoor: this build is for processors with AVX2 (x86-64-v3), and this machine has none, or hides it from its guests.\n\
             Build it here, or anywhere for every x86-64 processor: RUSTFLAGS=-Ctarget-cpu=x86-64 cargo build --release"
        );
        return ExitCode::FAILURE;
    }
    firedoor::cli::run()
}

/// Whether this machine's processor is of level `x86-64-v3`. Only here, in a crate that is built for every processor, is that asked at all:
/// where AVX2 is taken for granted, the compiler answers by itself.
fn is_v3() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("movbe")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
