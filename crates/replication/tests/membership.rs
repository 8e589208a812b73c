//! Who is in a group: the payload of a membership frame, and which steps lead where.

use tern_replication::{
    Configuration, MemberRecord, Membership, MembershipRefusal, MembershipStep, Newcomer,
    replica_id,
};

fn member(number: u32) -> MemberRecord {
    MemberRecord {
        id: replica_id(number, 1),
        directory: [number as u8; 16],
        replaces: 0,
        name: format!("n{}", number - 1),
        address: String::new(),
    }
}

fn three() -> Membership {
    Membership::founding((1..=3).map(member).collect())
}

fn newcomer(number: u32, directory: u8) -> Newcomer {
    Newcomer {
        number,
        name: format!("n{}", number - 1),
        address: format!("host-{number}:1"),
        directory: [directory; 16],
        replaces: 0,
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn a_membership_has_these_bytes() {
    let membership = Membership {
        step: MembershipStep::Joint,
        configuration: Configuration {
            voters: vec![replica_id(2, 2)],
            outgoing: vec![replica_id(2, 1)],
            learners: vec![replica_id(4, 1)],
            learners_next: Vec::new(),
        },
        members: vec![MemberRecord {
            replaces: 7,
            address: "h:1".to_owned(),
            ..member(2)
        }],
    };
    let golden = [
        "0001",
        "0200",
        "0001000100010000",
        "0001",
        "0000000200000002",
        "0000000200000001",
        "0000000400000001",
        "0000000200000001",
        "02020202020202020202020202020202",
        "00000007",
        "00026e31",
        "0003683a31",
    ]
    .concat();
    let bytes = membership.encode();
    assert_eq!(bytes, unhex(&golden));
    assert_eq!(Membership::decode(&bytes), Ok(membership));
    for length in 0..bytes.len() {
        assert!(
            Membership::decode(&bytes[..length]).is_err(),
            "{length} bytes"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Membership::decode(&longer).is_err());
    for (at, wrong) in [(1, 2), (2, 0), (2, 4), (3, 1)] {
        let mut bytes = bytes.clone();
        bytes[at] = wrong;
        assert!(Membership::decode(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn a_learner_comes_by_a_simple_step_and_becomes_a_voter_by_a_joint_one() {
    let learning = three().add(&newcomer(4, 4)).unwrap();
    assert_eq!(learning.step, MembershipStep::Simple);
    assert_eq!(learning.configuration.learners, [replica_id(4, 1)]);
    let joint = learning.promote(replica_id(4, 1)).unwrap();
    assert_eq!(joint.step, MembershipStep::Joint);
    assert_eq!(joint.configuration.outgoing, three().configuration.voters);
    assert_eq!(joint.configuration.voters.len(), 4);
    assert!(joint.configuration.learners.is_empty());
    // One at a time.
    let under_way = Err(MembershipRefusal::ChangeUnderWay);
    assert_eq!(joint.add(&newcomer(5, 5)), under_way);
    assert_eq!(joint.remove(1), under_way);
    let left = joint.leave().unwrap();
    assert!(!left.configuration.is_joint() && left.configuration.voters.len() == 4);
    assert_eq!(left.leave(), under_way, "there is nothing to leave");
}

#[test]
fn a_member_that_comes_with_another_directory_comes_in_a_new_life_and_takes_its_own_place() {
    let again = three().add(&newcomer(2, 9)).unwrap();
    let (before, now) = (replica_id(2, 1), replica_id(2, 2));
    assert_eq!(again.member(2).map(|member| member.id), Some(now));
    assert!(again.configuration.voters.contains(&before));
    assert_eq!(
        again.add(&newcomer(2, 9)),
        Err(MembershipRefusal::AlreadyMember(2)),
        "it asks twice and gets one life"
    );
    let swapped = again.promote(now).unwrap();
    assert_eq!(
        swapped.configuration.voters,
        [replica_id(1, 1), now, replica_id(3, 1)]
    );
    // Removed and added again, it never has an id that it had.
    let gone = swapped.leave().unwrap().remove(2).unwrap().leave().unwrap();
    let back = gone.add(&newcomer(2, 9)).unwrap();
    assert_eq!(back.configuration.learners, [replica_id(2, 3)]);
}

#[test]
fn a_member_that_is_expected_takes_the_place_that_it_was_expected_in() {
    let expected = Newcomer {
        directory: [0; 16],
        replaces: 1,
        ..newcomer(4, 0)
    };
    let asked = three().add(&expected).unwrap();
    let claim = Newcomer {
        name: String::new(),
        address: String::new(),
        ..newcomer(4, 8)
    };
    let come = asked.add(&claim).unwrap();
    let learner = replica_id(4, 2);
    assert_eq!(come.configuration.learners, [learner]);
    assert_eq!(come.step, MembershipStep::Joint, "one goes, one comes");
    let come = come.leave().unwrap();
    let record = come.member(4).unwrap();
    assert_eq!((record.replaces, &*record.address), (1, "host-4:1"));
    let swapped = come.promote(learner).unwrap();
    assert_eq!(
        swapped.configuration.voters,
        [replica_id(2, 1), replica_id(3, 1), learner]
    );
    assert_eq!(swapped.member(4).unwrap().replaces, 0);
}

#[test]
fn what_would_leave_no_group_is_refused() {
    let two = three().remove(3).unwrap().leave().unwrap();
    assert_eq!(two.remove(2), Err(MembershipRefusal::TooFewVoters));
    assert_eq!(two.remove(9), Err(MembershipRefusal::UnknownMember(9)));
    assert_eq!(
        two.promote(replica_id(1, 1)),
        Err(MembershipRefusal::UnknownMember(1))
    );
    let replaces_nobody = Newcomer {
        replaces: 3,
        ..newcomer(4, 4)
    };
    assert_eq!(
        two.add(&replaces_nobody),
        Err(MembershipRefusal::UnknownMember(3))
    );
}

#[test]
fn a_majority_of_a_joint_configuration_is_one_of_both() {
    let joint = three()
        .add(&newcomer(2, 9))
        .unwrap()
        .promote(replica_id(2, 2))
        .unwrap();
    let majority = |holders: &[u64]| joint.configuration.has_majority(|id| holders.contains(&id));
    let (one, three) = (replica_id(1, 1), replica_id(3, 1));
    assert!(majority(&[one, three]));
    assert!(
        !majority(&[one, replica_id(2, 2)]),
        "no majority of the old"
    );
    assert!(
        !majority(&[one, replica_id(2, 1)]),
        "no majority of the new"
    );
}
