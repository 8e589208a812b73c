//! Delay levels: messages that become visible some time after they were sent.
//!
//! A delayed message is first stored in a queue of [`SCHEDULE_TOPIC`], one queue a level, and put
//! again into its own topic when it is due. How far that has come is part of the state, and moves
//! in the same frame as the messages that are put again: a fail-over neither loses nor doubles one.
//!
//! Source: `RocketMQ` 5.x, `MessageStoreConfig.messageDelayLevel`.

/// The topic that keeps messages until they are due.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// Number of delay levels; the levels are 1 to this.
pub const LEVELS: u16 = 18;

/// Delay of each level in ms, level 1 first: 1s 5s 10s 30s 1m to 10m, 20m 30m 1h 2h.
pub const DELAYS_MS: [u64; LEVELS as usize] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000,
    480_000, 540_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000,
];

/// Delay of a level in ms; none for what is not a level.
pub fn delay_ms(level: u16) -> Option<u64> {
    DELAYS_MS.get(usize::from(level.checked_sub(1)?)).copied()
}

/// The queue of [`SCHEDULE_TOPIC`] that keeps a level's messages. `level` must be one.
pub fn level_queue(level: u16) -> u32 {
    u32::from(level) - 1
}

/// The level whose messages a queue of [`SCHEDULE_TOPIC`] keeps; none for a queue beyond the
/// levels.
pub fn queue_level(queue_id: u32) -> Option<u16> {
    (queue_id < u32::from(LEVELS)).then(|| queue_id as u16 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_those_of_the_stock_configuration() {
        let stock = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
        let delays: Vec<u64> = stock
            .split(' ')
            .map(|delay| {
                let (number, unit) = delay.split_at(delay.len() - 1);
                let unit_ms = match unit {
                    "s" => 1_000,
                    "m" => 60_000,
                    _ => 3_600_000,
                };
                number.parse::<u64>().expect("a number") * unit_ms
            })
            .collect();
        assert_eq!(delays, DELAYS_MS);
    }

    #[test]
    fn levels_and_queues_stand_one_to_one() {
        for level in 1..=LEVELS {
            assert_eq!(queue_level(level_queue(level)), Some(level));
        }
        assert_eq!(queue_level(18), None);
        assert_eq!((delay_ms(0), delay_ms(19)), (None, None));
        assert_eq!((delay_ms(1), delay_ms(18)), (Some(1_000), Some(7_200_000)));
    }
}
