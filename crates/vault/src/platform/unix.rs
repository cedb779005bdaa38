//! Unix: owners and modes guard the files; `rename` replaces in one step.

use std::{
    fs::{DirBuilder, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::{
    fs::OFlags,
    process::{Pid, geteuid, test_kill_process},
};

use super::file_facts::{FileState, FreeSpace, Privacy};

pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Says why users other than the owner could write to a folder.
pub(crate) fn folder_fault(metadata: &Metadata) -> Option<&'static str> {
    if metadata.uid() != geteuid().as_raw() {
        return Some("it belongs to another user; give a `dir` of your own, or chown it");
    }
    (metadata.mode() & 0o022 != 0).then_some("others can write to it; run `chmod go-w` on it")
}

/// Says why users other than the owner could read a file that holds a key.
pub(crate) fn key_file_fault(metadata: &Metadata) -> Option<&'static str> {
    if metadata.uid() != geteuid().as_raw() {
        return Some("the key file belongs to another user; chown it");
    }
    (metadata.is_file() && metadata.mode() & 0o077 != 0)
        .then_some("others can read the key file; run `chmod 600` on it")
}

/// Says why another user could put something else in the place of a file in this folder. In one
/// like `/tmp` they cannot, and a group is taken for the user's own, as many systems have it.
pub(crate) fn shared_folder_fault(metadata: &Metadata) -> Option<&'static str> {
    const STICKY: u32 = 0o1000;
    if metadata.uid() != geteuid().as_raw() && metadata.uid() != 0 {
        return Some("its folder belongs to another user; name a file in a folder of your own");
    }
    (metadata.mode() & 0o002 != 0 && metadata.mode() & STICKY == 0)
        .then_some("others can write to its folder; run `chmod o-w` on that")
}

/// Tells whether a file is also to be found under another name.
pub(crate) fn has_other_names(metadata: &Metadata) -> bool {
    metadata.nlink() > 1
}

/// Tells who besides this user has a right to a file.
pub(crate) fn privacy(metadata: &Metadata) -> Privacy {
    if metadata.uid() != geteuid().as_raw() {
        Privacy::Foreign
    } else if metadata.mode() & 0o077 != 0 {
        Privacy::Readable
    } else {
        Privacy::Own
    }
}

/// Says why another user may have made or changed a file: it is neither this user's nor root's, or
/// others can write it. `invoker` is the user who became root with `sudo`. Members of a group count
/// as others, save of the owner's private one.
pub(crate) fn authorship_fault(metadata: &Metadata, invoker: Option<u32>) -> Option<&'static str> {
    let (user, owner, mode) = (geteuid().as_raw(), metadata.uid(), metadata.mode());
    let is_invoker = user == 0 && invoker == Some(owner);
    if owner != user && owner != 0 && !is_invoker {
        return Some("it belongs to another user; chown it if it is yours");
    }
    // pam_umask(8), `usergroups`: a group of the same number as its only member.
    let is_private_group = metadata.gid() == owner;
    let writers = if is_private_group { 0o002 } else { 0o022 };
    // The mode of a symbolic link says nothing.
    (!metadata.is_symlink() && mode & writers != 0)
        .then_some("others can write to it; run `chmod go-w` on it")
}

/// Takes group's and others' rights to a file away; tells whether there were any.
pub(crate) fn tighten(file: &File, metadata: &Metadata) -> io::Result<bool> {
    if metadata.mode() & 0o077 == 0 {
        return Ok(false);
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(true)
}

/// Takes group's and others' rights to a file or folder away; a link is not followed.
pub(crate) fn tighten_path(path: &Path) -> io::Result<()> {
    let opened = without_links(OpenOptions::new().read(true)).open(path)?;
    let metadata = opened.metadata()?;
    let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
    opened.set_permissions(Permissions::from_mode(mode & metadata.mode()))
}

/// Returns the room on the disk that a path is on.
pub(crate) fn free_space(path: &Path) -> Option<FreeSpace> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(FreeSpace {
        bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        // Some file systems make room for files as they come, and say 0.
        files: (disk.f_files > 0).then_some(disk.f_favail),
    })
}

/// Returns the process that holds the lock of this file, as the kernel lists it (proc_locks(5)).
pub(crate) fn lock_holder(file: &Path) -> Option<u32> {
    let inode = format!(":{}", std::fs::symlink_metadata(file).ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let holder = locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid, place) = (words.next()?, words.nth(2)?, words.next()?);
        // A waiting one has `->` before its kind.
        (kind == "FLOCK" && place.ends_with(&inode)).then(|| pid.parse().ok())
    });
    holder.flatten()
}

/// Makes `open` fail on a symbolic link, and not wait for the writer of a pipe.
pub(crate) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
}

/// Makes `open` fail on a symbolic link and create files for their owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    without_links(options).mode(0o600)
}

pub(crate) fn file_state(metadata: &Metadata) -> FileState {
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    FileState {
        device: metadata.dev(),
        inode: metadata.ino(),
        modified_at: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_at: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        size: metadata.size(),
    }
}

/// Makes a rename in this folder survive a power cut.
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Runs a change to the folder. On Unix no other program can get in its way for a moment, so there
/// is nothing to retry.
pub(crate) fn retrying(change: impl Fn() -> io::Result<()>) -> io::Result<()> {
    change()
}

/// Tells whether a process of this id is there; one of another user is.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Tells whether a path is on a pseudo file system of the kernel, such as `/proc`, wherever that is
/// mounted.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_on_pseudo_filesystem(path: &Path) -> bool {
    /// `linux/magic.h`: proc, sysfs, devpts, debugfs, tracefs, securityfs, cgroup, cgroup2, bpf,
    /// efivarfs, configfs, pstore.
    const PSEUDO: [u32; 12] = [
        0x9FA0,
        0x6265_6572,
        0x1CD1,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0x0027_E0EB,
        0x6367_7270,
        0xCAFE_4A11,
        0xDE5E_81E4,
        0x6265_6570,
        0x6165_676C,
    ];
    rustix::fs::statfs(path).is_ok_and(|system| PSEUDO.contains(&(system.f_type as u32)))
}

/// Tells whether a path is on a pseudo file system of the kernel; this system cannot be asked, only
/// the path tells.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_on_pseudo_filesystem(_: &Path) -> bool {
    false
}

/// Tells whether a folder is on a network file system; one that cannot be asked counts as local.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_network_folder(folder: &Path) -> bool {
    /// `linux/magic.h` and the file systems' own headers: NFS, SMB, CIFS, SMB2, AFS, NCP, Coda,
    /// Ceph, Lustre, GPFS.
    const NETWORK: [u32; 10] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x5346_414F,
        0x564C,
        0x7375_7245,
        0x00C3_6400,
        0x0BD0_0BD0,
        0x4750_4653,
    ];
    rustix::fs::statfs(folder).is_ok_and(|system| NETWORK.contains(&(system.f_type as u32)))
}

/// Tells whether a folder is on a network file system; one that cannot be asked counts as local.
#[cfg(target_vendor = "apple")]
pub(crate) fn is_network_folder(folder: &Path) -> bool {
    /// `sys/mount.h`: the file system is stored locally.
    const MNT_LOCAL: u32 = 0x1000;
    rustix::fs::statfs(folder).is_ok_and(|system| system.f_flags & MNT_LOCAL == 0)
}

/// Tells whether a folder is on a network file system; there is no common way to ask here.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn is_network_folder(_: &Path) -> bool {
    false
}
