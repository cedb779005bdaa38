/** What a person sees when a login begins: the page, the code, and the way back to this machine. */
import { renderUnicodeCompact } from 'uqr'
import type { LoginSession } from '../../../index.js'
import { openBrowser } from '../../../npm/src/library.js'
import { visible } from '../../../npm/src/trust.js'
import { isTerminal, showsColour, widthOf } from '../terminal.js'
import { wrapped } from '../text.js'
import { forward, type Place } from './place.js'

/** What the library says where nothing special is to be known. */
const STANDARD =
  /Sign in on the page that opens; it comes back here by itself|Open the page, sign in, and paste .*? ends on/

/** Rows of the screen that the text beside a QR code takes. */
const TEXT_ROWS = 8

export interface Shown {
  place: Place
  /** Whether a browser may be opened. */
  opens: boolean
  qr: boolean
  /** Whether a paste is taken. */
  isPasted: boolean
}

/** Prints it to standard error, also with `--quiet`: without it the login cannot go on. */
export function showPrompt(session: LoginSession, shown: Shown): void {
  const lines = session.method === 'device' ? deviceLines(session, shown) : pageLines(session, shown)
  process.stderr.write(`${lines.join('\n')}\n\n`)
}

function deviceLines({ url, userCode, instructions }: LoginSession, { qr }: Shown): string[] {
  const code = userCode === undefined ? [] : ['', `    ${visible(userCode)}`, '']
  return [
    ...wrapped(`${visible(instructions)}.`, widthOf(process.stderr) - 1),
    ...code,
    visible(url),
    ...(qr ? qrLines(url) : []),
    ...(userCode === undefined
      ? []
      : ['A double click selects the code. Go on only if you began this login yourself.']),
  ]
}

/** The page as a QR code, for a phone; left out where the terminal is too small or shows no colours. */
function qrLines(url: string): string[] {
  const { stderr } = process
  if (!isTerminal(stderr) || !showsColour(stderr) || url.length > 300) return []
  // Two rows of modules to a line, in colours of its own, since a reader wants dark on light.
  const lines = renderUnicodeCompact(url, { border: 2 }).split('\n')
  const fits = (lines[0]?.length ?? 0) <= widthOf(stderr) && lines.length + TEXT_ROWS <= (stderr.rows ?? 0)
  return fits ? ['', ...lines.map((line) => `\u001b[38;5;231;48;5;16m${line}\u001b[0m`)] : []
}

function pageLines({ url, instructions, callback }: LoginSession, shown: Shown): string[] {
  const { place, opens, isPasted } = shown
  const isOpen = opens && callback !== undefined && openBrowser(url)
  const where = place === 'ssh' ? ' in the browser of your own machine' : ''
  const what = instructions.replace(STANDARD, () =>
    isOpen ? 'Sign in on the page that has opened; it comes back here by itself' : `Open this page${where} and sign in`,
  )
  const width = widthOf(process.stderr) - 1
  const paste = `${callback === undefined ? 'Then' : 'Or'} paste here the address that the browser ends on, also where it shows an error, and press Enter. What you paste is not shown.`
  return [
    ...wrapped(`${visible(what)}.`, width),
    ...(isOpen ? [`If you see no page of ${visible(new URL(url).host)}, go to`] : []),
    visible(url),
    ...(callback === undefined || isOpen ? [] : ['', ...wayBack(callback, shown, width)]),
    ...(isPasted && !isOpen ? ['', ...wrapped(paste, width)] : []),
  ]
}

/** How the browser gets from the page back to the port of this login. */
function wayBack(callback: string, { place }: Shown, width: number): string[] {
  const { host, port } = new URL(callback)
  const lines = (text: string): string[] => wrapped(text, width)
  switch (place) {
    case 'ssh':
      return [
        ...lines(
          `It comes back to ${host}, which is on this machine. Before you sign in, forward that port, in a terminal of your own machine:`,
        ),
        `  ${forward(callback)}`,
      ]
    case 'container':
      return lines(
        `It comes back to ${host} in this container. A published port (-p) does not reach that address; --network host does, and so does the port forwarding of an editor.`,
      )
    case 'codespaces':
      return lines(`It comes back to port ${port}, which an editor on your own machine forwards by itself.`)
    case 'wsl':
      return lines(`It comes back to ${host}, which Windows forwards to WSL 2.`)
    default:
      return lines(`It comes back to ${host}: open it on this machine.`)
  }
}
