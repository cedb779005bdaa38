/** The error when no addon loads: where, what was tried, why it failed, and what to do. */
import { causeOf } from './cause.js'
import { systemName } from './system.js'
import type { Search, Tried } from './tried.js'

export interface LoadError extends Error {
  code: 'ADDON_NOT_LOADED'
  /** The first sentence of the message. */
  readonly summary: string
  readonly why: string
  /** What helps, the likeliest first. */
  readonly remedies: readonly string[]
}

/** For a terminal. */
const WIDTH = 80

export function notLoaded(search: Search): LoadError {
  const { why, remedies } = causeOf(search)
  const summary = `provider-auth cannot load its native addon (${systemName()})`
  const tried = search.tried.map((one) => `- ${one.place}: ${reasonOf(one)}`)
  const message = [
    `${summary}.`,
    ...folded(why, ''),
    ...(tried.length === 0 ? [] : ['', 'Tried:', ...tried]),
    '',
    remedies.length === 1 ? 'What to do:' : 'What to do, by what you use:',
    ...remedies.flatMap((remedy) => folded(remedy, '  ')),
  ].join('\n')
  const errors = search.tried.flatMap(({ error }) => (error === undefined ? [] : [error]))
  const error = new Error(message, errors.length === 0 ? {} : { cause: errors.length === 1 ? errors[0] : errors })
  // The parts are for our own programs; Node prints what is enumerable once more below the message.
  const hidden = (value: unknown): PropertyDescriptor => ({ value, enumerable: false })
  Object.defineProperties(error, { summary: hidden(summary), why: hidden(why), remedies: hidden(remedies) })
  return Object.assign(error, { code: 'ADDON_NOT_LOADED' }) as LoadError
}

function reasonOf({ why, file, place, bytes, version, error }: Tried): string {
  switch (why) {
    case 'absent':
      return file === undefined ? 'not installed' : file === place ? 'not there' : `there is no file ${file}`
    case 'relative':
      return `${file} is a relative path`
    case 'name':
      return `${file} does not end with .node`
    case 'cut':
      return `${file} has ${bytes?.[0]} of its ${bytes?.[1]} bytes`
    case 'foreign':
      return `${file} is the addon of another package`
    case 'version':
      return `it is version ${version}`
    case 'failed': {
      const said = messageOf(error).split('\n')[0] as string
      return place === file || said.includes(file as string) ? said : `${file}: ${said}`
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Breaks a text into lines; a word that is longer than a line stays whole. */
function folded(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line !== indent && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : ` ${word}`
  }
  return [...lines, line]
}
