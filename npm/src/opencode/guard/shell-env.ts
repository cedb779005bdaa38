/** The variables of the shell that an agent's commands run in. */
import { readFile } from 'node:fs/promises'
import { ownConfigFiles, type Surroundings } from './protected.js'

/**
 * What opens the vault, or is a login by itself. An empty one counts as unset, for the library and
 * for OpenCode.
 */
const SECRETS = [
  'PROVIDER_AUTH_KEY',
  'PROVIDER_AUTH_PASSPHRASE',
  'PROVIDER_AUTH_STORE',
  'PROVIDER_AUTH_STORE_PASSWORD',
  'OPENCODE_VAULT_KEY',
  'OPENCODE_AUTH_CONTENT',
]

/**
 * Blanks them, and the variables that the configuration of provider-auth names as a secret
 * (`{env:NAME}`): no other program is meant to read those.
 */
export async function blankSecrets(env: Record<string, string>, where: Surroundings): Promise<void> {
  const named = await Promise.all(ownConfigFiles(where).map(namedVariables))
  const secrets = new Set([...SECRETS, ...named.flat()].map((name) => name.toUpperCase()))
  for (const name of SECRETS) env[name] = ''
  // Windows does not tell the case of names.
  const isSecret = (name: string) => secrets.has(where.platform === 'win32' ? name.toUpperCase() : name)
  for (const name of Object.keys(where.env)) if (isSecret(name)) env[name] = ''
}

async function namedVariables(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return [...text.matchAll(/\{env:([^{}\s]{1,200})\}/g)].map(([, name = '']) => name)
}
