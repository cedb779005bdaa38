// The way of a request: code, fetch, vault, provider.

import { arrow, box, picture, text } from './svg.mjs'

/** The picture. */
export function drawArchitecture() {
  const lines = [
    box('box', 24, 70, 186, 92),
    text(40, 96, 'Your code', { kind: 'strong' }),
    text(40, 118, 'a server, an agent,', { kind: 'small quiet' }),
    text(40, 135, 'an SDK with our fetch', { kind: 'small quiet' }),

    box('ours', 326, 46, 262, 148),
    text(342, 72, 'createAuthFetch', { kind: 'strong' }),
    text(342, 96, '1  picks an account that can serve', { kind: 'small' }),
    text(342, 116, '2  sets its credential', { kind: 'small' }),
    text(342, 136, '3  reads the answer', { kind: 'small' }),
    text(342, 156, '4  a limit: the next account, again', { kind: 'small' }),
    text(342, 180, 'in your process, native', { kind: 'small quiet' }),

    box('box', 716, 70, 180, 92),
    text(732, 96, 'Provider', { kind: 'strong' }),
    text(732, 118, 'OpenAI, Anthropic, …', { kind: 'small quiet' }),
    text(732, 135, 'its own origins only', { kind: 'small quiet' }),

    arrow('M210 102H320'),
    text(265, 94, 'fetch(url)', { kind: 'code', at: 'middle' }),
    arrow('M326 136H216'),
    text(271, 154, 'the answer', { kind: 'small', at: 'middle' }),
    arrow('M588 102H710'),
    text(652, 94, '+ credential', { kind: 'small', at: 'middle' }),
    arrow('M716 136H594'),
    text(652, 154, '200, 429, 401 …', { kind: 'small', at: 'middle' }),

    box('ours', 326, 256, 262, 112),
    text(342, 282, 'Vault', { kind: 'strong' }),
    text(342, 304, 'keys and logins, encrypted', { kind: 'small' }),
    text(342, 324, 'cooldowns, sessions, quota', { kind: 'small' }),
    text(342, 350, 'one folder for all processes', { kind: 'small quiet' }),
    arrow('M457 200V250', { both: true }),
    text(469, 230, 'an account, and how it went', { kind: 'small' }),

    box('box', 24, 266, 186, 92),
    text(40, 292, 'Other processes', { kind: 'strong' }),
    text(40, 314, 'the command, OpenCode,', { kind: 'small quiet' }),
    text(40, 331, 'the proxy, your scripts', { kind: 'small quiet' }),
    arrow('M216 312H320', { both: true }),

    box('box', 716, 266, 180, 92),
    text(732, 292, "The vault's key", { kind: 'strong' }),
    text(732, 314, 'keychain, passphrase,', { kind: 'small quiet' }),
    text(732, 331, 'environment, file', { kind: 'small quiet' }),
    arrow('M716 312H594'),
    text(652, 304, 'opens it', { kind: 'small', at: 'middle' }),
    text(24, 30, 'The way of a request', { kind: 'title' }),
  ]
  const title =
    'The way of a request: your code calls createAuthFetch, which picks an account from the vault, sets its credential, sends the request to the provider, and reads the answer'
  return picture({ width: 920, height: 392, title, lines })
}
