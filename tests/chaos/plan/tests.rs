use super::*;
use crate::fault::Action;
use crate::settings::Handover;

fn settings() -> impl Iterator<Item = Settings> {
    let of = |seed| {
        let settings = Settings::new(seed, Duration::from_secs(120));
        [settings.clone(), settings.with(Handover::Forward)]
    };
    (0..200).flat_map(of)
}

fn plans() -> impl Iterator<Item = Plan> {
    settings().map(|settings| Plan::of(&settings))
}

#[test]
fn a_seed_is_a_plan() {
    let plan = |seed| Plan::of(&Settings::new(seed, Duration::from_secs(120)));
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7).steps, plan(8).steps);
}

#[test]
fn two_minutes_hold_every_kind_of_fault() {
    for settings in settings() {
        let plan = Plan::of(&settings);
        assert!(plan.faults.len() >= 30, "{:?}", plan.faults);
        for kind in Fault::of(&settings) {
            let comes = plan.faults.iter().any(|(_, fault)| *fault == kind);
            assert!(comes, "no {kind:?} in {:?}", plan.faults);
        }
    }
}

#[test]
fn what_is_stopped_goes_on_and_what_is_cut_heals_before_the_end() {
    for plan in plans() {
        for (at, step) in plan.steps.iter().enumerate() {
            let later = |action: &Action| plan.steps[at..].iter().any(|s| s.action == *action);
            let mended = match &step.action {
                Action::Stop(name) => {
                    later(&Action::Continue(name.clone()))
                        || later(&Action::ContinueElder(name.clone()))
                }
                Action::Cut(name, _) => later(&Action::Heal(name.clone())),
                Action::CutPeers(name, _) => later(&Action::HealPeers(name.clone())),
                Action::StartTwin(name) => later(&Action::KillElder(name.clone())),
                Action::StopDatabase(_) => later(&Action::StartDatabase),
                Action::Lock(number, _) => later(&Action::Unlock(*number)),
                Action::ReadSlowly(name, _) => later(&Action::StopReading(name.clone())),
                Action::LeadToStandby(name) => later(&Action::LeadToPrimary(name.clone())),
                _ => true,
            };
            assert!(mended, "{step} in {plan:?}");
        }
    }
}

#[test]
fn four_machines_live_but_for_the_time_that_the_next_one_takes() {
    for plan in plans() {
        let mut living: i64 = AT_LEAST.try_into().unwrap();
        for step in &plan.steps {
            living += match step.action {
                Action::Start(_) => 1,
                Action::Terminate(_) | Action::Kill(_) => -1,
                _ => 0,
            };
            assert!(living >= 2, "{step} in {plan:?}");
        }
        assert!(living >= 4, "{plan:?}");
    }
}

#[test]
fn every_shape_of_the_table_comes() {
    for shape in Shape::ALL {
        assert!(plans().any(|plan| plan.shape == shape), "no {shape:?}");
    }
}

#[test]
fn outages_last_longer_than_the_silence_of_a_lost_machine() {
    for plan in plans() {
        let stopped = |step: &&Step| matches!(step.action, Action::StopDatabase(_));
        let started = |step: &&Step| step.action == Action::StartDatabase;
        let stops = plan.steps.iter().filter(stopped);
        let longest = stops
            .zip(plan.steps.iter().filter(started))
            .map(|(from, to)| to.at.saturating_sub(from.at))
            .max();
        let silence = Settings::new(0, Duration::ZERO).lost_after;
        assert!(longest >= Some(silence), "{longest:?} in {plan:?}");
    }
}
