//! An image that is larger than the machine's memory comes in: the command is given 128 MiB, page cache included.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::layer::noise;
use kit::memory_group::MemoryGroup;
use kit::registry::{Protection, Registry};
use kit::{Compression, Image, Layer, Outcome, Sandbox, skip};

/// What the command may use, with its share of the page cache, in bytes.
const MEMORY: u64 = 128 << 20;

/// A layer with two files that cannot be compressed, of so many MiB together.
fn layer(name: &str, mebibytes: usize, seed: u64) -> Layer {
    let half = noise(mebibytes << 19, seed);
    let other = noise(mebibytes << 19, seed + 1);
    Layer::new().file(&format!("{name}-1"), &half).file(&format!("{name}-2"), &other)
}

#[test]
fn an_image_of_four_times_the_memory_is_pulled_in_128_mebibytes() {
    let test = "an_image_of_four_times_the_memory_is_pulled_in_128_mebibytes";
    let group = match MemoryGroup::of(MEMORY) {
        Ok(group) => group,
        Err(why) => return skip(test, &why),
    };
    let sandbox = Sandbox::with_repository();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let image = Image::new()
        .layer(layer("a", 64, 1))
        .compressed_layer(layer("b", 224, 3), Compression::None)
        .compressed_layer(layer("c", 224, 5), Compression::None);
    image.write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "large:1", &["--preserve-digests"]);

    let reference = format!("docker://{}/large:1", registry.host());
    let import = sandbox.command(["import", "--name", "large", "--tls-verify=false", &reference]);
    Outcome::of(&mut group.run(&import)).succeeds();
    let again =
        sandbox.command(["--memory", "8M", "import", "--verify-existing", "--name", "large", "oci:layout"]);
    Outcome::of(&mut group.run(&again)).succeeds();
    sandbox.store(["fsck"]).succeeds();
    assert!(group.peak() <= MEMORY, "the group is the limit, or the test shows nothing");
    assert!(group.peak() > MEMORY / 8, "{} bytes: the command did not run in the group", group.peak());
}
