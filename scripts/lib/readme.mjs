// The README as it is packed: a link to a file that the package does not have leads to the repository.

import { posix } from 'node:path'

const FENCE = /^(```|~~~)[\s\S]*?^\1/gm
/** `![text](target)`; `[text](target)`, whose text may have a picture in it; and what HTML has. */
const PICTURE = /!\[([^\]]*)\]\(([^()\s]+)\)/g
const LINK = /(?<!!)\[((?:[^[\]]|\[[^\]]*\](?:\([^()]*\))?)*)\]\(([^()\s]+)\)/g
const ATTRIBUTE = /\b(src|srcset|href)="([^"]+)"/g

/**
 * Returns the text with its relative links made absolute, but for those to files that `isPacked` knows. Where no repository is
 * known, such a link becomes its text.
 *
 * @param {{ isPacked(path: string): boolean, repository?: string, tag: string }} options `repository`: its address on GitHub
 */
export function packedReadme(text, { isPacked, repository, tag }) {
  const outside = (target) => {
    if (/^(?:[a-z][a-z0-9+.-]*:|#|\/\/)/i.test(target)) return undefined
    const [path, hash = ''] = target.split(/(?=#)/)
    return isPacked(posix.normalize(path)) ? undefined : `${posix.normalize(path)}${hash}`
  }
  const address = (path, kind) => `${repository}/${kind}/${tag}/${path}`
  const inBrackets = (kind, mark) => (link, words, target) => {
    const path = outside(target)
    if (path === undefined) return link
    return repository === undefined ? words : `${mark}[${words}](${address(path, kind)})`
  }
  const rewritten = (part) =>
    part
      .replace(PICTURE, inBrackets('raw', '!'))
      .replace(LINK, inBrackets('blob', ''))
      .replace(ATTRIBUTE, (attribute, name, target) => {
        const path = outside(target)
        if (path === undefined) return attribute
        return repository === undefined ? '' : `${name}="${address(path, name === 'href' ? 'blob' : 'raw')}"`
      })
  let [packed, from] = ['', 0]
  for (const { 0: fence, index } of text.matchAll(FENCE)) {
    packed += rewritten(text.slice(from, index)) + fence
    from = index + fence.length
  }
  return packed + rewritten(text.slice(from))
}
