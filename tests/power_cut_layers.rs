//! Power cuts while an import keeps layers before the image is whole: what has a name is whole, and what was kept stays.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::convert::identity;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kit::power_cut::Run;
use kit::{Image, Layer, world};
use sealstone::deploy::import_image;
use sealstone::import::oci::Descriptor;
use sealstone::import::source::{self, Blob, Source};
use sealstone::import::{ImportError, ImportOptions, Limits};
use sealstone::store::Control;
use sealstone::store::disk::{Disk, RealDisk};

/// A layout that counts as costly, and keeps back one blob until the repository has the other layer.
#[derive(Debug)]
struct Slow {
    layout: Box<dyn Source>,
    records: PathBuf,
    /// How many layers' records there are before it goes on.
    wanted: usize,
    opened: AtomicUsize,
}

impl Slow {
    fn new(folder: &Path, wanted: usize) -> Self {
        let reference = format!("oci:{}", folder.join("layout").display()).parse().unwrap();
        let layout = source::open(&RealDisk::shared(), &reference, &Limits::default()).unwrap();
        Self { layout, records: folder.join("repo/sealstone/layers"), wanted, opened: AtomicUsize::new(0) }
    }
}

impl Source for Slow {
    fn label(&self) -> String {
        self.layout.label()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>, ImportError> {
        self.layout.roots(limits)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>, ImportError> {
        let blob = self.layout.open_blob(descriptor)?;
        // The manifest, the configuration, then the layers, the largest first: the smaller one waits.
        let is_late = self.opened.fetch_add(1, Ordering::SeqCst) == 3;
        Ok(if is_late { Box::new(Late { blob, source: self }) } else { blob })
    }
}

struct Late<'a> {
    blob: Box<dyn Blob + 'a>,
    source: &'a Slow,
}

impl Blob for Late<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ImportError> {
        let kept = || fs::read_dir(&self.source.records).map_or(0, Iterator::count);
        while kept() < self.source.wanted {
            thread::sleep(Duration::from_millis(5));
        }
        self.blob.read(buffer)
    }
}

fn import(disk: &Arc<dyn Disk>, folder: &Path, wanted: usize) {
    let repository = world::open(disk, folder).unwrap();
    let mut options = ImportOptions::default();
    options.keep_layers_after = Duration::ZERO;
    let source = Slow::new(folder, wanted);
    let _ = import_image(&repository, &source, "new", &options, &Control::new().with_threads(2)).unwrap();
}

#[test]
fn power_cut_while_layers_are_kept_leaves_each_whole_or_not_there() {
    let folder = world::with_repository();
    let late = Layer::new().dir("etc").file("etc/late", &[7; 3000]);
    Image::new().layer(Layer::system("6.1.0")).layer(late).write(&folder.path().join("layout"));
    let run = Run::of(folder.path(), identity, |disk| import(disk, folder.path(), 1));
    let lost =
        |state: &Path, acknowledged: bool| acknowledged.then(|| world::missing_image(state, "new")).flatten();
    run.states(lost, Some(&|disk: &Arc<dyn Disk>, state: &Path| import(disk, state, 0))).is_clean(250);
}
