//! Tells the linker what an addon may leave open.

fn main() {
    napi_build::setup();
}
