//! Planning a deployment: install, deploy, update and switch are the same.
//!
//! What lives here: which record the request makes, or that it is there already; what of it has to be made. What does not:
//! what a record says (`draft.rs`), the order of steps (`planner.rs`).

use sealstone_boot::Esp;
use sealstone_store::{Control, tree::Tree};

use super::{
    DeployRequest, Finalise, Plan, Predecessor, Step, bless::spent, draft::Draft, loader::WantedLoader,
    place::place_of, planner::Planner, uki::keep_addons_of_bootc,
};
use crate::{
    DeployError, DeploymentId, ImageId, RECORD_VERSION, Record, State, Target,
    entries::menu,
    etc::{NewEtc, Renewal},
};

/// How often a new system is tried.
const TRIES: u32 = 3;

/// One digit, so that names keep their length (rule D10).
const TRIES_MAX: u32 = 9;

/// What in an image takes the counter off an entry once a boot went well: our unit, wanted by a target, or systemd's own.
const BLESSERS: [&str; 4] = [
    "/etc/systemd/system/multi-user.target.wants/store-bless.service",
    "/usr/lib/systemd/system/multi-user.target.wants/store-bless.service",
    "/usr/lib/systemd/system-generators/systemd-bless-boot-generator",
    "/lib/systemd/system-generators/systemd-bless-boot-generator",
];

/// Plans to deploy an image: as the first system of a sysroot, or as the one that boots next while the others stay.
/// What is deployed just so already needs no steps, or those that mend it.
///
/// # Errors
/// [`DeployError::Unfit`] when the image cannot boot this way, and what reading the target brings.
pub fn plan_deploy(target: &Target, request: &DeployRequest) -> Result<Plan, DeployError> {
    let mut planner = Planner::new(target, request.running.as_ref())?;
    let (reference, resolved) = place_of(&planner.world.records, request);
    let mut request = DeployRequest { reference, resolved, ..request.clone() };
    planner.plan.trees = request.trees.clone();
    let predecessor = predecessor(&planner, &request)?;
    let latest = latest(&planner, &request, predecessor.as_ref());
    request.read_ahead_from(&target.repository, predecessor.as_ref());
    let tree = planner.plan.trees.tree(&target.repository, &request.image)?;
    let left = keep_addons_of_bootc(target, &mut request, latest.as_ref())?;
    planner.plan.warnings.extend(left);
    let request = &request;
    let draft = Draft::of(&target.repository, &tree, request, latest.as_ref())?;
    planner.plan.warnings.extend(draft.warnings.iter().cloned());
    let kept = latest.as_ref().and_then(|record| record.boot_loader);
    let of = (request.image, &*tree, &request.manifest);
    let wanted = WantedLoader::of(target, of, (request.boot_loader, kept), &mut planner.plan.warnings)?;
    let record = record_for(&planner, request, draft, predecessor.as_ref())?;
    planner.check_loader_takes(&record.kernel, wanted.as_ref(), request.boot_loader.or(kept))?;
    let tries = tries(&mut planner, (request, &record.id), &tree, wanted.as_ref());
    let is_known = planner.world.record(&record.id).is_some_and(|known| known.broken.is_none());
    let record = Record {
        boot_loader: request.boot_loader.or(kept),
        tries: if is_known && request.tries.is_none() { record.tries } else { tries },
        ..record
    };
    let id = record.id;
    planner.plan.warnings.extend(warning_of_copy(&record));
    // What is staged makes way for what is wanted now, be it new or not.
    let staged = planner.after.iter().filter(|other| other.state == State::Staged && other.id != id);
    for other in staged.map(|record| record.id).collect::<Vec<_>>() {
        planner.remove(&other, "another one is wanted now");
    }
    planner.plan.deployment = Some(record.clone());
    planner.plan.bound.clone_from(&record.bound);
    planner.plan.fetch = request.fetch;
    let was = planner.world.record(&id).map(|was| was.state);
    planner.add(record);
    make(&mut planner, request, &tree, (id, was), predecessor.as_ref())?;
    if planner.record(&id).is_some_and(|record| record.state == State::Deployed) {
        planner.put_first(&id)?;
        // What is staged gets it when it is finalised.
        if let Some(wanted) = wanted {
            planner.want_loader(&wanted)?;
        }
    }
    planner.prune(&request.retention, request.time)?;
    planner.finish()
}

