/** A vault as an earlier version made it: its slots have no public keys, so a rotation needs the key of each. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HEADER = fileURLToPath(new URL('../../specs/vectors/header-without-public-keys.hdr', import.meta.url))

export const EARLIER_KEY = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY='
export const EARLIER_PASSPHRASE = 'recovery'
/** The id of the passphrase's slot. */
export const EARLIER_SLOT = '9e03c71e'

/** Puts it where there is none yet. */
export function placeEarlierVault(dir) {
  mkdirSync(dir, { mode: 0o700 })
  for (const name of ['vault.hdr', 'vault.hdr.bak']) copyFileSync(HEADER, join(dir, name))
}
