// Writes a vault's accounts as a bundle, or brings those of a bundle into a vault.

import { readFileSync, writeFileSync } from 'node:fs'
import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

const { file, isImport } = options()
const passphrase = 'a bench needs four words'
const auth = await ours.load()
if (isImport) {
  const bundle = readFileSync(file)
  const startedAt = performance.now()
  await auth.importVault(bundle, passphrase)
  tell({ bring: (performance.now() - startedAt) * 1e6 })
} else {
  writeFileSync(file, await auth.exportVault(passphrase))
  tell({})
}