/// How often the boot loader shall try the new deployment, if at all. What nothing calls good would be given up after some
/// boots, however well they went: so without a word on it, that is left alone.
fn tries(
    planner: &mut Planner<'_>,
    (request, id): (&DeployRequest, &DeploymentId),
    tree: &Tree,
    wanted: Option<&WantedLoader>,
) -> Option<u32> {
    let counts = planner.counts_boots(wanted);
    match request.tries {
        Some(0) => None,
        Some(tries) if counts => Some(tries.min(TRIES_MAX)),
        Some(_) => {
            let text = "boots are not counted: only systemd-boot does that, and there is none".to_owned();
            planner.plan.warnings.push(text);
            None
        }
        None => {
            let others = menu(&planner.after).into_iter().any(|record| record.id != *id);
            (counts && others && BLESSERS.iter().any(|path| tree.resolve_no_follow(path.as_bytes()).is_ok()))
                .then_some(TRIES)
        }
    }
}

/// Source: bootc's initramfs looks for `state/deploy/<image>` and nothing else; `store-setup-root` reads the argument.
fn warning_of_copy(record: &Record) -> Option<String> {
    let (id, first) = (record.id, record.id.image());
    let text =
        "is another one of an image that is deployed already: its initramfs has to read composefs.state=, as";
    let else_ = format!("store-setup-root does; bootc's does not, and takes the state of {first}");
    (id.copy() > 0).then(|| format!("the deployment {id} {text} {else_}"))
}

/// The deployment whose `/etc` the new one takes over.
fn predecessor(planner: &Planner<'_>, request: &DeployRequest) -> Result<Option<Record>, DeployError> {
    let found = match &request.predecessor {
        Predecessor::None => return Ok(None),
        Predecessor::Deployment(id) => {
            let missing = || sealstone_store::Error::Missing { what: format!("deployment {id}") };
            Some(planner.record(id).ok_or_else(missing)?)
        }
        Predecessor::Current => {
            let running = planner.running.and_then(|id| planner.record(&id));
            running.or_else(|| menu(&planner.after).first().copied())
        }
    };
    Ok(found.cloned())
}

/// The deployment whose kernel arguments, addons and overlays are carried over: what would boot next has the administrator's
/// last word on them, also while it waits for its first boot. That is what is staged, else what is first in the menu. One that
/// the boot loader gave up has no say: its arguments may be why.
fn latest(planner: &Planner<'_>, request: &DeployRequest, predecessor: Option<&Record>) -> Option<Record> {
    if request.predecessor != Predecessor::Current {
        return predecessor.cloned();
    }
    let staged = planner.after.iter().filter(|record| record.state == State::Staged);
    let staged = staged.max_by_key(|record| (record.order, record.serial));
    let spent = spent(&planner.world);
    let boots = |record: &&Record| !spent.iter().any(|(spent, _)| *spent == record.id);
    staged.or_else(|| menu(&planner.after).first().copied().filter(boots)).or(predecessor).cloned()
}

/// The record of the request: that of a run which was cut short, of the default deployment or of the staged one, if it is
/// the same; else a new one.
fn record_for(
    planner: &Planner<'_>,
    request: &DeployRequest,
    mut draft: Draft,
    predecessor: Option<&Record>,
) -> Result<Record, DeployError> {
    let (state, locked) = match request.finalise {
        Finalise::Now => (State::Deployed, false),
        Finalise::AtShutdown { locked } => (State::Staged, locked),
    };
    // Who says of which place it comes says so in the record of what is there already, too.
    let image_of = |record: &Record| {
        if request.resolved.is_some() { draft.image.clone() } else { record.image.clone() }
    };
    if let Some(default) = menu(&planner.after).first().filter(|default| draft.is_of(default)) {
        return Ok(Record { image: image_of(default), ..(*default).clone() });
    }
    // Also one that did not boot: it is tried again, since it is asked for.
    let is_open = |record: &&Record| record.state != State::Deployed || record.broken.is_some();
    let begun = planner.world.records.iter().filter(is_open);
    if let Some(begun) =
        begun.filter(|record| draft.is_of(record)).min_by_key(|record| record.state == State::Making)
    {
        let (broken, unfinalised) = (None, None);
        let (image, etc) = (image_of(begun), request.etc.clone());
        return Ok(Record { state, locked, broken, image, unfinalised, etc, ..begun.clone() });
    }
    let (serial, order) = planner.highest();
    let id = free_id(planner, &request.image);
    if id.copy() > 0
        && let Some(uki) = &mut draft.kernel.uki
    {
        // D9 (4): never over the one that is there.
        uki.file = Esp::uki_path(&id.to_string());
        check_shared_state(planner, &draft, predecessor)?;
    }
    Ok(Record {
        version: RECORD_VERSION,
        id,
        state,
        pinned: false,
        locked,
        broken: None,
        serial: serial + 1,
        order: order.max(serial) + 1,
        time: request.time,
        image: draft.image,
        os: draft.os,
        kernel: draft.kernel,
        kargs: draft.kargs,
        karg_deletes: draft.karg_deletes,
        bound: draft.bound,
        etc: request.etc.clone(),
        overlays: draft.overlays,
        tries: None,
        boot_loader: None,
        unfinalised: None,
        unknown: serde_json::Map::new(),
    })
}

