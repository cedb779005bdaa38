/** `exec`: another program in place of this one, with a credential in its environment. */
import { getSystemErrorName } from 'node:util'
import { addon } from '../../../npm/src/addon.js'
import { visible } from '../../../npm/src/trust.js'
import { type Choice, requested } from '../asked.js'
import { fault, usage } from '../faults.js'
import { getCredential } from '../library.js'
import type { Call } from '../run.js'
import { leave } from '../terminal.js'
import { ago } from '../words.js'

/** A token that ends within this time is told of. */
const SOON_MS = 3_600_000

/** As shells have it: such a program is not there, or cannot be run. */
const NOT_FOUND = 127
const NOT_RUNNABLE = 126

export async function run({ args, options, out }: Call<Choice & { env?: string[] }>): Promise<void> {
  const [provider = '', ...command] = args
  // What stands before it could be meant for this command.
  if (process.argv.slice(process.argv.indexOf('--') + 1).length !== command.length)
    throw usage('the program to run stands behind --', `provider-auth exec ${provider} -- ${command.join(' ')}`)
  const { env = [], ...choice } = options
  const wanted = env.map(parsed)
  if (wanted.length > 0 && !wanted.some(([, text]) => text.includes('{token}')))
    throw usage('no --env has a place for the credential', "write it as --env NAME or --env 'NAME=Bearer {token}'")
  const { value, expiresAt, variables, rivalVariables } = await getCredential(await requested(provider, choice))
  const set: Record<string, string> = Object.fromEntries(
    wanted.length === 0
      ? variables.map((name) => [name, value])
      : wanted.map(([name, text]) => [name, text.replaceAll('{token}', () => value)]),
  )
  const names = Object.keys(set)
  if (names.length === 0)
    throw usage(
      `it is not known in which variable programs look for a credential of ${provider}`,
      `provider-auth exec ${provider} --env NAME -- ${command.join(' ')}`,
    )
  const now = Date.now()
  if (expiresAt !== undefined && expiresAt - now < SOON_MS)
    out.say(`the access token in ${names.map(visible).join(', ')} ends ${ago(expiresAt, now)}`)
  const removed = [...addon.ownVariables(), ...(wanted.length === 0 ? rivalVariables : [])]
  if (process.platform === 'win32') return beside(command, set, removed)
  // Node ignores it, which a program would inherit; what is handled is as usual in the next program.
  process.on('SIGXFSZ', () => {})
  throw notRun(command, getSystemErrorName(-addon.becomeProgram(command, set, removed)))
}

/** `NAME` or `NAME=text`. */
function parsed(wanted: string): [name: string, text: string] {
  const at = wanted.indexOf('=')
  const [name, text] = at < 0 ? [wanted, '{token}'] : [wanted.slice(0, at), wanted.slice(at + 1)]
  if (name === '' || /[\0]/.test(wanted)) throw usage(`--env ${wanted}: expected NAME or NAME=text`)
  return [name, text]
}

/** Runs it as a child, where a process cannot become another program; the child shares the console and its Ctrl-C. */
async function beside(
  [program = '', ...args]: string[],
  set: Record<string, string>,
  removed: string[],
): Promise<void> {
  const out = new Set(removed.map((name) => name.toUpperCase()))
  const kept = Object.entries(process.env).filter(([name]) => !out.has(name.toUpperCase()))
  process.removeAllListeners('SIGINT').on('SIGINT', () => {})
  const { spawn } = await import('node:child_process')
  const child = spawn(program, args, { stdio: 'inherit', env: { ...Object.fromEntries(kept), ...set } })
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => reject(notRun([program], error.code)))
    child.once('exit', (code) => resolve(code ?? 1))
  })
  await leave(code)
}

function notRun([program = '']: string[], code = ''): Error {
  return code === 'ENOENT'
    ? fault({
        message: `there is no program ${program}`,
        exit: NOT_FOUND,
        next: 'look at its name, or give its whole path',
      })
    : fault({ message: `${program} cannot be run: ${code}`, exit: NOT_RUNNABLE })
}
