//! Names the program that listens on a port, as far as this system tells (`/proc` of Linux).

use std::fs;
use std::path::Path;

/// Returns the name and number of a program that listens on this port; `None` where the system does
/// not say, as of other users' programs.
pub(super) fn of_port(port: u16) -> Option<String> {
    in_proc(Path::new("/proc"), port)
}

fn in_proc(proc: &Path, port: u16) -> Option<String> {
    let sockets: Vec<String> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir(proc).ok()?.flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path()))
    });
    let mut holders = processes.filter(|(_, process)| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten();
        files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|file| sockets.iter().any(|socket| file == Path::new(socket)))
    });
    let (number, process) = holders.next()?;
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    Some(format!("{name} (process {number})"))
}

/// Returns the inodes of the sockets that listen on this port, in a table as `proc_net_tcp(5)`
/// describes it.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTENS: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTENS;
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_listen_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:05AF 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:05AF 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
   2: 0100007F:05B0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 100 0 0 10 0
   3: 00000000000000000000000001000000:05AF 00000000000000000000000000000000:0000 0A 0:0 0:0 0  1000  0 4714 1
junk";
        assert_eq!(listening(table, 1455), ["4711", "4714"]);
        assert!(listening("", 1455).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_program_on_a_port_is_named() {
        let ours = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = ours.local_addr().unwrap().port();
        let named = of_port(port).unwrap();
        let number = format!("(process {})", std::process::id());
        assert!(named.ends_with(&number), "{named}");
        drop(ours);
        assert_eq!(of_port(port), None);
    }

    #[test]
    fn a_system_that_tells_nothing_names_no_program() {
        assert_eq!(in_proc(Path::new("/nowhere"), 80), None);
    }
}