/// A unified kernel image finds the state of its image's first deployment alone. Another one of the same image, such as one that
/// was signed anew, shares it with the deployment that it follows on; else somebody would meet an `/etc` that is another's.
fn check_shared_state(
    planner: &Planner<'_>,
    draft: &Draft,
    predecessor: Option<&Record>,
) -> Result<(), DeployError> {
    let state = DeploymentId::new(draft.image.id, 0);
    let has_it = |record: &Record| record.state_id() == state;
    // What is staged, or was begun, goes with this plan, and its folder is made again.
    let is_free = !planner.after.iter().any(|record| has_it(record) && record.state == State::Deployed)
        && planner.world.records.iter().any(has_it);
    let reason = match predecessor.filter(|from| has_it(from)) {
        _ if is_free => return Ok(()),
        Some(from) if from.overlays == draft.overlays && from.bound == draft.bound => return Ok(()),
        Some(_) => {
            "other overlays or bound images make another state, and a unified kernel image finds one alone"
        }
        None => {
            "a unified kernel image finds the state of one deployment alone, and there is one: \
            `store rollback` boots it, and without it this can be made"
        }
    };
    Err(DeployError::Unfit { profile: "bootable twice", reason: reason.into() })
}

/// The first id of an image that no record, no broken record and no state folder has.
fn free_id(planner: &Planner<'_>, image: &ImageId) -> DeploymentId {
    let world = &planner.world;
    let mut copy = 0;
    loop {
        let id = DeploymentId::new(*image, copy);
        let is_broken = world.broken.iter().any(|broken| broken.file == format!("{id}.json"));
        if world.record(&id).is_none() && !is_broken && !world.states.contains(&id.to_string()) {
            return id;
        }
        copy += 1;
    }
}

/// The steps that make the deployment, as far as it is not there.
fn make(
    planner: &mut Planner<'_>,
    request: &DeployRequest,
    tree: &Tree,
    (id, was): (DeploymentId, Option<State>),
    predecessor: Option<&Record>,
) -> Result<(), DeployError> {
    // The record first: a state folder without one is somebody else's.
    if was.is_none() {
        planner.make.push(Step::WriteRecord { id, state: State::Making });
    }
    // The folder of state is another's as well, and stays as it is.
    let state = planner.record(&id).map_or(id, Record::state_id);
    if planner.after.iter().any(|other| other.id != id && other.state_id() == state) {
        return Ok(());
    }
    let block = planner.target.sysroot.dir().space()?.block;
    let has_state = planner.world.states.contains(&state.to_string());
    let from = predecessor.filter(|from| {
        planner.world.states.contains(&from.state_id().to_string()) && from.state_id() != state
    });
    let policy = request.etc.clone();
    let is_begun = matches!(was, None | Some(State::Making));
    let is_staged = planner.record(&id).is_some_and(|record| record.state == State::Staged);
    let is_finalised = was == Some(State::Staged) && !is_staged && from.is_some();
    let makes_state = is_begun || !has_state;
    if makes_state || is_finalised || !planner.world.has_var {
        let overlays = planner.record(&id).map(|record| record.overlays.clone()).unwrap_or_default();
        let trees = &planner.plan.trees;
        let renewal = Renewal { image: tree, overlays: &overlays, from, policy: &policy, trees };
        // What is staged is merged at the end; what it would come to now is worth knowing already.
        let etc = NewEtc::compute(planner.target, &renewal, &Control::new())?;
        planner.plan.var = etc.var_section(planner.world.has_var, &overlays, predecessor);
        for (is_made, (files, bytes)) in [
            (makes_state || is_finalised, etc.measure(block)),
            (!planner.world.has_var, etc.measure_var(block)),
        ] {
            planner.needed.0 += if is_made { bytes } else { 0 };
            planner.needed.1 += if is_made { files } else { 0 };
        }
        planner.plan.etc = etc.section;
    }
    if !planner.world.has_var {
        planner.make.push(Step::MakeVar { image: request.image });
    }
    // What an earlier run made may be of another day: it is made again.
    if is_begun && has_state {
        planner.make.push(Step::RemoveState { id: state });
    }
    let from = from.filter(|_| !is_staged).map(|from| from.id);
    if makes_state {
        planner.make.push(Step::MakeState { id, from, policy });
    } else if is_finalised && let Some(from) = from {
        planner.make.push(Step::MergeEtc { id, from, policy });
    }
    let bound = planner.plan.bound.clone();
    super::bound::make_image_store(planner, &id, (&bound, &request.bound_to_come), makes_state)
}
