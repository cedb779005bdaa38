/** Who may use the proxy: programs of this machine that know its token, and no web page. */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Refusal } from './refusals.js'

/** Browsers set these, and no page can leave them out. `sec-fetch-mode` is also sent by Node's `fetch`. */
const OF_BROWSERS = ['origin', 'sec-fetch-site', 'sec-fetch-dest', 'sec-fetch-user']

/** Names for this machine. A page whose own name leads here (DNS rebinding) has another one. */
const NAMES = ['127.0.0.1', 'localhost', '[::1]']

/** Says why a request is refused even with a token. */
export function stranger(request: IncomingMessage, port: number): Refusal | undefined {
  const { headers } = request
  const browser = OF_BROWSERS.find((name) => headers[name] !== undefined)
  if (browser !== undefined)
    return {
      status: 403,
      code: 'BROWSER_REFUSED',
      message: `browsers are refused: the request has the header ${browser}`,
    }
  const host = headers.host?.toLowerCase()
  if (host === undefined || !NAMES.some((name) => host === `${name}:${port}` || (port === 80 && host === name)))
    return { status: 403, code: 'HOST_REFUSED', message: `the host has to be ${NAMES[0]}:${port} or localhost:${port}` }
  return undefined
}

/** Whether the token stands anywhere in this text, be it with escapes as in an address. */
export function mentions(text: string, token: Buffer): boolean {
  return [text, unescaped(text)].some((each) => each.includes(token.toString('latin1')))
}

function unescaped(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Whether this text is the token, or the token behind a scheme such as `Bearer`. */
export function hasToken(text: string, token: Buffer): boolean {
  const given = Buffer.from(text.slice(text.lastIndexOf(' ') + 1), 'latin1')
  return given.length === token.length && timingSafeEqual(given, token)
}
