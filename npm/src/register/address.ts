/** Where a call of `fetch` goes, read without a change to what is called with it. */

/** As programs write addresses: the name of a host, or its number as it is shown. What is written otherwise is parsed. */
const PLAIN =
  /^https?:\/\/(?:(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*|(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2}))(?::[1-9][0-9]*)?(?=[/?#]|$)/
/** A port that an origin leaves out. */
const DEFAULT_PORT = /:(?:80|443)$/

/** Returns the address, or `undefined` where only `fetch` itself can tell it. */
export function addressOf(input: unknown): string | undefined {
  if (typeof input === 'string') return input
  if (typeof input !== 'object' || input === null) return undefined
  try {
    const { href, url } = input as { href?: unknown; url?: unknown }
    if (typeof href === 'string') return href
    return typeof url === 'string' ? url : undefined
  } catch {
    return undefined
  }
}

/** The plain origin that was read last: most requests go where the one before went. */
let latest = ''

/** Returns the origin of an address, or `undefined` where the text is not an address. */
export function originOf(address: string): string | undefined {
  if (latest !== '' && address.startsWith(latest) && '/?#'.includes(address.charAt(latest.length))) return latest
  const plain = PLAIN.exec(address)?.[0]
  if (plain === undefined || DEFAULT_PORT.test(plain))
    return URL.canParse(address) ? new URL(address).origin : undefined
  latest = plain
  return plain
}
