//! What the kit remembered before it was started, where the disk could be read only later (it was full, or not there yet): put before what has
//! come since, so that what is held is not lost and no command is done twice. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    held::HELD_MAX,
    machine::{Kit, Round, remembered},
    own::{MESSAGES_MAX, Own, REMEASURES_MAX},
};

impl Round {
    /// Takes over what was kept.
    pub fn adopt(&mut self, kept: &BTreeMap<String, String>, now: Timestamp) {
        let (kit, people) = remembered(kept);
        let since = std::mem::take(self.kit_mut());
        *self.kit_mut() = both(kit, since);
        while self.kit.held.len() > HELD_MAX {
            let oldest = self.kit_mut().held.remove(0);
            self.let_go(oldest, now);
        }
        for (who, before) in people {
            self.own_mut(&who).adopt(before);
        }
    }
}

/// What is held since is numbered after what was held before; a device may have told the same again.
fn both(before: Kit, since: Kit) -> Kit {
    let Kit { dues, mut held, held_last, commands, not_mine, unclaimed } = before;
    let known: Vec<_> = held.iter().flat_map(|held| &held.readings).filter_map(|(_, key)| key.clone()).collect();
    for mut one in since.held {
        one.id += held_last;
        one.readings.retain(|(_, key)| key.as_ref().is_none_or(|key| !known.contains(key)));
        held.extend(Some(one).filter(|one| !one.readings.is_empty()));
    }
    Kit {
        dues: since.dues.or(dues),
        held,
        held_last: held_last + since.held_last,
        commands: commands.and(since.commands),
        not_mine: not_mine + since.not_mine,
        unclaimed: unclaimed + since.unclaimed,
    }
}

impl Own {
    fn adopt(&mut self, before: Self) {
        for (vital, at) in before.measured {
            let last = self.measured.entry(vital).or_insert(at);
            *last = at.max(*last);
        }
        for (questionnaire, at) in before.answered {
            let last = self.answered.entry(questionnaire).or_insert(at);
            *last = at.max(*last);
        }
        self.skipped.splice(0..0, before.skipped);
        self.remeasures.splice(0..0, before.remeasures);
        self.remeasures.truncate(REMEASURES_MAX);
        self.messages.splice(0..0, before.messages);
        self.messages.truncate(MESSAGES_MAX);
        if self.weights == Default::default() {
            self.weights = before.weights;
        }
        self.filling = self.filling.take().or(before.filling);
        self.call = self.call.take().or(before.call);
    }
}
