//! The shared state.

use std::time::Duration;

use provider_auth_backend_postgres::{Mark, Telling};

use crate::support::{Server, pause, wait_until};

#[test]
fn no_count_is_lost_however_many_merge() {
    let Some(server) = Server::start() else {
        return;
    };
    let hosts: Vec<_> = (0..4).map(|host| server.host(host)).collect();
    std::thread::scope(|scope| {
        for writer in 0..16_u8 {
            let host = &hosts[usize::from(writer) % hosts.len()];
            scope.spawn(move || {
                host.merge("a/one", Telling::Later, &mut |there, version| {
                    assert_eq!(version, there.map_or(1, |there| there.version + 1));
                    let mut writers = there.map_or(Vec::new(), |there| there.bytes.clone());
                    writers.push(writer);
                    Some(writers)
                })
                .unwrap();
            });
        }
    });
    let mut there = hosts[0].state(&["a/one", "a/none"]).unwrap();
    assert_eq!(
        hosts[1].changes(Mark::START).unwrap().state,
        [("a/one".to_owned(), 16)]
    );
    let (_, mut entry) = there.remove(0);
    assert!(there.is_empty());
    entry.bytes.sort_unstable();
    assert_eq!(entry.bytes, Vec::from_iter(0..16));
}

#[test]
fn a_block_is_told_at_once_and_a_counter_is_not() {
    let Some(server) = Server::start() else {
        return;
    };
    let (mut slow, writer) = (server.options("ci", 2), server.host(1));
    slow.times.poll = Duration::from_secs(600);
    let reader = server.open(slow);
    wait_until("it has polled", || reader.pulse().calm_at > 0);
    let before = reader.pulse().heard;
    writer
        .merge("b/scope", Telling::Later, &mut |_, _| {
            Some(b"counter".into())
        })
        .unwrap();
    pause(Duration::from_millis(300));
    assert_eq!(reader.pulse().heard, before);
    writer
        .merge("b/scope", Telling::Now, &mut |_, _| Some(b"block".into()))
        .unwrap();
    wait_until("heard", || reader.pulse().heard > before);
    writer
        .merge("b/scope", Telling::Now, &mut |_, _| None)
        .unwrap();
    assert_eq!(
        writer.state(&["b/scope"]).unwrap()[0].1.version,
        2,
        "what is left is not written"
    );
}
