// Stands in for the libraries that only a Mac or Windows has: what the linker must find, with nothing in it.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a Node looks up in an addon. */
const EXPORTS = ['napi_register_module_v1']
/** What a name of each of Apple's frameworks begins with, after the `k` of a constant. */
const FRAMEWORKS = {
  Security: /^(Sec|kSec|SSL|Authorization|errSec|CMS)/,
  CoreFoundation: /^_?_?_?(CF|kCF)/,
  SystemConfiguration: /^(SC|kSC)/,
  Foundation: /^(NS|kNS)/,
}
/** By the name that is linked: what a Mac calls the library, and what its names begin with. */
const LIBRARIES = {
  objc: ['libobjc.A', /^(objc|sel|class|object)_/],
  iconv: ['libiconv.2', /^(lib)?iconv/],
  charset: ['libcharset.1', /^locale_charset/],
}

/**
 * Writes the text files by which a linker for macOS knows a framework (`.tbd`): its name and those of its symbols, which are
 * read in the sources of the crates that call them. Returns the flags for rustc.
 */
export function writeAppleStubs(folder, crates) {
  const names = new Set(crates.flatMap(declaredNames))
  for (const [name, pattern] of Object.entries(FRAMEWORKS)) {
    const place = join(folder, `${name}.framework`)
    mkdirSync(place, { recursive: true })
    const path = `/System/Library/Frameworks/${name}.framework/Versions/A/${name}`
    writeFileSync(
      join(place, `${name}.tbd`),
      stub(
        path,
        [...names].filter((one) => pattern.test(one)),
      ),
    )
  }
  for (const [name, [installed, pattern]] of Object.entries(LIBRARIES)) {
    const symbols = [...names].filter((one) => pattern.test(one))
    writeFileSync(join(folder, `lib${name}.tbd`), stub(`/usr/lib/${installed}.dylib`, symbols))
  }
  return [`-Lframework=${folder}`, `-Lnative=${folder}`, `-Clink-arg=-F${folder}`, `-Clink-arg=-L${folder}`]
}

/** The functions and variables of a crate's `extern` blocks. */
function declaredNames(crate) {
  const files = readdirSync(join(crate, 'src'), { recursive: true }).filter((name) => name.endsWith('.rs'))
  return files.flatMap((name) => {
    const text = readFileSync(join(crate, 'src', name), 'utf8')
    return [...text.matchAll(/\b(?:fn|static|static mut) (\w+)\s*[(:]/g)].map(([, symbol]) => symbol)
  })
}

/** A stub library in the form that every linker for macOS reads. */
function stub(path, symbols) {
  const list = symbols.sort().map((name) => `_${name}`)
  return `--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '${path}'
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ ${list.join(', ')} ]
...
`
}

/**
 * Writes the empty archives that napi-build and rustc name for Windows; what they stand for comes with zig, and the functions of
 * Node are looked up when the addon is loaded. Beside them goes the list of what the addon exports: zig does not read rustc's own,
 * and without one every function is exported, which can be more than a file may have. Returns the variables and flags.
 */
export function writeWindowsStubs(folder) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'libnode.dll'), '')
  for (const name of ['node', 'ssp', 'ssp_nonshared', 'gcc_eh', 'pthread']) {
    writeFileSync(join(folder, `lib${name}.a`), '!<arch>\n')
  }
  writeFileSync(join(folder, 'libnode.dll.a'), '!<arch>\n')
  const list = join(folder, 'addon.def')
  writeFileSync(list, `EXPORTS\n${EXPORTS.map((name) => `    ${name}\n`).join('')}`)
  return { env: { LIBNODE_PATH: folder }, flags: [`-Lnative=${folder}`, `-Clink-arg=${list}`] }
}
