//! The way of a layer into the store, in three stages on threads of their own.
//!
//! ```text
//! unpack         assemble                                      write (shared by all layers)
//! read blob,   → hash blob and tar, read it, hash its files, → look each object up,
//! decompress     record stream and tree                        write the new ones
//! ```
//!
//! Chunks of the tar go from stage to stage, and back to their pool. Layers run side by side, the largest first, as many
//! as there are threads. A layer's result is handed out only when its blob's digest and size, and its tar's digest, are
//! what the image says; nobody has given it a name by then.

mod assemble;
mod blob_hash;
mod body;
mod buffer;
mod halt;
mod layer;
mod meter;
mod partial;
mod sparse;
mod stored;
mod unpack;
mod write_back;
mod writer;

use std::{
    convert::Infallible,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize},
    },
    thread,
};

use crossbeam_channel::{Sender, bounded};
use sealstone_store::{Control, ObjectId, Transaction};

use crate::{
    DiffId, ImportOptions,
    decompress::WindowGate,
    error::Result,
    layer_tree::LayerTree,
    oci::Descriptor,
    report::{LayerReport, ProcessorTime},
    source::Source,
    space::SpaceWatch,
    tar::Strictness,
};
use assemble::Assembly;
pub(crate) use assemble::trees_too_big;
use buffer::{CHUNK, Pool};
pub(crate) use halt::Halt;
use layer::{Arrived, LayerRun};
use meter::Meter;
pub(crate) use stored::StoredTar;
use unpack::Unpacker;
use write_back::Caretaker;
use writer::write_all;

/// A layer to bring into the store.
pub(crate) struct LayerTask {
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: DiffId,
    /// The layer's stream in the store, to be read instead of the blob: its record is lost.
    pub(crate) stored: Option<ObjectId>,
}

/// A layer that is what the image says. Its objects and its stream are stored; nothing names them yet.
pub(crate) struct LayerDone {
    pub(crate) diff_id: DiffId,
    pub(crate) stream: ObjectId,
    pub(crate) tree: LayerTree,
    /// The strictest reading that accepts the layer.
    pub(crate) strictest: Strictness,
    /// Whether it is durable under its own name already.
    pub(crate) is_kept: bool,
    pub(crate) report: LayerReport,
}

/// How an import divides up its threads and chunks.
struct Shape {
    layers: usize,
    writers: usize,
    chunks: usize,
    /// Chunks that one layer's unfinished body may keep.
    hold: usize,
}

/// The chunks that a layer needs to get on, besides those that a body keeps.
const WORKING: usize = 8;

impl Shape {
    fn new(control: &Control, layers: usize) -> Self {
        let wanted = control.memory_budget() / CHUNK;
        let layers = control.threads().min(layers).min(wanted / (WORKING * 2)).max(1);
        let chunks = wanted.max(WORKING * 2);
        Self { layers, writers: control.threads(), chunks, hold: (chunks / layers / 2).min(chunks - WORKING) }
    }
}

/// Brings layers into the store, in the order of the tasks. Their trees may take so many bytes together.
///
/// # Errors
/// The first thing that went wrong with any of them.
pub(crate) fn import_layers(
    source: &dyn Source,
    transaction: &Transaction,
    tasks: &[LayerTask],
    tree_bytes_left: u64,
    space: &SpaceWatch,
    options: &ImportOptions,
    control: &Control,
) -> Result<(Vec<LayerDone>, ProcessorTime)> {
    let shape = Shape::new(control, tasks.len());
    let pool = Pool::new(shape.chunks);
    let gate = WindowGate::default();
    let halt = Halt::new(control);
    let meter = Meter::default();
    let warnings_left = AtomicUsize::new(options.limits.warnings);
    let tree_bytes_left = AtomicU64::new(tree_bytes_left);
    let mut queue: Vec<(usize, &LayerTask)> = tasks.iter().enumerate().collect();
    queue.sort_by_key(|(_, task)| task.descriptor.size());
    let queue = Mutex::new(queue);
    let done = Mutex::new(Vec::new());
    let keep_after = source.is_costly().then_some(options.keep_layers_after);
    let caretaker = Caretaker { transaction, space, done: &done, keep_after };
    thread::scope(|scope| {
        let (jobs, work) = bounded(shape.writers * 4);
        for _ in 0..shape.writers {
            let (work, halt, meter) = (work.clone(), &halt, &meter);
            scope.spawn(move || meter.write.on(|| write_all(transaction, &work, halt)));
        }
        let (running, over) = bounded(0);
        let halt = &halt;
        let caretaker = &caretaker;
        scope.spawn(move || caretaker.run(&over, halt));
        for rank in 0..shape.layers {
            let first = lock(&queue).pop();
            let run = LayerRun {
                source,
                options,
                unpacker: Unpacker { pool: &pool, gate: &gate, limits: &options.limits, halt, meter: &meter },
                assembly: Assembly {
                    transaction,
                    jobs: jobs.clone(),
                    halt,
                    limits: &options.limits,
                    strictness: options.strictness,
                    hold: shape.hold,
                    warnings_left: &warnings_left,
                    tree_bytes_left: &tree_bytes_left,
                },
            };
            let (queue, done, running) = (&queue, &done, running.clone());
            scope.spawn(move || {
                let _running: Sender<Infallible> = running;
                if rank > 0 {
                    give_way();
                }
                run_layers(&run, first, queue, done, halt);
            });
        }
    });
    let outcome = halt.outcome();
    if outcome.is_err() && keep_after.is_some() {
        // What is whole need not be fetched again. That it cannot be kept is no news: the import has failed.
        let _ = caretaker.keep_layers();
    }
    outcome?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok((done.into_iter().map(|(_, layer)| layer.finish()).collect(), meter.report()))
}

/// The tasks that are left, with their places; the largest at the end, since the last to begin should be short.
type Queue<'a> = Mutex<Vec<(usize, &'a LayerTask)>>;

/// Imports layers until there are none left, or one fails.
fn run_layers<'a>(
    run: &LayerRun<'_, '_>,
    first: Option<(usize, &'a LayerTask)>,
    queue: &Queue<'a>,
    done: &Mutex<Vec<(usize, Arrived)>>,
    halt: &Halt<'_>,
) {
    let mut next = first;
    while let Some((index, task)) = next {
        match run.import(task) {
            Ok(layer) => lock(done).push((index, layer)),
            Err(error) => return halt.fail(error),
        }
        next = lock(queue).pop();
    }
}

/// Lets the largest layer have the processors first: its decompressor, one thread, decides when the import ends. The
/// other layers fill what it leaves. Threads that this thread makes are as patient.
fn give_way() {
    /// Steps of niceness, on top of the user's.
    const PATIENCE: i32 = 10;
    let thread = Some(rustix::thread::gettid());
    let Ok(now) = rustix::process::getpriority_process(thread) else { return };
    // Lowering one's own priority is always allowed; should it fail all the same, the import is only slower.
    let _ = rustix::process::setpriority_process(thread, now + PATIENCE);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
