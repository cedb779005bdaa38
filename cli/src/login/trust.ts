/** Project files that a login needs: a person is shown what they want, and asked. */
import type { AuthError, ProjectFile, ProjectTrust } from '../../../index.js'
import { askOnTerminal, asks, isAtTerminal } from '../../../npm/src/trust.js'
import { fault } from '../faults.js'
import { projectTrust, trustProject } from '../library.js'

/** Does what may need a project's file to be trusted. */
export async function onceTrusted<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (refusal) {
    if ((refusal as AuthError).code !== 'PROJECT_NOT_TRUSTED') throw refusal
    await trusted(await projectTrust(), refusal)
    return act()
  }
}

/** Whether a project's file defines this provider and has been trusted just now; false where none defines it. */
export async function trustedNow(provider: string): Promise<boolean> {
  const trust = await projectTrust()
  const file = trust.files.find((one) => asks(one) && defines(one, provider))
  if (file === undefined) return false
  const refusal = fault({
    code: 'PROJECT_NOT_TRUSTED',
    message: `${provider} is defined by the project file ${file.file}, which is not trusted`,
    file: file.file,
    provider,
    next: 'provider-auth trust',
  })
  await trusted(trust, refusal)
  return true
}

function defines({ providers }: ProjectFile, provider: string): boolean {
  return providers.some(({ id }) => id === provider)
}

async function trusted(trust: ProjectTrust, refusal: unknown): Promise<void> {
  if (!isAtTerminal() || !(await askOnTerminal(trust))) throw refusal
  await trustProject(trust)
}
