/** What a person is shown before they trust a project's files, and the question on a terminal. */
import type { ProjectTrust } from '../../index.js'

/** How long what was typed before the question is thrown away; a terminal hands it over at once. */
const TYPED_BEFORE_MS = 100

type File = ProjectTrust['files'][number]
type Reading = File['providers'][number]['reads'][number]

/**
 * What the files want that still needs trust, line by line; cleaned of what a terminal would act
 * on.
 */
export function describeTrust({ files }: ProjectTrust): string[] {
  const asking = files.filter(asks)
  const lines = asking.flatMap(({ file, state, providers }) => [
    `The project file "${file}" ${state === 'changed' ? 'has changed since it was trusted. It wants:' : 'wants:'}`,
    ...providers.flatMap(({ id, known, sets, hosts, reads }) => [
      `  ${known ? `to change the provider ${id}, which is known without it` : `a provider ${id}`} (${sets.join(', ')}):`,
      ...hosts.map(({ origin, role, gets }) => `    ${origin} (${role}): ${gets}`),
      ...reads.map(
        (read) =>
          `    reads ${named(read)}${read.refusal === undefined ? '' : `, which is refused: it ${read.refusal}`}`,
      ),
    ]),
  ])
  // A long list scrolls away: what matters most stands beside the question too.
  const wanted = asking.flatMap(({ providers }) => providers)
  const reads = wanted.flatMap(({ reads }) => reads.filter(({ refusal }) => refusal === undefined))
  const hosts = new Set(wanted.flatMap(({ hosts }) => hosts.map(({ origin }) => origin)))
  if (lines.length > 12)
    lines.push(`In all: ${hosts.size} hosts; reads ${[...new Set(reads.map(named))].join(', ') || 'nothing'}.`)
  return lines.map(visible)
}

function named({ kind, name, role }: Reading): string {
  return `${kind === 'configuration' ? 'the secret in' : `the ${kind}`} "${name}" (${role})`
}

/** Tells whether a file waits for a person's trust. */
export function asks({ state }: File): boolean {
  return state === 'untrusted' || state === 'changed'
}

/**
 * The text with characters written out that a terminal would act on, or that would change how what
 * is around them looks.
 */
export function visible(text: string): string {
  // The classes below take some milliseconds at their first use.
  if (/^[ -~…]*$/.test(text)) return text
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu,
    (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
  )
}

/** Whether a person sits at a terminal of this process that no program has taken over. */
export function isAtTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdin.isRaw !== true && process.stderr.isTTY === true
}

/**
 * Asks on the terminal; no is the answer to everything but yes, to the end of the input and to an
 * abort.
 */
export async function askOnTerminal(trust: ProjectTrust, signal?: AbortSignal): Promise<boolean> {
  const wasFlowing = process.stdin.readableFlowing === true
  try {
    return !(await wasInterrupted()) && (await ask(trust, signal))
  } finally {
    if (wasFlowing) process.stdin.resume()
  }
}

/** Throws away what was typed before there was a question; tells whether it was an interrupt. */
async function wasInterrupted(): Promise<boolean> {
  let typed = ''
  const take = (chunk: Buffer | string): void => {
    typed += chunk
  }
  process.stdin.on('data', take)
  process.stdin.setRawMode(true)
  await new Promise((resolve) => setTimeout(resolve, TYPED_BEFORE_MS))
  process.stdin.setRawMode(false)
  process.stdin.off('data', take)
  process.stdin.pause()
  return typed.includes('\u0003')
}

async function ask(trust: ProjectTrust, signal: AbortSignal | undefined): Promise<boolean> {
  // Loaded here, since hardly a process asks.
  const { createInterface } = await import('node:readline')
  if (signal?.aborted === true) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise((resolve) => {
    const end = (answer: boolean): void => {
      signal?.removeEventListener('abort', refuse)
      resolve(answer)
      terminal.close()
    }
    const refuse = (): void => end(false)
    signal?.addEventListener('abort', refuse, { once: true })
    terminal.once('close', refuse)
    terminal.once('SIGINT', refuse)
    const question = `${describeTrust(trust).join('\n')}\nIt may be anybody's. Trust it, and go on? [y/N] `
    terminal.question(question, (answer) => end(/^\s*y(es)?\s*$/i.test(answer)))
  })
}
