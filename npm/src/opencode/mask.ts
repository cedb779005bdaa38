/** E-mail addresses, so written that who knows one recognizes it and others do not learn it. */

/**
 * The text with each e-mail address in it masked: `ada@example.com` is `a…@e….com`. Neither length
 * is told.
 */
export function maskIdentity(text: string): string {
  return text.replace(/[^\s<>"'`()[\]{},;:|/\\=]+/g, (word) => {
    const at = word.indexOf('@')
    return at < 0 ? word : `${first(word)}…@${maskDomain(word.slice(word.lastIndexOf('@') + 1))}`
  })
}

/** Keeps the end (`.com`), which says what kind of account it is and not whose. */
function maskDomain(domain: string): string {
  const dot = domain.lastIndexOf('.')
  return `${first(domain)}…${dot > 0 ? domain.slice(dot) : ''}`
}

function first(word: string): string {
  const [letter = ''] = word
  return letter === '@' ? '' : letter
}
