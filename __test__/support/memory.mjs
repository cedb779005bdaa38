/**
 * Looks for bytes in the memory of another process, all of it: heaps of JavaScript and of the addon, stacks, buffers. Linux
 * only; the process must be a child.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const CHUNK = 4 * 1024 * 1024
/** How much of what follows a find is shown, in bytes. */
const SHOWN = 64

/**
 * Finds every place where one of the needles stands.
 *
 * @param {number} pid
 * @param {Record<string, Buffer>} needles by name
 * @returns {{ name: string, mapping: string, dumped: boolean, text: string }[]} `dumped` tells whether a core dump would have it
 */
export function scanMemory(pid, needles) {
  const longest = Math.max(...Object.values(needles).map(({ length }) => length)) + SHOWN
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const found = []
  try {
    const buffer = Buffer.alloc(CHUNK + longest)
    for (const { from, to, label, dumped } of mappings(pid)) {
      for (let at = from; at < to; at += CHUNK) {
        const bytes = read(memory, buffer, at, Math.min(CHUNK + longest, to - at))
        for (const [name, needle] of Object.entries(needles)) {
          for (let hit = bytes.indexOf(needle); hit !== -1 && hit < CHUNK; hit = bytes.indexOf(needle, hit + 1))
            found.push({
              name,
              mapping: label,
              dumped,
              text: bytes.toString('latin1', hit, hit + needle.length + SHOWN),
            })
        }
      }
    }
  } finally {
    closeSync(memory)
  }
  return found
}

/** The mappings of a process in which something can have been written: not the files of programs, nor what the kernel lends. */
function mappings(pid) {
  const found = []
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)$/.exec(line)
    if (range !== null) {
      const [, from, to, rights, inode, label] = range
      const written =
        rights.startsWith('r') && (rights.includes('w') || inode === '0') && !/^\[v(var|syscall|dso)/.test(label)
      found.push({ from: parseInt(from, 16), to: parseInt(to, 16), written, label, dumped: true })
    } else if (line.startsWith('VmFlags:')) found.at(-1).dumped = !line.split(' ').includes('dd')
  }
  return found.filter(({ written }) => written)
}

/** What can be read from there on; a page may have gone meanwhile. */
function read(memory, buffer, at, length) {
  try {
    return buffer.subarray(0, readSync(memory, buffer, 0, length, at))
  } catch {
    return buffer.subarray(0, 0)
  }
}
