/** `headers`: what authenticates one request, in the form that its sender reads. */
import { visible } from '../../../npm/src/trust.js'
import { type Choice, keepOffScreen, requested } from '../asked.js'
import { usage } from '../faults.js'
import { getAuthHeaders } from '../library.js'
import { createOutput } from '../output.js'
import type { Call } from '../run.js'

type Options = Choice & { show?: boolean; format: 'curl' | 'json' | 'lines' | 'object' }

export async function run({ args: [provider = '', given = ''], options, out }: Call<Options>): Promise<void> {
  keepOffScreen(options.show)
  const asked = oneReading(given)
  const request = { ...(await requested(provider, options)), url: asked }
  const { headers, strip, accountId, url = asked } = await getAuthHeaders(request)
  const { format } = options
  // These do not say where the request goes.
  if ((format === 'lines' || format === 'object') && url !== asked)
    out.say(`send the request to ${visible(url)} instead`)
  const printed = format === 'json' ? createOutput({ json: true }) : out
  printed.answer({ headers, strip, url, accountId, provider }, () => {
    if (format === 'object') return JSON.stringify(headers)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    return format === 'lines' ? lines.join('\n') : curlConfig(url, lines)
  })
}

/**
 * The URL as everybody reads it. In `https://a.example\@b.example` the host is `a.example` for browsers and this library, and
 * `b.example` for curl, which would get the credential.
 */
function oneReading(given: string): string {
  if (/[\\\s\p{Cc}]/u.test(given))
    throw usage(
      'the URL has a backslash, white space or a control character, which programs read differently',
      'write it as it is sent: %5C for a backslash, %20 for a space',
    )
  return URL.canParse(given) ? new URL(given).href : given
}

/** A config for `curl -K`. */
function curlConfig(url: string, headers: string[]): string {
  // Else brackets and braces in a URL stand for several URLs.
  const entries = ['globoff', `url = ${quoted(url)}`, ...headers.map((line) => `header = ${quoted(line)}`)]
  return entries.join('\n')
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\v': '\\v' }

function quoted(text: string): string {
  return `"${text.replace(/[\\"\t\n\r\v]/g, (letter) => ESCAPES[letter] ?? '')}"`
}
