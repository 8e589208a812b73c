//! The slaves of a master from which its consumers can read old messages.

use tern_replication::{ReplicaId, replica_number};

/// Slaves that are connected and near their master, by the broker ids that clients know them by. A set of bits: it is
/// published after each turn. A slave itself is the only one of its set, as it knows nothing of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NearSlaves(u64);

impl NearSlaves {
    /// From the bits that [`Self::bits`] gave.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// One bit for each broker id.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Takes a slave of this master in.
    ///
    /// A slave is known to clients by the number in its member id; that with number 0, which was the master before, by
    /// its master's (`follower_broker_id` in `python/ternmq/config/node.py`).
    pub fn add(&mut self, slave: ReplicaId, master: ReplicaId) {
        let id = match replica_number(slave) {
            0 | 1 => replica_number(master).saturating_sub(1),
            number => number - 1,
        };
        // Id 0 is the master's; groups are far smaller than 64.
        if (1..u64::BITS).contains(&id) {
            self.0 |= 1 << id;
        }
    }

    /// The broker id to read from: the wanted one if it is near, else the least that is; none without a slave.
    pub fn choose(self, wanted: u64) -> Option<u64> {
        if wanted < u64::from(u64::BITS) && self.0 & (1 << wanted) != 0 {
            return Some(wanted);
        }
        (self.0 != 0).then(|| u64::from(self.0.trailing_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use tern_replication::replica_id;

    use super::*;

    fn near(slaves: &[u32], master: u32) -> NearSlaves {
        let mut near = NearSlaves::default();
        for number in slaves {
            near.add(replica_id(*number, 1), replica_id(master, 1));
        }
        near
    }

    #[test]
    fn the_wanted_slave_is_chosen_if_it_is_near_else_another_and_nobody_without_slaves() {
        let slaves = near(&[3, 4], 1);
        assert_eq!(
            [1, 2, 3, 99].map(|id| slaves.choose(id)),
            [2, 2, 3, 2].map(Some)
        );
        assert_eq!(near(&[], 1).choose(1), None);
        assert_eq!(NearSlaves::from_bits(slaves.bits()), slaves);
    }

    #[test]
    fn a_former_master_has_the_broker_id_of_who_leads_in_its_place() {
        assert_eq!(near(&[1], 3).choose(1), Some(2));
    }
}
