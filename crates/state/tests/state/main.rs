//! What the state crate promises, one module a subject.

mod bytes;
mod creation;
mod delays;
mod deletion;
mod determinism;
mod every_op;
mod founding;
mod golden;
mod guards;
mod locks;
mod model;
mod offsets;
mod records;
mod round_trip;
mod support;
mod tables;

/// The bans of clocks, chance, files and sockets are the same in all pure crates.
#[test]
fn every_pure_crate_has_the_same_bans() {
    let bans = include_str!("../../clippy.toml");
    assert_eq!(bans, include_str!("../../../replication/clippy.toml"));
    assert_eq!(bans, include_str!("../../../replica/clippy.toml"));
}
