/**
 * Reports of good answers. They are made when the caller has its answer: before anything that asks
 * for accounts or looks at them, else when the event loop has turned, else when the process ends.
 */
import { setImmediate } from 'node:timers'
import { addon, beforeClose } from './addon.js'
import { OBSERVED_HEADERS } from './facts.js'
import { observed } from './headers.js'

interface Served {
  readonly attempt: string
  readonly response: Response
}

const OBSERVED: ReadonlySet<string> = new Set(OBSERVED_HEADERS)

let waiting: Served[] = []

/** Reports this 2xx soon. */
export function reportSoon(attempt: string, response: Response): void {
  if (waiting.push({ attempt, response }) === 1) setImmediate(reportServed)
}

/** Makes the reports that wait. */
export function reportServed(): void {
  if (waiting.length === 0) return
  const served = waiting
  waiting = []
  for (const { attempt, response } of served) {
    const headers = observed(response, OBSERVED)
    let lines = ''
    for (const name in headers) lines += `${name}\n${headers[name]}\n`
    try {
      addon.reportServed(attempt, response.status, lines)
    } catch {
      // The caller has its answer, whether the next request knows of it or not.
    }
  }
}

beforeClose.add(reportServed)
