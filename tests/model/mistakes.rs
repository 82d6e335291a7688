//! Each rule is needed: without it, the invariant that it is there for breaks, and no other one.
//!
//! The tests run the table. With `--nocapture` they print how many states there were, how deep they
//! lie, and how it comes to each breach.

use std::collections::BTreeMap;

use crate::{
    beats::{Beats, FOUND_OUT, KEPT},
    fleet::{EPOCHS_RISE, Fleet, ONE_SERVES},
    liveness::prompt,
    mistake::Mistake::{self, *},
    prompt::{IN_TIME, Prompt, TIME_PASSES},
    report::{Found, check},
    rule::Rule,
    world::World,
};

/// A fleet that is small enough to go through all of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// Two machines, F = 1.
    Pair,
    /// The same with F = 2, for what is about a part of it.
    Ticks,
    /// Two processes of one machine, F = 1.
    Twins,
    TwinsThatLeave,
    TwinsWithoutARow,
    /// A process of two layers, and another one, F = 1.
    Layers,
    /// Two machines, F = 1, in that world.
    Partitions,
    Standby,
    Triggers,
    Hooks,
    /// Two machines that do in time what they have to do, of which one stays healthy; F = 3.
    Prompt,
    Forgetful,
    /// The same with rows that move between partitions.
    Moving,
    /// Two machines that beat, beside a database that is away for a while.
    Beats,
}

struct Line {
    rule: &'static str,
    mistake: Mistake,
    /// What breaks without the rule.
    breaks: &'static str,
    scene: Scene,
}

const fn line(rule: &'static str, mistake: Mistake, breaks: &'static str, scene: Scene) -> Line {
    Line {
        rule,
        mistake,
        breaks,
        scene,
    }
}

/// Lines with `(granted)` are about what the rule takes for granted.
#[rustfmt::skip]
const TABLE: &[Line] = &[
    // When an owner may serve.
    line("a wait is as long as a read is relied on",             WaitsLess,            ONE_SERVES,  Scene::Ticks),
    line("an owner waits for the one before",                    NeverWaits,           ONE_SERVES,  Scene::Pair),
    line("a wait begins when the read is complete",              WaitsFromTheQuestion, ONE_SERVES,  Scene::Ticks),
    line("a wait holds for one epoch",                           WaitsCarryOver,       ONE_SERVES,  Scene::Ticks),
    line("a read ages from when it was sent",                    AgesFromTheAnswer,    ONE_SERVES,  Scene::Ticks),
    line("a request is judged again before it passes",           PassesAsDecided,      ONE_SERVES,  Scene::Hooks),
    line("a wait goes on with the next read",                    WaitsAnew,            IN_TIME,     Scene::Prompt),
    line("a cache keeps what it waits for",                      ForgetsAWait,         IN_TIME,     Scene::Forgetful),
    // Releases.
    line("an owner that waits proves nothing",                   EveryReleaseProves,   ONE_SERVES,  Scene::Pair),
    line("an owner that is set to NULL has proved nothing",      NullProves,           ONE_SERVES,  Scene::Pair),
    line("a proof is for the next epoch",                        ProofsLast,           ONE_SERVES,  Scene::Pair),
    line("what was given up is remembered",                      ForgetsWhatItGaveUp,  ONE_SERVES,  Scene::Pair),
    line("an owner stops before it writes",                      WritesBeforeItStops,  ONE_SERVES,  Scene::Pair),
    line("a release is for the process that sent it",            ReleasesForTheId,     ONE_SERVES,  Scene::Pair),
    line("a release stops all layers of the process",            StopsOneLayer,        ONE_SERVES,  Scene::Layers),
    // Processes of one id.
    line("a read is for the process that sent it",               ReadsForTheId,        ONE_SERVES,  Scene::Twins),
    line("a successor waits",                                    SuccessorsDoNotWait,  ONE_SERVES,  Scene::Twins),
    line("no read counts before the process is known",           ReadsBeforeItIsKnown, ONE_SERVES,  Scene::Pair),
    line("a process stops before it leaves",                     LeavesBeforeItStops,  ONE_SERVES,  Scene::TwinsThatLeave),
    line("a process leaves for itself alone",                    LeavesForOthers,      ONE_SERVES,  Scene::TwinsThatLeave),
    line("a process that puts its row back waits",               PutsBackAtOnce,       ONE_SERVES,  Scene::TwinsWithoutARow),
    line("no read counts without a machine's row",               ReadsWithoutARow,     ONE_SERVES,  Scene::TwinsWithoutARow),
    // Rows.
    line("a row that moves keeps its epoch",                     MovedRowsBeginAnew,   EPOCHS_RISE, Scene::Partitions),
    line("and its proof",                                        MovedRowsLoseProofs,  IN_TIME,     Scene::Moving),
    line("reads of a standby are refused",                       StandbysAreRead,      ONE_SERVES,  Scene::Standby),
    line("an epoch is for the owner in its stamp",               StampIsIgnored,       ONE_SERVES,  Scene::Triggers),
    line("a change without triggers raises the epoch after all", DriftKeepsTheEpoch,   EPOCHS_RISE, Scene::Triggers),
    line("and clears the proof",                                 DriftKeepsTheProof,   ONE_SERVES,  Scene::Triggers),
    line("no proof is ahead of the epoch",                       ProofsAheadAreKept,   ONE_SERVES,  Scene::Triggers),
    line("an owner from before the epochs is at the first",      OwnedAtZero,          ONE_SERVES,  Scene::Pair),
    line("(granted) a row is one row for good",                  RowIsReplaced,        EPOCHS_RISE, Scene::Pair),
    line("(granted) clocks run",                                 ClockStandsStill,     ONE_SERVES,  Scene::Pair),
    // Presence.
    line("a silence needs a witness",                            SilenceAlone,         KEPT,        Scene::Beats),
    line("a witness was heard all through it",                   WitnessesMayBeNew,    KEPT,        Scene::Beats),
    line("half a silence is a gap",                              GapsAreWhole,         KEPT,        Scene::Beats),
    line("a witness was heard after the silence began",          WitnessesMayBeAsOld,  KEPT,        Scene::Beats),
    line("a witness stays one",                                  NoneIsSteady,         FOUND_OUT,   Scene::Beats),
];

