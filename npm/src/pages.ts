/** Long lists, which come from the addon as pages of JSON. */

/** Bytes that are parsed in one turn of the event loop: about half a millisecond of work. */
const TURN_BYTES = 32 * 1024

/** Parses the pages one after the other. In between, what else there is to do is done. */
export async function* parsed<T>(pages: readonly Buffer[]): AsyncGenerator<T> {
  let bytes = 0
  for (const page of pages) {
    if (bytes > TURN_BYTES) {
      await new Promise((resolve) => setImmediate(resolve))
      bytes = 0
    }
    bytes += page.length
    yield JSON.parse(page.toString())
  }
}
