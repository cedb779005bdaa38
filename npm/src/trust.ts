/** What a person is shown before they trust a project's files, and the question on a terminal. */
import { createInterface } from 'node:readline'
import type { ProjectTrust } from '../../index.js'

/** What the files want that still needs trust, line by line; cleaned of what a terminal would act on. */
export function describeTrust({ files }: ProjectTrust): string[] {
  return files
    .filter(asks)
    .flatMap(({ file, state, providers }) => [
      state === 'changed'
        ? `The project file ${file} has changed since it was trusted. It wants:`
        : `The project file ${file} wants:`,
      ...providers.flatMap(({ id, known, hosts, reads }) => [
        known ? `  to change the provider ${id}, which is known without it:` : `  a provider ${id}:`,
        ...hosts.map(({ origin, role, gets }) => `    ${origin} (${role}): ${gets}`),
        ...reads.map(
          ({ kind, name, role, refusal }) =>
            `    reads the ${kind} ${name} (${role})${refusal === undefined ? '' : `, which is refused: it ${refusal}`}`,
        ),
      ]),
    ])
    .map(visible)
}

/** Tells whether a file waits for a person's trust. */
export function asks({ state }: ProjectTrust['files'][number]): boolean {
  return state === 'untrusted' || state === 'changed'
}

/** The text with characters written out that a terminal would act on, or that would change how what is around them looks. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`)
}

/** Whether a person sits at a terminal of this process that no program has taken over. */
export function isAtTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdin.isRaw !== true && process.stderr.isTTY === true
}

/** Asks on the terminal; no is the answer to everything but yes, to the end of the input and to an abort. */
export function askOnTerminal(trust: ProjectTrust, signal?: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise<boolean>((resolve) => {
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
