import { rmSync } from 'node:fs'

const TRIES = 40
const PAUSE_MS = 50

/**
 * Removes the folder with all that is in it, though threads of this process, or a child that is about to end, still write
 * there. The `maxRetries` of `rmSync` does not list a folder again (Node 20), so a file that came meanwhile stops it.
 */
export function removeFolder(dir) {
  for (let left = TRIES; ; left--) {
    try {
      return rmSync(dir, { recursive: true, force: true })
    } catch (error) {
      if (left === 1 || !['ENOTEMPTY', 'EBUSY', 'EPERM'].includes(error.code)) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}
