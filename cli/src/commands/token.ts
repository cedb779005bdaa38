/** `token`: the credential, for a program that runs a command. */
import { type Choice, keepOffScreen, requested } from '../asked.js'
import { getCredential } from '../library.js'
import type { Call } from '../run.js'

export async function run({ args, options, out }: Call<Choice & { show?: boolean }>): Promise<void> {
  keepOffScreen(options.show)
  const [provider = ''] = args
  const { value, expiresAt, header, scheme, accountId } = await getCredential(await requested(provider, options))
  out.answer(
    { token: value, ...(expiresAt !== undefined && { expiresAt }), header, scheme, accountId, provider },
    value,
  )
}
