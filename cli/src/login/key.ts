/** An API key, from standard input or typed; and whether the provider takes it. */
import { readHidden } from '../../../npm/src/opencode/read-key.js'
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, interrupted, usage } from '../faults.js'
import { checkApiKey } from '../library.js'
import type { Output } from '../output.js'
import { canAsk } from '../prompts.js'

/** Four times the longest key that the vault takes, so that a longer one is refused by name and not cut. */
const MOST_CHARACTERS = 65_536
/** After this time without an end of the input a person may wonder what is awaited. */
const PATIENCE_MS = 3_000

const never = new AbortController().signal

/** The key that standard input brings; at a terminal it is asked for, and not shown. */
export async function readKey(provider: string, isPiped: boolean): Promise<string> {
  if (canAsk()) return typedKey(provider)
  if (process.stdin.isTTY === true)
    throw usage('a key is asked for on standard error, which is no terminal', piped(provider))
  if (!isPiped) throw usage(`an API key of ${provider} is wanted, and there is no terminal to ask on`, piped(provider))
  const hint = setTimeout(() => {
    process.stderr.write(`waiting for the end of standard input, with the API key of ${provider}\n`)
  }, PATIENCE_MS)
  let text = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    text += chunk
    if (text.length > MOST_CHARACTERS) break
  }
  clearTimeout(hint)
  const key = text.replace(/\r?\n$/, '')
  if (key.trim() === '') throw usage('standard input brought no API key; nothing was stored', piped(provider))
  if (/[\r\n]/.test(key))
    throw usage('standard input brought several lines, and an API key is one; nothing was stored', piped(provider))
  return key
}

async function typedKey(provider: string): Promise<string> {
  const read = await readHidden(`API key of ${visible(provider)}, not shown while you type: `, never)
  if (read.end === 'cancelled') throw interrupted()
  if (read.end === 'too-long') throw usage('that is too long for an API key; nothing was stored')
  const key = read.end === 'entered' ? read.text.trim() : ''
  if (key !== '') return key
  if (read.end !== 'entered') throw usage('no API key was typed; nothing was stored')
  // Else a key that is pasted next would go to the shell, and into its history.
  process.stderr.write('nothing was typed; Ctrl-C ends\n')
  return typedKey(provider)
}

function piped(provider: string): string {
  return `printf %s "$KEY" | provider-auth login ${provider} --with-token`
}

/** Asks the provider, before anything is stored; a refusal ends the command. */
export async function checked(provider: string, apiKey: string, out: Output): Promise<'accepted' | 'unclear'> {
  out.say(`Asking ${visible(provider)} whether it takes the key …`)
  const { outcome, status, why } = await checkApiKey({ provider, apiKey })
  if (outcome === 'refused')
    throw fault({
      code: 'LOGIN_DENIED',
      exit: EXIT.failed,
      provider,
      message: `${provider} refuses the key (${status}); nothing was stored`,
      why: 'the key is wrong, has ended, or may not list models',
      next: 'check the key; without --check it is added as it is',
    })
  if (outcome === 'unclear')
    out.say(`It could not be checked, and is added as it is: ${visible(why ?? 'no reason is known')}`)
  return outcome
}
