// Gets the Python packages that the tests call, from PyPI, each with the hash that is written down. They are kept in a folder
// outside of the repository. It does not run them.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { toolsFolder } from './toolchain.mjs'

const start = promisify(execFile)
const INSTALL_MS = 5 * 60_000

/** Says whether there is a Python that can install packages. */
export async function canInstallPython() {
  return start('python3', ['-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))']).then(
    () => true,
    () => false,
  )
}

/** The folder, for `PYTHONPATH`, of the packages that a file of requirements lists; installs them first where they are not there. */
export async function pythonPackages(requirements) {
  const { stdout: version } = await start('python3', ['-c', 'import sys; print(sys.implementation.cache_tag)'])
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
  const folder = toolsFolder(`python-${version.trim()}-${hash}`)
  const packages = join(folder, 'packages')
  if (existsSync(packages)) return packages
  mkdirSync(folder, { recursive: true })
  const scratch = mkdtempSync(join(folder, 'install-'))
  try {
    const options = { cwd: scratch, timeout: INSTALL_MS }
    await start('python3', ['-m', 'venv', 'venv'], options)
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--require-hashes', '--no-deps']
    await start(join(scratch, 'venv/bin/python'), [...install, '--target', 'packages', '-r', requirements], options)
    // In one step, so that a second process that does the same never sees half of it.
    renameSync(join(scratch, 'packages'), packages)
  } catch (error) {
    if (!existsSync(packages)) throw error
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return packages
}
