/** `trust`: shows what a project's files want, and trusts exactly what was shown. */
import type { AuthError, ProjectTrust } from '../../../index.js'
import { askOnTerminal, asks, describeTrust, isAtTerminal, visible } from '../../../npm/src/trust.js'
import { fault, interrupted } from '../faults.js'
import { projectTrust, trustProject } from '../library.js'
import type { Output } from '../output.js'
import { enterProject } from '../project.js'
import { mustAsk } from '../prompts.js'
import type { Call } from '../run.js'

export async function run({ args: [dir], options, out }: Call<{ shown?: string[] }>): Promise<void> {
  enterProject(dir)
  const trust = await projectTrust()
  const asking = trust.files.filter(asks)
  for (const { file, state, why } of trust.files)
    if (state === 'ignored') out.say(`ignored: ${visible(file)}: ${visible(why ?? '')}`)
  if (asking.length === 0) {
    answer(
      trust,
      trust.files.filter(({ state }) => state === 'trusted'),
      out,
    )
    if (trust.files.every(({ state }) => state !== 'trusted'))
      out.say('no file of this project wants anything that needs trust')
    return
  }
  if (options.shown !== undefined) {
    const unknown = asking.find(({ shown }) => !options.shown?.includes(shown))
    if (unknown !== undefined) throw notShown(unknown.file)
  } else if (out.json) {
    out.answer(trust, '')
    return
  } else {
    if (!isAtTerminal()) {
      process.stderr.write(`${describeTrust(trust).join('\n')}\n`)
      mustAsk('pass --shown with the hash of each file, from: provider-auth trust --json')
    }
    if (!(await askOnTerminal(trust))) throw interrupted()
  }
  const after = await trustProject(trust).catch((error: Partial<AuthError>) => {
    // The library refuses what is not as it was shown.
    throw error.code === 'INVALID_ARGUMENT' ? notShown(asking.map(({ file }) => file).join(', ')) : error
  })
  const files = after.files.filter(
    ({ file, state }) => state === 'trusted' && asking.some((asked) => asked.file === file),
  )
  answer(after, files, out)
}

function answer(trust: ProjectTrust, trusted: ProjectTrust['files'], out: Output): void {
  out.answer(trust, trusted.map(({ file }) => `trusted: ${visible(file)}`).join('\n'))
}

function notShown(file: string): Error {
  return fault({
    code: 'PROJECT_NOT_TRUSTED',
    message: `nothing was trusted: ${file} is not as it was shown`,
    why: 'it has changed meanwhile, or the hash is that of another file',
    next: 'provider-auth trust, to look at it again',
    file,
  })
}
