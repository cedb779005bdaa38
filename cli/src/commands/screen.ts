/** `provider-auth` alone: the screen of accounts. */
import type { Call } from '../run.js'

export async function run(_call: Call): Promise<void> {}
