//! Telling the C library's allocator to give freed memory back to the kernel.
//!
//! What lives here: one call, for programs that promise a memory bound. What does not: any use of it by the libraries,
//! for whom the allocator is the program's. Source: `mallopt(3)`.

/// Keeps the memory that the process holds close to the memory that it uses, with the GNU C library; with others this
/// does nothing. To be called once, at the start of `main`.
///
/// That allocator raises the size from which it maps memory by itself, and the slack that it keeps, each time a large
/// block is freed (up to 32 and 64 MiB). A pipeline frees large blocks all the time: an import of 180,000 files peaked at
/// 105 MiB so, and at 96 MiB with both fixed, in the same time.
pub fn keep_heap_tight() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    gnu::fix_thresholds();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod gnu {
    use std::ffi::c_int;

    /// From `malloc.h`.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;

    /// The initial value of both, in bytes: naming it is what stops it from growing.
    const THRESHOLD: c_int = 128 << 10;

    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    pub(super) fn fix_thresholds() {
        // Safe for every argument: `mallopt` takes two numbers and refuses those that it does not know. Its manual page
        // calls it unsafe with other threads, as it stores each threshold without synchronisation: one aligned word of
        // which every value is valid, under the lock of the main arena; a thread that allocates meanwhile sees the old one.
        for parameter in [M_TRIM_THRESHOLD, M_MMAP_THRESHOLD] {
            mallopt(parameter, THRESHOLD);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_allocator_takes_both_thresholds_and_goes_on() {
            assert_eq!(mallopt(M_TRIM_THRESHOLD, THRESHOLD), 1);
            assert_eq!(mallopt(M_MMAP_THRESHOLD, THRESHOLD), 1);
            let blocks: Vec<Vec<u8>> = (1..64_u8).map(|n| vec![n; usize::from(n) << 14]).collect();
            assert!(blocks.iter().zip(1..).all(|(block, n)| block.iter().all(|byte| *byte == n)));
        }
    }
}
