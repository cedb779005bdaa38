//! The policy as its users see it: requests played to their end over a manual clock.

mod affinity;
mod budgets;
mod charges;
mod choosing;
mod classification;
mod crediting;
mod explaining;
mod fuzz;
mod indexing;
mod laws;
mod probing;
mod reacting;
mod refreshing;
mod rows;
mod sharing;
mod waits;
mod world;
