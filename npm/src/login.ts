/** Logins: the native steps, with what a person sees and types around them. */
import type { Account, AuthError, LoginOptions, LoginPrompt, LoginSession } from '../../index.js'
import { cancelled } from './cancelled.js'
import {
  addApiKey,
  cancelLogin,
  finishLogin,
  loginProgress,
  openBrowser,
  projectTrust,
  startNativeLogin,
  trustProject,
} from './library.js'
import { checkLoginOptions, invalid } from './options.js'
import { read } from './own.js'
import { traced } from './stack.js'
import { askOnTerminal, isAtTerminal, visible } from './trust.js'
import { finishByTerminal } from './typed.js'

/** `startLogin` of the contract. */
export const startLogin: (options: LoginOptions) => Promise<LoginSession> = traced(async (options: LoginOptions) => {
  checkLoginOptions('startLogin', options)
  return begin(options)
})

/** `login` of the contract. */
export const login: (options: LoginOptions) => Promise<Account> = traced(async (options: LoginOptions) => {
  checkLoginOptions('login', options)
  return run(options)
})

async function begin(options: LoginOptions): Promise<LoginSession> {
  const signal = read(options, 'signal')
  if (signal?.aborted) throw cancelled()
  const { login, ...prompt } = await startNativeLogin(options)
  const cancel = (): void => {
    signal?.removeEventListener('abort', cancel)
    cancelLogin(login)
  }
  if (signal?.aborted) cancel()
  else signal?.addEventListener('abort', cancel, { once: true })
  return {
    ...prompt,
    finish: (code) => finishLogin(login, code),
    progress: () => loginProgress(login) ?? { step: 'waiting' },
    cancel,
  }
}

async function run(options: LoginOptions): Promise<Account> {
  if (read(options, 'method') === 'api-key') return onceTrusted(options, () => addApiKey(keyOptions(options)))
  const session = await onceTrusted(options, () => begin(options))
  const over = new AbortController()
  try {
    const [onPrompt, readCode] = [read(options, 'onPrompt') ?? showPrompt, read(options, 'readCode')]
    const { finish: _, cancel: __, progress: ___, ...prompt } = session
    const { method } = prompt
    const isTyped = method === 'paste' && readCode === undefined
    if (isTyped && !isAtTerminal()) throw nobodyToPaste(read(options, 'provider') as string)
    // These ask no person for anything.
    if (method !== 'assertion' && method !== 'client-credentials') onPrompt(prompt)
    const ends = [session.finish()]
    if (readCode !== undefined && (method === 'browser' || method === 'paste'))
      ends.push(readCode().then((code) => session.finish(code)))
    if (isTyped) ends.push(finishByTerminal(session, over.signal))
    return await Promise.race(ends)
  } finally {
    over.abort()
    session.cancel()
  }
}

/**
 * Does what may need a project's file to be trusted: asks a person, where there is one, and does it
 * again when they agree.
 */
async function onceTrusted<T>(options: LoginOptions, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (refusal) {
    const [confirmTrust, signal] = [read(options, 'confirmTrust'), read(options, 'signal')]
    const isAsked = confirmTrust !== undefined || isAtTerminal()
    if (read(refusal as AuthError, 'code') !== 'PROJECT_NOT_TRUSTED' || !isAsked) throw refusal
    const trust = await projectTrust()
    const agreed = await (confirmTrust === undefined ? askOnTerminal(trust, signal) : confirmTrust(trust))
    if (signal?.aborted) throw cancelled()
    if (agreed !== true) throw refusal
    await trustProject(trust)
    return act()
  }
}

/** Opens the page where there is a browser, and says on standard error what to do. */
function showPrompt({ method, url, instructions }: LoginPrompt): void {
  const opened = method === 'browser' && openBrowser(url)
  process.stderr.write(`${visible(instructions)}.\n${opened ? 'If no page opened, go to' : 'Go to'} ${visible(url)}\n`)
}

function keyOptions(options: LoginOptions): Parameters<typeof addApiKey>[0] {
  const [namespace, label, priority] = [read(options, 'namespace'), read(options, 'label'), read(options, 'priority')]
  return {
    provider: read(options, 'provider') as string,
    apiKey: read(options, 'apiKey') as string,
    ...(namespace !== undefined && { namespace }),
    ...(label !== undefined && { label }),
    ...(priority !== undefined && { priority }),
  }
}

function nobodyToPaste(provider: string): AuthError {
  return invalid(
    `readCode: the login of ${provider} ends with a code that somebody pastes, and there is no terminal to read it from; ` +
      "pass readCode, or call startLogin and then its finish(code), or use method: 'device' where the provider has it",
  )
}
