use super::*;
use crate::fault::Action;

fn plans() -> impl Iterator<Item = Plan> {
    (0..200).map(|seed| Plan::of(&Settings::new(seed, Duration::from_secs(120))))
}

#[test]
fn a_seed_is_a_plan() {
    let plan = |seed| Plan::of(&Settings::new(seed, Duration::from_secs(120)));
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7).steps, plan(8).steps);
}

#[test]
fn two_minutes_hold_every_kind_of_fault() {
    for plan in plans() {
        assert!(plan.faults.len() >= 30, "{:?}", plan.faults);
        for kind in Fault::ALL {
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
                Action::StartTwin(name) => later(&Action::KillElder(name.clone())),
                Action::StopDatabase(_) => later(&Action::StartDatabase),
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
