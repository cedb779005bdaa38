/** `use`: an account serves first in its pool. */
import { visible } from '../../../npm/src/trust.js'
import { named, shown } from '../accounts.js'
import { useFirst } from '../deeds.js'
import type { Call } from '../run.js'
import { useWords } from '../sentences.js'

export async function run({ args: [name = ''], out }: Call): Promise<void> {
  const used = await useFirst(await named(name))
  const [account] = await shown([used.account])
  const ref = (other: { id: string; label: string } | undefined) => other && { id: other.id, label: other.label }
  out.answer({ account, before: ref(used.before), now: ref(used.now) }, () => visible(useWords(used)))
}
