/** The code of a login that a person types or pastes on the terminal. */
import type { Account, AuthError, LoginSession } from '../../index.js'
import { cancelled } from './cancelled.js'
import { read } from './own.js'
import { visible } from './trust.js'

/**
 * Asks for the code until one is taken; a text that is not a code leaves the login open, and is
 * asked for again.
 */
export async function finishByTerminal(session: LoginSession, ended: AbortSignal): Promise<Account> {
  for (;;) {
    const code = await readLine('Paste it here: ', ended)
    if (code.trim() === '') continue
    try {
      return await session.finish(code)
    } catch (error) {
      if (read(error as AuthError, 'code') !== 'LOGIN_FAILED' || ended.aborted) throw error
      process.stderr.write(`${visible((error as Error).message)}\n`)
    }
  }
}

/** Returns a line of the terminal. The end of the input and an interrupt cancel the login. */
async function readLine(question: string, ended: AbortSignal): Promise<string> {
  // Loaded here, since hardly a process asks.
  const { createInterface } = await import('node:readline')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise<string>((resolve, reject) => {
    const close = (): void => terminal.close()
    ended.addEventListener('abort', close, { once: true })
    terminal.once('close', () => {
      ended.removeEventListener('abort', close)
      reject(cancelled())
    })
    terminal.once('SIGINT', close)
    terminal.question(question, (line) => {
      resolve(line)
      close()
    })
    if (ended.aborted) close()
  })
}
