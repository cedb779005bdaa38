//! The policy as its users see it: requests played to their end over a manual clock.

mod budgets;
mod choosing;
mod fuzz;
mod indexing;
mod laws;
mod probing;
mod reacting;
mod refreshing;
mod sharing;
mod waits;
mod world;
