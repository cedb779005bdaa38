/** `untrust`: takes the trust in a project's files back. */
import { visible } from '../../../npm/src/trust.js'
import { projectTrust, untrustProject } from '../library.js'
import { enterProject } from '../project.js'
import type { Call } from '../run.js'

export async function run({ args: [dir], out }: Call): Promise<void> {
  enterProject(dir)
  const before = await projectTrust()
  await untrustProject()
  const wasTrusted = before.files.filter(({ state }) => state === 'trusted' || state === 'changed')
  const files = wasTrusted.map(({ file }) => file)
  out.answer({ files }, files.map((file) => `no longer trusted: ${visible(file)}`).join('\n'))
  if (files.length === 0) out.say('no file of this project was trusted')
}