/// What each scene is checked for. Without a mistake, that is in all of its states; with one, after
/// so many actions as a breach may take.
fn run(scene: Scene, mistake: Option<Mistake>) -> Found {
    let name = match mistake {
        Some(mistake) => format!("    {mistake:?}"),
        None => format!("{scene:?}"),
    };
    let rule = |freshness| {
        let rule = Rule::new(freshness);
        mistake.map_or(rule, |mistake| rule.with(mistake))
    };
    let fleet = |world| Fleet::<2, 1>::new(rule(1)).within(world);
    let all = [ONE_SERVES, EPOCHS_RISE];
    let enough = match scene {
        Scene::Triggers => 18,
        Scene::Pair | Scene::Layers | Scene::Partitions | Scene::Standby | Scene::Hooks => 13,
        _ => 15,
    };
    let depth = mistake.map(|_| enough);
    let two = |fleet: Fleet<2, 1>| check(&name, fleet, &all, depth);
    match scene {
        Scene::Pair => two(fleet(World::Plain)),
        Scene::Ticks => two(Fleet::new(rule(2))),
        Scene::Twins => two(fleet(World::Twins)),
        Scene::TwinsThatLeave => two(fleet(World::TwinsThatLeave)),
        Scene::TwinsWithoutARow => two(fleet(World::TwinsWithoutARow)),
        Scene::Layers => {
            let fleet = Fleet::<3, 1>::new(rule(1)).within(World::Layers);
            check(&name, fleet, &all, depth)
        }
        Scene::Partitions => two(fleet(World::Partitions)),
        Scene::Standby => two(fleet(World::Standby)),
        Scene::Triggers => two(fleet(World::Triggers)),
        Scene::Hooks => two(fleet(World::Hooks)),
        Scene::Prompt | Scene::Forgetful | Scene::Moving => {
            let mut prompt: Prompt<2> = prompt(rule(3), 1, 0, 0);
            prompt.fleet.world = match scene {
                Scene::Forgetful => World::Forgetful,
                Scene::Moving => World::Partitions,
                _ => World::Plain,
            };
            check(&name, prompt, &[IN_TIME, TIME_PASSES], None)
        }
        Scene::Beats => check(&name, Beats::<2>::new(mistake), &[KEPT, FOUND_OUT], None),
    }
}

#[test]
fn each_mistake_of_a_pair_breaks_what_its_rule_is_for() {
    run_table(|scene| scene <= Scene::Ticks);
}

#[test]
fn each_mistake_of_twins_breaks_what_its_rule_is_for() {
    run_table(|scene| (Scene::Twins..=Scene::TwinsWithoutARow).contains(&scene));
}

#[test]
fn each_mistake_of_another_fleet_breaks_what_its_rule_is_for() {
    run_table(|scene| scene > Scene::TwinsWithoutARow);
}

fn run_table(is_one: impl Fn(Scene) -> bool) {
    let mut scenes: BTreeMap<Scene, Vec<&Line>> = BTreeMap::new();
    for line in TABLE.iter().filter(|line| is_one(line.scene)) {
        scenes.entry(line.scene).or_default().push(line);
    }
    for (scene, lines) in scenes {
        run(scene, None).has_only(&[]);
        for line in lines {
            println!("  {}:", line.rule);
            run(scene, Some(line.mistake)).has_only(&[line.breaks]);
        }
    }
}
