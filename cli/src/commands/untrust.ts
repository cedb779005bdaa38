/** `untrust`: takes the trust in a project's files back. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { visible } from '../../../npm/src/trust.js'
import { inspectConfig, projectTrust, untrustProject } from '../library.js'
import { enterProject } from '../project.js'
import type { Call } from '../run.js'

export async function run({ args: [dir], out }: Call): Promise<void> {
  enterProject(dir)
  const before = await projectTrust()
  if (await isAnyTrusted()) await untrustProject()
  const wasTrusted = before.files.filter(({ state }) => state === 'trusted' || state === 'changed')
  const files = wasTrusted.map(({ file }) => file)
  out.answer({ files }, files.map((file) => `no longer trusted: ${visible(file)}`).join('\n'))
  if (files.length === 0) out.say('no file of this project was trusted')
}

/** Whether anything was ever trusted here: what it is kept in is not made to take nothing out of it. */
async function isAnyTrusted(): Promise<boolean> {
  const dir = (await inspectConfig()).settings.find(({ name }) => name === 'dir')?.value
  return dir === undefined || existsSync(join(dir, 'trust.json'))
}
