//! Connections at the peers' port whose other end has not proven to be a member.
//!
//! Every program may connect there, and a connection that says nothing costs a place until its time is over. So that
//! members always get one, the newest is let in and an older one goes: one of the same address if that has its share of
//! places, and first of all one that has said nothing, as a member says who it is at once. Members have places of their
//! own, once they have proven to be members.

use std::collections::VecDeque;
use std::net::IpAddr;

/// Places, with a handle to each one's task; the oldest first.
pub(crate) struct Strangers<T> {
    limit: usize,
    of_address: usize,
    next: u64,
    waiting: VecDeque<Stranger<T>>,
}

struct Stranger<T> {
    number: u64,
    address: IpAddr,
    introduced: bool,
    handle: T,
}

impl<T> Strangers<T> {
    /// So many places, and so many of them for one address; at least one.
    pub fn new(limit: usize, of_address: usize) -> Self {
        Self {
            limit: limit.max(1),
            of_address: of_address.max(1),
            next: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Lets a connection in, whose task is made with its number; gives the handle of the one that has to go for it.
    pub fn enter(&mut self, address: IpAddr, task: impl FnOnce(u64) -> T) -> Option<T> {
        let gone = if self.count(address) >= self.of_address {
            self.turn_out(address)
        } else if self.waiting.len() >= self.limit {
            self.largest().and_then(|address| self.turn_out(address))
        } else {
            None
        };
        self.next += 1;
        let number = self.next;
        self.waiting.push_back(Stranger {
            number,
            address,
            introduced: false,
            handle: task(number),
        });
        gone
    }

    /// Its first message was acceptable: only the proof is missing.
    pub fn introduce(&mut self, number: u64) {
        if let Some(stranger) = self.waiting.iter_mut().find(|it| it.number == number) {
            stranger.introduced = true;
        }
    }

    /// It went, or is no stranger any more. False if it had to go before.
    pub fn leave(&mut self, number: u64) -> bool {
        let at = self.waiting.iter().position(|it| it.number == number);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// All of them have to go.
    pub fn clear(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain(..).map(|stranger| stranger.handle)
    }

    fn count(&self, address: IpAddr) -> usize {
        let same = |it: &&Stranger<T>| it.address == address;
        self.waiting.iter().filter(same).count()
    }

    /// The address that has most of the places.
    fn largest(&self) -> Option<IpAddr> {
        let addresses = self.waiting.iter().map(|it| it.address);
        addresses.max_by_key(|address| self.count(*address))
    }

    fn turn_out(&mut self, address: IpAddr) -> Option<T> {
        let of_address = |it: &Stranger<T>| it.address == address;
        let silent = |it: &Stranger<T>| of_address(it) && !it.introduced;
        let at = self.waiting.iter().position(silent);
        let at = at.or_else(|| self.waiting.iter().position(of_address))?;
        self.waiting.remove(at).map(|stranger| stranger.handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_newest_gets_in_and_the_oldest_of_its_address_goes() {
        let mut strangers = Strangers::new(10, 3);
        for number in 1..=3 {
            assert_eq!(strangers.enter(address(1), |at| at), None, "{number}");
        }
        assert_eq!(strangers.enter(address(2), |at| at), None);
        assert_eq!(strangers.enter(address(1), |at| at), Some(1));
        assert_eq!(strangers.enter(address(1), |at| at), Some(2));
        assert!(!strangers.leave(1), "it had to go");
        assert!(strangers.leave(4), "another address is not touched");
    }

    #[test]
    fn one_that_said_who_it_is_stays_while_there_are_silent_ones() {
        let mut strangers = Strangers::new(10, 3);
        strangers.enter(address(1), |at| at);
        strangers.introduce(1);
        for _ in 0..2 {
            strangers.enter(address(1), |at| at);
        }
        for gone in 2..100 {
            assert_eq!(strangers.enter(address(1), |at| at), Some(gone));
        }
        strangers.introduce(100);
        strangers.introduce(101);
        assert_eq!(strangers.enter(address(1), |at| at), Some(1), "none silent");
    }

    #[test]
    fn when_all_places_are_taken_one_of_the_greediest_address_goes() {
        let mut strangers = Strangers::new(4, 3);
        strangers.enter(address(1), |at| at);
        for _ in 0..3 {
            strangers.enter(address(2), |at| at);
        }
        assert_eq!(strangers.enter(address(3), |at| at), Some(2));
        assert!(strangers.leave(1));
    }
}
