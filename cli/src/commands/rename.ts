/** `rename`: an account gets another label. */
import { visible } from '../../../npm/src/trust.js'
import { named, shown } from '../accounts.js'
import { rename } from '../deeds.js'
import type { Call } from '../run.js'

export async function run({ args: [name = '', label = ''], out }: Call): Promise<void> {
  const before = await named(name)
  const account = await rename(before, label)
  out.answer({ account: (await shown([account]))[0], labelBefore: before.label }, () => {
    const taken = account.label === label ? '' : ` (${label} is taken in its pool)`
    return visible(`${before.label} is called ${account.label} now${taken}`)
  })
}
