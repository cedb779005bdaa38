/**
 * What the descriptor of a provider says of its requests and answers. The addon is asked once per
 * provider.
 */
import { addon, type BoundItems, type HeaderRules } from './addon.js'
import type { StreamKind } from './events.js'

/** Names of the response headers that the policy reads. */
export const OBSERVED_HEADERS: readonly string[] = Object.freeze(addon.observedHeaders())

/** Headers by which hosts name a conversation, the most trusted first. */
export const SESSION_HEADERS: readonly string[] = addon.sessionHeaders()

/** Fields that bind a request to an account, each with how its value begins; empty for any value. */
export type BoundFields = ReadonlyMap<string, readonly string[]>

interface Bound {
  readonly fields: BoundFields
  readonly paths: BoundItems['paths']
}

const bound = new Map<string, Bound>()
const rules = new Map<string, HeaderRules>()
const streams = new Map<string, StreamKind>()

const NO_ITEMS: Bound = { fields: new Map(), paths: [] }
const NO_RULES: HeaderRules = { appended: [], defaulted: [] }

/**
 * Returns what binds a provider's requests to an account; nothing for a provider that is not known.
 */
export function boundItems(provider: string): Bound {
  const ask = (): Bound | null => {
    const items = addon.boundItems(provider)
    if (items === null) return null
    const fields = new Map<string, string[]>()
    for (const [name, beginning] of items.fields) fields.set(name, [...(fields.get(name) ?? []), beginning])
    return { fields, paths: items.paths }
  }
  return known(bound, provider, ask) ?? NO_ITEMS
}

/**
 * Returns how a provider's further headers go together with a caller's; no rule for a provider that
 * is not known.
 */
export function headerRules(provider: string): HeaderRules {
  return known(rules, provider, addon.headerRules) ?? NO_RULES
}

/**
 * Returns how a provider's streams look; nothing where they are not answers that could be asked for
 * again.
 */
export function streamKind(provider: string): StreamKind | undefined {
  return known(streams, provider, () => {
    const shapes = addon.streamShapes(provider) ?? []
    if (shapes.length === 0) return null
    return {
      silent: new Map(shapes.flatMap(({ silent }) => silent)),
      failed: new Set(shapes.flatMap(({ failed }) => failed)),
      chunks: shapes.flatMap(({ chunks }) => chunks),
      labels: new Set(shapes.flatMap(({ labels }) => labels)),
    }
  })
}

/** Changes with the configuration, as far as this process changes it. */
export const factsVersion = (): number => version
let version = 0

/** Forgets all of it: the configuration may be another one now. */
export function forgetFacts(): void {
  version += 1
  for (const facts of [bound, rules, streams]) facts.clear()
}

/** A provider that is not known may be later, so only an answer is kept. */
function known<T>(facts: Map<string, T>, provider: string, ask: (provider: string) => T | null): T | undefined {
  const fact = facts.get(provider) ?? ask(provider) ?? undefined
  if (fact !== undefined) facts.set(provider, fact)
  return fact
}
