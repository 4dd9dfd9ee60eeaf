//! `vagt-edge`, the kit's agent.

fn main() {}
